"""A project in C or C++, built by CMake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.boundary import c_string
from edgeopt.codegen.answers import answer_kind, answer_words
from edgeopt.codegen.pictures import picture_words, resize_kind, resize_words
from edgeopt.codegen.templates import filled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.bundles.manifest import GoldenInfo
    from edgeopt.codegen.facts import Facts
    from edgeopt.contracts import CallSource, TensorSpec

__all__ = ["c_project"]

_KERNELS = {
    "box": "  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;",
    "bilinear": "  x = fabs(x);\n  return x < 1.0 ? 1.0 - x : 0.0;",
    "bicubic": (
        "  x = fabs(x); /* Keys' kernel, a = -0.5 */\n"
        "  if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;\n"
        "  return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5 : 0.0;"
    ),
    "lanczos": (
        "  const double pi = 3.14159265358979323846;\n"
        "  if (x == 0.0) return 1.0;\n"
        "  if (x < -3.0 || x >= 3.0) return 0.0;\n"
        "  return sin(x * pi) / (x * pi) * (sin(x / 3.0 * pi) / (x / 3.0 * pi));"
    ),
}
"""Pillow's filters."""
_DECLARATIONS = {
    "classification": (
        "typedef struct {\n  int64_t number;\n  float probability;\n} answer_class;\n\n"
        "/* Fills `best` (ANSWER_TOP rows) with the likeliest classes of a row of scores. Returns how many;\n"
        " * -1 where they are NaN, or without memory. */\n"
        "int answer_classes(const void *scores, int64_t row, answer_class *best);\n"
    ),
    "detection": (
        "typedef struct {\n  float box[4]; /* left, top, right, bottom in pixels of the picture */\n"
        "  float score;\n  int64_t number; /* of the class */\n} answer_object;\n\n"
        "/* Fills `objects` (ANSWER_TOP rows), the highest score first. Returns how many; -1 where scores are\n"
        " * NaN, or without memory. */\n"
        "int answer_objects(void *const *outputs, const placement *place, answer_object *objects);\n"
    ),
    "segmentation": (
        "/* Fills `classes` (height * width of the picture): -1 where the model did not look. Returns 0; -1\n"
        " * where scores are NaN. */\n"
        "int answer_areas(const void *scores, const placement *place, int32_t *classes);\n"
    ),
    "embedding": (
        "/* Fills `vectors` (ANSWER_TOP numbers). `mask` is 1 where a token is; NULL: everywhere. */\n"
        "void answer_vectors(const void *values, const float *mask, float *vectors);\n"
    ),
    "none": "",
}


def c_project(facts: Facts, call: CallSource, language: str) -> dict[str, str]:
    """Returns path to text of a project in ``c`` or ``cpp``."""
    sources = {**_common(facts), **call.files}
    if facts.preprocess is not None:
        sources |= _picture(facts)
    library = [name for name in sources if name.endswith((".c", ".cpp"))]
    mains = _mains(facts, language)
    golden = facts.own.golden
    if golden is not None and golden.samples:
        mains["check.c"] = filled("c/check.c", **_golden_words(golden))
    project = {f"src/{name}": text for name, text in {**sources, **mains}.items()}
    project["CMakeLists.txt"] = _build(facts, call, library, language, has_check="check.c" in mains)
    return project


def _common(facts: Facts) -> dict[str, str]:
    words, kind, labels = answer_words(facts), answer_kind(facts), facts.labels
    most = {
        "embedding": words.get("outer", 1) * words.get("inner", 1),
        "detection": words.get("most"),
    }
    top = most.get(kind) or words.get("top", 1)
    declared = f"#define ANSWER_TOP {top}\n\n{_DECLARATIONS[kind]}" if kind != "none" else ""
    inputs, outputs = facts.signature.inputs, facts.signature.outputs
    entry = c_string(facts.own.entry.split("/")[-1])
    place = {"height": facts.size[0], "width": facts.size[1]}
    return {
        "model.h": filled("c/model.h", inputs=len(inputs), outputs=len(outputs), entry=entry),
        "tensors.c": filled("c/tensors.c", input_rows=_rows(inputs), output_rows=_rows(outputs)),
        "placement.h": filled("c/placement.h"),
        "answer.h": filled("c/answer.h", labels=len(labels), declarations=declared),
        "answer.c": filled(f"c/answer_{kind}.c", **words),
        "labels.c": filled(
            "c/labels.c", labels="".join(f"    {c_string(one)},\n" for one in labels)
        ),
        "numbers.c": filled("c/numbers.c", **words, **place),
        "files.h": filled("c/files.h"),
        "files.c": filled("c/files.c"),
    }


