    /** Looks at all pixels that it merges ($interpolation), with Pillow's numbers: columns first, then rows. */
    private fun resize(pixels: ByteArray, height: Int, width: Int, rows: Int, columns: Int): FloatArray {
        val wide = along(channels(pixels), height, width, CHANNELS, columns)
        return along(wide, 1, height, columns * CHANNELS, rows)
    }

    private fun kernel(value: Double): Double {
        val x = if ($is_lanczos == 1 || $is_box == 1) value else Math.abs(value)
$kernel
    }

    /** Returns (outer, size, inner) of (outer, old, inner). */
    private fun along(from: FloatArray, outer: Int, old: Int, inner: Int, size: Int): FloatArray {
        if (old == size) return from
        val result = FloatArray(outer * size * inner)
        val step = old.toDouble() / size
        val wide = max(step, 1.0)
        val reach = $support * wide
        for (n in 0 until size) {
            val middle = (n + 0.5) * step
            val first = max((middle - reach + 0.5).toInt(), 0)
            val count = min((middle + reach + 0.5).toInt(), old) - first
            val weights = DoubleArray(count) { kernel((it + first - middle + 0.5) * (1.0 / wide)) }
            val sum = weights.sum()
            for (k in 0 until count) {
                if (sum != 0.0) weights[k] /= sum
                if ($whole == 1) weights[k] = (weights[k] * (1 shl 22) + (if (weights[k] < 0) -0.5 else 0.5)).toLong().toDouble()
            }
            for (o in 0 until outer) for (i in 0 until inner)
                result[(o * size + n) * inner + i] = sumOf(from, (o * old + first) * inner + i, inner, weights)
        }
        return result
    }

    private fun sumOf(from: FloatArray, start: Int, stride: Int, weights: DoubleArray): Float {
        if ($whole == 1) {
            var sum = 1L shl 21
            for (k in weights.indices) sum += from[start + k * stride].toLong() * weights[k].toLong()
            return min(max(sum shr 22, 0L), 255L).toFloat()
        }
        var sum = 0.0
        for (k in weights.indices) sum += from[start + k * stride] * weights[k]
        return sum.toFloat()
    }
