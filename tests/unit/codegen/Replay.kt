import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Reads a file, and writes one. */
fun bytesOf(path: String): ByteBuffer = ByteBuffer.wrap(File(path).readBytes()).order(ByteOrder.nativeOrder())

fun write(path: String, values: ByteBuffer) {
    val bytes = ByteArray(values.capacity()) { values.get(it) }
    File(path).writeBytes(bytes)
}
