    private fun resize(pixels: ByteArray, height: Int, width: Int, rows: Int, columns: Int): FloatArray {
        require(height == rows && width == columns)
        return channels(pixels)
    }
