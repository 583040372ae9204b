/** Returns the vectors, of $size numbers each. `mask` is 1 where a token is. */
fun vectors(results: List<ByteBuffer>, mask: FloatArray? = null): List<FloatArray> {
    val flat = FloatArray($outer * $inner) { n ->
        var sum = 0f
        var weights = 0f
        for (t in 0 until (if ($mean == 1) $tokens else 1)) {
            val weight = if ($mean == 1 && mask != null) mask[t] else 1f
            val index = (n / $inner * $tokens + t) * $inner + n % $inner
            sum += weight * numberAt(results[$output], outputs[$output].dtype, index).toFloat()
            weights += weight
        }
        sum / max(weights, 1e-9f)
    }
    return flat.toList().chunked($size) { row ->
        val squares = row.fold(0f) { sum, v -> sum + v * v }
        val length = if ($unit == 1) max(sqrt(squares), 1e-12f) else 1f
        FloatArray($size) { row[it] / length }
    }
}
