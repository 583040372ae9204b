    /** $interpolation without antialias, in single precision: rows first, then columns. */
    private fun resize(pixels: ByteArray, height: Int, width: Int, rows: Int, columns: Int): FloatArray {
        if (height == rows && width == columns) return channels(pixels)
        val tall = along(channels(pixels), 1, height, width * CHANNELS, rows)
        val wide = along(tall, rows, width, CHANNELS, columns)
        if ($whole == 0) return wide
        return FloatArray(wide.size) { min(max(Math.rint(wide[it].toDouble()), 0.0), 255.0).toFloat() }
    }

    private fun weigh(beyond: Float): FloatArray {
        if ($taps == 2) return floatArrayOf(1 - beyond, beyond)
        val a = -0.75f
        return floatArrayOf(beyond + 1, beyond, 1 - beyond, 2 - beyond).map { d ->
            if (d <= 1) ((a + 2) * d - (a + 3)) * d * d + 1 else ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        }.toFloatArray()
    }

    private fun along(from: FloatArray, outer: Int, old: Int, inner: Int, size: Int): FloatArray {
        val result = FloatArray(outer * size * inner)
        for (n in 0 until size) {
            val place = ((n + 0.5) * (old.toDouble() / size) - 0.5).toFloat()
            val before = floor(place).toInt()
            val weights = weigh(place - before)
            for (o in 0 until outer) for (i in 0 until inner) {
                var sum = 0f
                for (tap in weights.indices) {
                    val at = min(max(before + 1 - $taps / 2 + tap, 0), old - 1)
                    sum += from[(o * old + at) * inner + i] * weights[tap]
                }
                result[(o * size + n) * inner + i] = sum
            }
        }
        return result
    }
