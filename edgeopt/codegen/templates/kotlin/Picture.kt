package $package

import java.nio.ByteBuffer
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** Where the picture lies in the input: input = picture * gain + offset; rows before columns. */
class Placement(val picture: IntArray, val input: IntArray, val offset: IntArray, val gain: DoubleArray)

/** Pixels of a resized picture, (rows, columns, channels). */
class Pixels(val rows: Int, val columns: Int, val values: FloatArray)

/** From a picture to the model's input: resize, letterbox or crop, then (pixel * scale - mean) / std. */
object Picture {
    /** Which of the model's inputs it is, and the channels of the pixels that are given: 3 is RGB, 1 is grey. */
    const val INPUT = $input_index
    const val CHANNELS = $source_channels

    private const val ROWS = $rows
    private const val COLUMNS = $columns
    private const val OUT_CHANNELS = $channels
    private const val MOST_PIXELS = 1L shl 27
    private val fill = floatArrayOf($fill)
    private val mean = floatArrayOf($mean)
    private val std = floatArrayOf($std)

    /** Fills `input` from `pixels`, (height, width, CHANNELS) of 0 to 255. */
    fun prepare(pixels: ByteArray, height: Int, width: Int, input: ByteBuffer): Placement {
        require(height > 0 && width > 0 && height.toLong() * width <= MOST_PIXELS) { "the picture is too large" }
        val (rows, columns) = resizedSize(height, width)
        require(rows > 0 && columns > 0 && rows.toLong() * columns <= MOST_PIXELS) { "it would be too large" }
        require($crops == 1 || $letterbox == 1 || (rows == ROWS && columns == COLUMNS)) { "another size" }
        val small = resize(pixels, height, width, rows, columns)
        val top = if ($letterbox == 1) centered(ROWS, rows) else cropOffset(rows, ROWS)
        val left = if ($letterbox == 1) centered(COLUMNS, columns) else cropOffset(columns, COLUMNS)
        for (y in 0 until ROWS) for (x in 0 until COLUMNS) {
            val fromY = y - top
            val fromX = x - left
            val isInside = fromY in 0 until rows && fromX in 0 until columns
            val at = if (isInside) (fromY * columns + fromX) * CHANNELS else 0
            writePixel(if (isInside) small else fill, at, y * COLUMNS + x, input)
        }
        val gain = doubleArrayOf(rows.toDouble() / height, columns.toDouble() / width)
        return Placement(intArrayOf(height, width), intArrayOf(ROWS, COLUMNS), intArrayOf(top, left), gain)
    }

    private fun writePixel(from: FloatArray, at: Int, to: Int, input: ByteBuffer) {
        for (c in 0 until OUT_CHANNELS) {
            val source = if (CHANNELS == 1) 0 else if ($bgr == 1 && $inside == 0) OUT_CHANNELS - 1 - c else c
            val place = if ($channels_first == 1) c * ROWS * COLUMNS + to else to * OUT_CHANNELS + c
            if ($inside == 1) input.put(place, from[at + source].toInt().toByte())
            else input.putFloat(4 * place, (from[at + source] * $scale - mean[c]) / std[c])
        }
    }

    /** Returns rows and columns after the resize; halves go to the even number, as Python rounds them. */
    private fun resizedSize(height: Int, width: Int): Pair<Int, Int> {
        if ($resizes == 1) {
            val least = min(height, width).toDouble()
            return Pair(($resize_rows.toLong() * height / least).toInt(), ($resize_rows.toLong() * width / least).toInt())
        }
        if ($resizes == 2 && $letterbox == 1) {
            val fits = min($resize_rows.toDouble() / height, $resize_columns.toDouble() / width)
            val ratio = if ($enlarges == 1) fits else min(fits, 1.0)
            return Pair(max(Math.rint(height * ratio), 1.0).toInt(), max(Math.rint(width * ratio), 1.0).toInt())
        }
        return if ($resizes == 2) Pair($resize_rows, $resize_columns) else Pair(height, width)
    }

    private fun centered(whole: Int, part: Int): Int =
        if ($centered == 1) Math.rint((whole - part) / 2.0 - 0.1).toInt() else 0

    private fun cropOffset(size: Int, wanted: Int): Int = when {
        wanted > size -> (wanted - size) / 2
        $rounds_down == 1 -> -((size - wanted) / 2)
        else -> -Math.rint((size - wanted) / 2.0).toInt()
    }

    private fun channels(pixels: ByteArray): FloatArray = FloatArray(pixels.size) { (pixels[it].toInt() and 0xff).toFloat() }

$resize}
