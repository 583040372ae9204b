"""Sources in Kotlin for an Android application; what lies around the model needs nothing but the JVM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.boundary import kotlin_string
from edgeopt.codegen.answers import answer_kind, answer_words
from edgeopt.codegen.pictures import picture_words, resize_kind, resize_words
from edgeopt.codegen.templates import filled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.codegen.facts import Facts
    from edgeopt.contracts import CallSource, TensorSpec

__all__ = ["PACKAGE", "kotlin_project"]

PACKAGE = "edgeopt.application"
_KERNELS = {
    "box": "        return if (x > -0.5 && x <= 0.5) 1.0 else 0.0",
    "bilinear": "        return if (x < 1.0) 1.0 - x else 0.0",
    "bicubic": (
        "        if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0\n"
        "        return if (x < 2.0) (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 else 0.0"
    ),
    "lanczos": (
        "        if (x == 0.0) return 1.0\n"
        "        if (x < -3.0 || x >= 3.0) return 0.0\n"
        "        return Math.sin(x * Math.PI) / (x * Math.PI) * (Math.sin(x / 3.0 * Math.PI) / (x / 3.0 * Math.PI))"
    ),
}
_PLACEMENT = """
/** Where the picture lies in the input: input = picture * gain + offset; rows before columns. */
class Placement(val picture: IntArray, val input: IntArray, val offset: IntArray, val gain: DoubleArray)
"""


def kotlin_project(facts: Facts, call: CallSource) -> dict[str, str]:
    """Returns path to text of the sources."""
    words = answer_words(facts)
    answers = filled("kotlin/numbers.kt", package=PACKAGE, **words)
    answers += filled(f"kotlin/answer_{answer_kind(facts)}.kt", **words)
    labels = "".join(f"    {kotlin_string(one)},\n" for one in facts.labels)
    files = {
        "Tensors.kt": filled(
            "kotlin/Tensors.kt",
            package=PACKAGE,
            input_rows=_rows(facts.signature.inputs),
            output_rows=_rows(facts.signature.outputs),
            labels=_last(labels),
        ),
        **{name: f"package {PACKAGE}\n\n{text}" for name, text in call.files.items()},
    }
    if facts.preprocess is not None:
        files["Picture.kt"] = _picture(facts)
    else:
        answers += _PLACEMENT
    folder = f"src/main/kotlin/{PACKAGE.replace('.', '/')}"
    return {f"{folder}/{name}": text for name, text in {**files, "Answer.kt": answers}.items()}


def _picture(facts: Facts) -> str:
    preprocess = facts.preprocess
    if preprocess is None:
        return ""
    sizes = {
        **resize_words(preprocess),
        "kernel": _KERNELS.get(preprocess.interpolation, ""),
        "is_lanczos": int(preprocess.interpolation == "lanczos"),
        "is_box": int(preprocess.interpolation == "box"),
    }
    resize = filled(f"kotlin/resize_{resize_kind(preprocess)}.kt", **sizes)
    words = picture_words(facts)
    words["fill"] = ", ".join(f"{number.rstrip('f')}f" for number in str(words["fill"]).split(", "))
    return filled("kotlin/Picture.kt", package=PACKAGE, resize=resize, **words)


def _rows(specs: Iterable[TensorSpec]) -> str:
    rows = (
        f"    Tensor({', '.join([kotlin_string(s.name), kotlin_string(s.dtype), *map(str, s.shape)])}),\n"
        for s in specs
    )
    return _last("".join(rows))


def _last(rows: str) -> str:
    """Returns rows without the last comma, which Kotlin before 1.4 does not take."""
    return rows[:-2] + "\n" if rows else rows
