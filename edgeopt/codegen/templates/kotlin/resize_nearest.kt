    /** Takes the nearest pixel$nearest_note. */
    private fun resize(pixels: ByteArray, height: Int, width: Int, rows: Int, columns: Int): FloatArray {
        val fromY = places(height, rows)
        val fromX = places(width, columns)
        return FloatArray(rows * columns * CHANNELS) { n ->
            val cell = n / CHANNELS
            val at = (fromY[cell / columns] * width + fromX[cell % columns]) * CHANNELS + n % CHANNELS
            (pixels[at].toInt() and 0xff).toFloat()
        }
    }

    private fun places(old: Int, size: Int): IntArray {
        val step = old.toDouble() / size
        var place = step * 0.5
        return IntArray(size) { n ->
            val at = (if ($is_middle == 1) place else n * step).toInt()
            place += step
            min(at, old - 1)
        }
    }
