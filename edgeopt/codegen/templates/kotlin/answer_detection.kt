/** Corners in pixels of the picture: left, top, right, bottom. */
class Detected(val box: FloatArray, val score: Float, val number: Int)

/** Channel of a box: of an output (boxes / inner, channels, inner). */
private class Columns(val output: Int, val start: Int, val channels: Int, val inner: Int) {
    fun at(results: List<ByteBuffer>, box: Int, channel: Int): Float {
        val index = (box / inner * channels + start + channel) * inner + box % inner
        return numberAt(results[output], outputs[output].dtype, index).toFloat()
    }
}
private val boxColumns = Columns($box_columns)
private val scoreColumns = Columns($score_columns)
private val numberColumns = Columns($number_columns)

/** Returns the objects, the highest score first. Scores that are NaN are an `IllegalArgumentException`. */
fun objects(results: List<ByteBuffer>, place: Placement): List<Detected> {
    val all = (0 until $boxes).map { bestClass(results, it, place) }
        .filter { it.score > $confidence }.sortedByDescending { it.score }.take(30000)
    val told = ArrayList<Detected>()
    for (one in all) {
        if (told.size == $most) break
        if ($nms == 0 || told.none { overlaps(it, one) }) told.add(one)
    }
    return told.map { Detected(inPicture(it.box, place), it.score, it.number) }
}

private fun bestClass(results: List<ByteBuffer>, box: Int, place: Placement): Detected {
    val scores = FloatArray($classes) { scoreColumns.at(results, box, it) }
    activate(scores)
    require(scores.none { it.isNaN() }) { "scores are NaN: they tell no box" }
    var best = $first_class
    for (n in $first_class + 1 until $end_class) if (scores[n] > scores[best]) best = n
    val number = if ($has_numbers == 1) numberColumns.at(results, box, 0).toInt() else best - $first_class
    val score = if ($end_class > $first_class) scores[best] else 0f
    return Detected(corners(results, box, place), score, number)
}

private fun corners(results: List<ByteBuffer>, box: Int, place: Placement): FloatArray {
    val v = FloatArray(4) { boxColumns.at(results, box, if ($row_first == 1) it xor 1 else it) }
    if ($normalized == 1) for (n in 0..3) v[n] *= place.input[if (n % 2 == 0) 1 else 0].toFloat()
    return FloatArray(4) { n ->
        val size = v[n % 2 + 2]
        when {
            $from_middle == 1 -> if (n < 2) v[n] - size / 2 else v[n - 2] + size / 2
            $from_corner == 1 && n > 1 -> v[n - 2] + size
            else -> v[n]
        }
    }
}

private fun overlaps(a: Detected, b: Detected): Boolean {
    val x = FloatArray(4) { a.box[it] + if ($agnostic == 1) 0f else a.number * 7680f }
    val y = FloatArray(4) { b.box[it] + if ($agnostic == 1) 0f else b.number * 7680f }
    val both = max(min(x[2], y[2]) - max(x[0], y[0]), 0f) * max(min(x[3], y[3]) - max(x[1], y[1]), 0f)
    val areas = (x[2] - x[0]) * (x[3] - x[1]) + (y[2] - y[0]) * (y[3] - y[1])
    return (both / (areas - both)).toDouble() > $iou
}

private fun inPicture(box: FloatArray, place: Placement): FloatArray = FloatArray(4) { n ->
    val axis = if (n % 2 == 0) 1 else 0
    val at = (box[n] - place.offset[axis]) / place.gain[axis].toFloat()
    min(max(at, 0f), place.picture[axis].toFloat())
}
