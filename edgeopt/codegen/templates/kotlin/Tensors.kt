package $package

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** An input or output, as the float model has it: dense, in the signature's order. `dtype` is numpy's name. */
class Tensor(val name: String, val dtype: String, vararg val shape: Int) {
    val count: Int = shape.fold(1) { product, size -> product * size }
    val bytes: Int = count * sizeOf(dtype)

    /** Returns memory for it. */
    fun room(): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
}

val inputs: List<Tensor> = listOf(
$input_rows)
val outputs: List<Tensor> = listOf(
$output_rows)
val labels: List<String> = listOf(
$labels)

fun sizeOf(dtype: String): Int = when (dtype) {
    "bool", "int8", "uint8" -> 1
    "int16", "uint16", "float16" -> 2
    "int32", "uint32", "float32" -> 4
    else -> 8
}

/** Returns number `index` of an array of type `dtype`. */
fun numberAt(values: ByteBuffer, dtype: String, index: Int): Double = when (dtype) {
    "float32" -> values.getFloat(4 * index).toDouble()
    "float64" -> values.getDouble(8 * index)
    "int8" -> values.get(index).toDouble()
    "int16" -> values.getShort(2 * index).toDouble()
    "uint16" -> (values.getShort(2 * index).toInt() and 0xffff).toDouble()
    "int32" -> values.getInt(4 * index).toDouble()
    "uint32" -> (values.getInt(4 * index).toLong() and 0xffffffffL).toDouble()
    "int64", "uint64" -> values.getLong(8 * index).toDouble()
    "uint8", "bool" -> (values.get(index).toInt() and 0xff).toDouble()
    else -> throw IllegalArgumentException(dtype)
}