def _rows(specs: Iterable[TensorSpec]) -> str:
    return "".join(f"    {_row(spec)},\n" for spec in specs)


def _row(spec: TensorSpec) -> str:
    shape = ", ".join(map(str, spec.shape)) or "0"
    size = math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
    return (
        f"{{{c_string(spec.name)}, {c_string(spec.dtype)}, {len(spec.shape)}, {{{shape}}}, {size}}}"
    )


def _picture(facts: Facts) -> dict[str, str]:
    preprocess = facts.preprocess
    if preprocess is None:
        return {}
    kind = resize_kind(preprocess)
    words = picture_words(facts)
    words["input_type"] = "uint8_t" if preprocess.inside else "float"
    sizes = {**resize_words(preprocess), "kernel": _KERNELS.get(preprocess.interpolation, "")}
    return {
        "picture.h": filled("c/picture.h", **words),
        "picture.c": filled("c/picture.c", **words),
        "resize.h": filled("c/resize.h", sample="uint8_t" if preprocess.whole else "float"),
        "resize.c": filled(f"c/resize_{kind}.c", **sizes),
    }


def _mains(facts: Facts, language: str) -> dict[str, str]:
    is_picture = facts.preprocess is not None
    words = {
        "is_picture": int(is_picture),
        "include": '#include "picture.h"\n' if is_picture else "",
        "arguments": _arguments(facts),
        "usage": f"app MODEL_FOLDER {_arguments(facts)}",
    }
    if language == "c":
        return {"main.c": filled("c/main.c", **words)}
    return {
        "main.cpp": filled("cpp/main.cpp", **words),
        "application.hpp": filled("cpp/application.hpp", include=words["include"]),
    }


def _arguments(facts: Facts) -> str:
    """Returns what the program takes. No name of the model is in it: it stands in comments too."""
    grey = facts.preprocess is not None and facts.preprocess.color.startswith("L")
    picture = "PICTURE.pgm" if grey else "PICTURE.ppm"
    index = facts.input_index() if facts.preprocess is not None else -1
    count = len(facts.signature.inputs)
    return " ".join(picture if n == index else f"INPUT_{n}.npy" for n in range(count))


def _golden_words(golden: GoldenInfo) -> dict[str, str]:
    samples = "".join(
        "    {" + ", ".join(c_string(name) for name in (*one.inputs, *one.outputs)) + "},\n"
        for one in golden.samples
    )
    tolerances = "".join(
        f"    {{{at.atol!r}, {at.rtol!r}, {at.max_outliers!r}, "
        f"{-2.0 if at.min_cosine is None else at.min_cosine!r}}},\n"
        for at in golden.tolerances
    )
    return {"samples": samples, "tolerances": tolerances}


def _build(
    facts: Facts, call: CallSource, sources: list[str], language: str, *, has_check: bool
) -> str:
    has_cpp = language == "cpp" or any(name.endswith(".cpp") for name in sources)
    linker = "CXX" if has_cpp else "C"
    return filled(
        "c/CMakeLists.txt",
        project=facts.name,
        more_languages=" CXX" if has_cpp else "",
        packages=call.packages,
        sources="\n".join(f"  src/{name}" for name in sorted(sources)),
        libraries=call.libraries,
        main_ending=language,
        check="\n" + filled("c/check.cmake", linker=linker) if has_check else "",
    )
