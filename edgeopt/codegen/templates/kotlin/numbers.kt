package $package

import java.nio.ByteBuffer
import kotlin.math.exp
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.sqrt

/** Turns scores into probabilities, as the bundle says. */
fun activate(scores: FloatArray) {
    val highest = scores.fold(Float.NEGATIVE_INFINITY) { a, b -> max(a, b) }
    for (n in scores.indices) {
        if ($sigmoid == 1) scores[n] = 1 / (1 + exp(-scores[n]))
        if ($softmax == 1) scores[n] = exp(scores[n] - highest)
    }
    if ($softmax == 0) return
    val sum = scores.sum()
    for (n in scores.indices) scores[n] /= sum
}

/** Returns the name of a class; "" where it has none. */
fun labelOf(number: Int): String = labels.getOrElse(number) { "" }

