class ClassScore(val number: Int, val probability: Float)

/** Returns the likeliest classes of each row. Scores that are NaN are an `IllegalArgumentException`. */
fun classes(results: List<ByteBuffer>): List<List<ClassScore>> = (0 until $rows).map { row ->
    val scores = FloatArray($classes) { numberAt(results[$output], outputs[$output].dtype, row * $classes + it).toFloat() }
    require(scores.none { it.isNaN() }) { "scores are NaN: they name no class" }
    activate(scores)
    scores.indices.sortedByDescending { scores[it] }.take($top)
        .filter { scores[it] >= $threshold }.map { ClassScore(it, scores[it]) }
}
