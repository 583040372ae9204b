"""Instructions a multiplication of the integer kernels for microcontrollers, on emulated cores.

    python benchmarks/micro_kernels.py [--cores cortex-m4 cortex-m55 …]

QEMU gives every instruction a nanosecond, and the core's timer counts them: the same figure on every
machine. A real core takes a cycle for most, more for loads and branches, and Helium's vectors two or
four.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from _common import Report, option_parser

from edgeopt_micro.testing.bare import CORES, NATIVE, BareCore, build, run
from edgeopt_micro.testing.cases import make_case
from edgeopt_micro.testing.programs import constant, parameters
from edgeopt_micro.weighted import Geometry, convolution

LAYERS = {
    "DS-CNN first 10x4, 1 to 64": Geometry(1, (49, 10), (25, 5), 1, 64, (10, 4), (2, 2), (4, 1)),
    "DS-CNN depthwise 3x3, 64, 25x5": Geometry(
        1, (25, 5), (25, 5), 64, 64, (3, 3), padding=(1, 1), groups=64
    ),
    "DS-CNN 1x1, 64 to 64, 25x5": Geometry(1, (25, 5), (25, 5), 64, 64),
    "MobileNet first 3x3, 3 to 8, 96x96": Geometry(1, (96, 96), (48, 48), 3, 8, (3, 3), (2, 2)),
    "MobileNet depthwise 3x3, 8, 48x48": Geometry(
        1, (48, 48), (48, 48), 8, 8, (3, 3), padding=(1, 1), groups=8
    ),
    "MobileNet depthwise 3x3 by 2, 32, 24x24": Geometry(
        1, (24, 24), (12, 12), 32, 32, (3, 3), (2, 2), groups=32
    ),
    "MobileNet 1x1, 8 to 16, 48x48": Geometry(1, (48, 48), (48, 48), 8, 16),
    "MobileNet 1x1, 128 to 128, 6x6": Geometry(1, (6, 6), (6, 6), 128, 128),
    "ResNet-8 3x3, 16 to 16, 32x32": Geometry(
        1, (32, 32), (32, 32), 16, 16, (3, 3), padding=(1, 1)
    ),
    "ResNet-8 3x3 by 2, 16 to 32, 32x32": Geometry(1, (32, 32), (16, 16), 16, 32, (3, 3), (2, 2)),
    "dense 640 to 128": Geometry(1, (1, 1), (1, 1), 640, 128),
}


def main() -> None:
    """Counts all layers on all cores, prints and writes the figures."""
    parser = option_parser(__doc__)
    parser.add_argument("--cores", nargs="+", default=list(CORES), choices=list(CORES))
    options = parser.parse_args()
    report = Report("micro_kernels")
    for name in options.cores:
        _print(report, name, _counts(CORES[name]))
    report.write()


def _print(report: Report, core: str, counts: list[int]) -> None:
    print(f"{core}: instructions a multiplication")
    for (layer, geometry), count in zip(LAYERS.items(), counts, strict=True):
        products = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
        products *= geometry.out_channels * geometry.depth
        figure = round(count / products, 3)
        report.add(f"{core}: {layer}", {"edgeopt": figure}, f"{layer:42} {figure:6.3f}")


def _counts(bare: BareCore) -> list[int]:
    """Returns the instructions that each layer takes."""
    program, sources = _program(bare)
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder) / "layers.c", Path(folder) / "layers.elf"
        source.write_text(program)
        build(bare, [source, *sources], built)
        lines = run(bare, built, counted=True).split()
    if len(lines) != len(LAYERS):
        sys.exit(f"the program ended early: {' '.join(lines[-5:])}")
    return [int(line) * bare.tick_ps // 1000 for line in lines]


def _program(bare: BareCore) -> tuple[str, list[Path]]:
    """Returns a program that calls each layer once and prints the counter, and its kernels."""
    text = ['#include "bare.h"\n#include "edgeopt_weighted.h"\n']
    body, files, largest, scratch = [], set(), 0, 0
    for index, geometry in enumerate(LAYERS.values()):
        case = make_case(geometry, np.random.default_rng(index))
        # Weights of a symmetric grid are never -128.
        np.maximum(case.weights.weight, -127, out=case.weights.weight)
        call = convolution(bare.core, geometry, case.weights)
        largest, scratch = max(largest, case.expected.size), max(scratch, call.scratch_bytes)
        files |= {NATIVE / file for file in call.sources if file.endswith(".c")}
        text += [parameters(f"layer{index}", call), constant(f"in{index}", case.input)]
        body.append(
            f"  bare_count_start();\n"
            f"  {call.function}(&layer{index}, in{index}, output, scratch);\n"
            f'  bare_print_number(bare_count());\n  bare_print("\\n");\n'
        )
    memory = f"static int8_t output[{largest}] __attribute__((aligned(16)));\n"
    memory += f"static int8_t scratch[{scratch}] __attribute__((aligned(16)));\n"
    return "".join([*text, memory, "void bare_main(void) {\n", *body, "}\n"]), sorted(files)


if __name__ == "__main__":
    main()
