package edgeopt.application

import android.content.Context
import android.graphics.Bitmap
import java.io.Closeable
import java.io.File

/** Classifies bitmaps. The model lies in the app's assets, and is copied where LiteRT can map it. */
class Classifier(context: Context, name: String = "model.tflite") : Closeable {
    private val file = File(context.filesDir, name).apply {
        context.assets.open("model/$name").use { from -> outputStream().use { from.copyTo(it) } }
    }
    private val model = Model(file, Runtime.getRuntime().availableProcessors())
    private val input = inputs[Picture.INPUT].room()

    /** Returns the likeliest classes. */
    fun classify(bitmap: Bitmap): List<ClassScore> {
        Picture.prepare(pixels(bitmap), bitmap.height, bitmap.width, input)
        return classes(model.run(listOf(input)))[0]
    }

    /** Returns RGB, row by row. */
    private fun pixels(bitmap: Bitmap): ByteArray {
        val packed = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(packed, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        return ByteArray(packed.size * 3) { (packed[it / 3] shr (16 - 8 * (it % 3))).toByte() }
    }

    override fun close() = model.close()
}
