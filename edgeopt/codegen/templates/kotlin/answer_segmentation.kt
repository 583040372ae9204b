private class Around(val before: Int, val after: Int, val nearest: Int, val share: Float, val isSeen: Boolean)

private fun aroundOf(at: Int, place: Placement, axis: Int, cells: Int): Around {
    val inInput = (at + 0.5) * place.gain[axis] + place.offset[axis]
    val cell = inInput * (cells.toDouble() / place.input[axis]) - 0.5
    val bounded = min(max(cell, 0.0), cells - 1.0).toFloat()
    val before = floor(bounded).toInt()
    val nearest = min(max(floor(cell + 0.5), 0.0), cells - 1.0).toInt()
    return Around(before, min(before + 1, cells - 1), nearest, bounded - before, inInput >= 0 && inInput <= place.input[axis])
}

private fun scoreAt(scores: ByteBuffer, number: Int, y: Around, x: Around): Float {
    fun cell(row: Int, column: Int): Float =
        numberAt(scores, outputs[$output].dtype, number * $class_step + row * $row_step + column * $column_step).toFloat()
    if ($nearest == 1 || $numbers == 1) return cell(y.nearest, x.nearest)
    val above = cell(y.before, x.before) * (1 - x.share) + cell(y.before, x.after) * x.share
    val below = cell(y.after, x.before) * (1 - x.share) + cell(y.after, x.after) * x.share
    return above * (1 - y.share) + below * y.share
}

/** Returns the class of each pixel of the picture, (height, width); -1 where the model did not look. */
fun areas(results: List<ByteBuffer>, place: Placement): IntArray {
    val down = (0 until place.picture[0]).map { aroundOf(it, place, 0, $rows) }
    val along = (0 until place.picture[1]).map { aroundOf(it, place, 1, $columns) }
    return IntArray(down.size * along.size) { n ->
        val y = down[n / along.size]
        val x = along[n % along.size]
        if (!y.isSeen || !x.isSeen) -1 else classAt(results[$output], y, x)
    }
}

private fun classAt(scores: ByteBuffer, y: Around, x: Around): Int {
    var best = scoreAt(scores, 0, y, x)
    if ($numbers == 1) return best.toInt()
    if ($binary == 1) {
        val one = floatArrayOf(best)
        activate(one)
        return if (one[0] > $threshold) 1 else 0
    }
    var chosen = 0
    for (n in 1 until $classes) {
        val score = scoreAt(scores, n, y, x)
        if (score > best) { best = score; chosen = n }
    }
    return chosen
}
