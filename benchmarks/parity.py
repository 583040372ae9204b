"""Whether the artefacts compute what the reference does: EfficientNet-Lite0 in int8, 200 inputs.

    python benchmarks/parity.py [--no-emulation]

Both backends on this machine against the reference simulation, then the Raspberry Pi 4's bundle on
an emulated aarch64 machine against the same bundle here, in steps of the output's grid.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from _common import Report, option_parser
from _ours import int8_program
from photographs import calibration_set, held_out_set

import edgeopt
from edgeopt.gate.parity import check_parity, output_steps

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle

INPUTS, EMULATED_INPUTS = 200, 8
GOAL_ARGMAX, GOAL_COSINE, GOAL_STEPS = 0.995, 0.9999, 1.0


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__, fresh=True)
    parser.add_argument("--no-emulation", action="store_true", help="on this machine alone")
    options = parser.parse_args()
    report = Report("parity")
    calibration = calibration_set()
    program = int8_program(calibration)
    samples = [(x[None],) for x in held_out_set(INPUTS)]
    reference = edgeopt.reference(program)
    wanted = [(np.asarray(reference(*s)),) for s in samples]
    for backend in ("tflite", "openvino"):
        runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend))
        found = check_parity(
            runner, program, samples, wanted, inputs="photographs", where=f"{backend}, host"
        )
        held = {**msgspec.to_builtins(found), "argmax": found.argmax, "cosine": found.cosine}
        report.add(backend, held, f"{backend:9} {found}: {_verdict(found.ok)}")
    if not options.no_emulation and shutil.which("qemu-aarch64-static"):
        step = output_steps(program)[0]
        bundle = edgeopt.compile(program, "rpi4", backend="tflite")
        held = _across(bundle, samples[:EMULATED_INPUTS], step)
        report.add("aarch64", held, _line(held))
    report.write()


def _across(bundle: Bundle, samples: list[tuple[np.ndarray, ...]], step: float | None) -> Any:
    """Returns how far the bundle's outputs on aarch64 lie from those on this machine."""
    from edgeopt.devices import EmulatedDevice  # noqa: PLC0415 (not without QEMU)
    from edgeopt.measure import PlacedBundle  # noqa: PLC0415

    here = edgeopt.load(bundle)
    with EmulatedDevice(mcpu="cortex-a72") as device:
        there = PlacedBundle.push(bundle, device).run(samples)
    far = [float(np.abs(here(*s) - t[0]).max()) for s, t in zip(samples, there, strict=True)]
    equal = sum(here(*s).argmax() == t[0].argmax() for s, t in zip(samples, there, strict=True))
    return {
        "inputs": len(samples),
        "same_class": int(equal),
        "max_error": max(far),
        "output_step": step,
        "max_error_steps": max(far) / step if step else None,
    }


def _line(held: dict[str, Any]) -> str:
    steps = held["max_error_steps"]
    fine = _verdict(steps is not None and steps <= 1.001 * GOAL_STEPS)
    return (
        f"aarch64 (emulated Cortex-A72) and x86: at most {steps:.2f} output steps apart, "
        f"{held['same_class']} of {held['inputs']} name the same class: {fine}"
    )


def _verdict(ok: bool) -> str:  # noqa: FBT001 (one thing to say)
    return "within the goal" if ok else "OUTSIDE THE GOAL"


if __name__ == "__main__":
    main()
