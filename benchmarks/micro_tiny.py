"""The networks of MLPerf Tiny on microcontrollers: flash, RAM, instructions, and whether every integer is right.

    python benchmarks/micro_tiny.py [--targets generic-cortex-m4f …] [--models ds-cnn …]

Each is deployed to the emulated core: its golden samples are the reference's to the last integer, or it is no
deployment. Instructions are QEMU's, the same each time: a core takes a cycle for most, more for some. MACs
are the network's multiply-adds. The arena stands beside the bound that no plan can beat, flash beside what
was foreseen.
"""

from __future__ import annotations

import warnings
from typing import Any

from _common import Report, option_parser
from _deployable import PLAIN
from _micro_models import MODELS, micro_model

import edgeopt
from edgeopt.errors import MemoryLimitError
from edgeopt.ir.macs import layer_macs
from edgeopt.registry import find_backend, find_target

TARGETS = [f"generic-cortex-{core}" for core in ("m0plus", "m3", "m4f", "m7", "m33", "m55")]
TARGETS += ["generic-rv32imc"]
CALIBRATION = 16


def main() -> None:
    """Deploys all networks to all cores, prints and writes the figures."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args()
    report = Report("micro_tiny")
    for name in options.models:
        entry = micro_model(name, CALIBRATION)
        program = edgeopt.quantize(
            entry.model, entry.samples, example_inputs=entry.samples[0], **PLAIN
        )
        for target in options.targets:
            try:
                figures = measured(entry, program, target)
            except MemoryLimitError as error:  # a result too
                report.add(f"{name}: {target}", {"refused": error.what}, f"{name} {error.what}")
                continue
            report.add(f"{name}: {target}", figures, line(name, target, figures))
    report.write()


def measured(entry: Any, program: Any, target: str) -> dict[str, Any]:
    """Returns the figures of a network on a core."""
    deployment = edgeopt.deploy(
        program, target, backend="micro", calibration_data=entry.samples, device="emulated"
    )
    metadata = deployment.bundle.artifact().metadata
    backend = find_backend("micro")
    lowered = backend.lower(program, find_target(target))
    macs = layer_macs(program)
    return {
        "code_bytes": metadata["code_bytes"],
        "constant_bytes": metadata["constant_bytes"],
        "foreseen_bytes": backend.memory(lowered).flash_bytes,
        "arena_bytes": metadata["arena_bytes"],
        "bound_bytes": lowered.model.plan.bound_bytes,
        "instructions": deployment.profile.instructions,
        "macs": macs,
    }


def line(name: str, target: str, figures: dict[str, Any]) -> str:
    """Returns a line of the table."""
    flash = figures["code_bytes"] + figures["constant_bytes"]
    return (
        f"{name:18} {target.removeprefix('generic-'):16} flash {flash:7} B (code {figures['code_bytes']}; "
        f"foreseen {figures['foreseen_bytes']}), arena {figures['arena_bytes']:6} B (bound {figures['bound_bytes']}), "
        f"{figures['instructions'] / 1e6:7.2f} M instructions, {figures['instructions'] / figures['macs']:.2f} a MAC"
    )


if __name__ == "__main__":
    main()
