    private class Around(val before: Int, val after: Int, val low: Int, val high: Int)

    /** Bilinear without antialias, of whole pixels: OpenCV's INTER_LINEAR, in fixed point of 11 bits. */
    private fun resize(pixels: ByteArray, height: Int, width: Int, rows: Int, columns: Int): FloatArray {
        if (height == rows && width == columns) return channels(pixels)
        val down = around(height, rows, false)
        val along = around(width, columns, true)
        return FloatArray(rows * columns * CHANNELS) { n ->
            val y = down[n / CHANNELS / columns]
            val x = along[n / CHANNELS % columns]
            val above = across(pixels, y.before * width, x, n % CHANNELS) * y.low shr 16
            val below = across(pixels, y.after * width, x, n % CHANNELS) * y.high shr 16
            min(max(above + below + 2 shr 2, 0), 255).toFloat()
        }
    }

    private fun across(pixels: ByteArray, row: Int, at: Around, channel: Int): Int {
        val left = pixels[(row + at.before) * CHANNELS + channel].toInt() and 0xff
        val right = pixels[(row + at.after) * CHANNELS + channel].toInt() and 0xff
        return left * at.low + right * at.high shr 4
    }

    private fun around(old: Int, size: Int, isColumn: Boolean): List<Around> = (0 until size).map { n ->
        val place = ((n + 0.5) * (old.toDouble() / size) - 0.5).toFloat()
        val before = floor(place).toInt()
        val beyond = if (isColumn && (before < 0 || before >= old - 1)) 0f else place - before
        Around(
            min(max(before, 0), old - 1), min(max(before + 1, 0), old - 1),
            Math.rint(((1f - beyond) * 2048).toDouble()).toInt(), Math.rint((beyond * 2048).toDouble()).toInt()
        )
    }
