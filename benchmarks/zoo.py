"""Which kinds of models edgeopt deploys in int8, and how near backends stay to the reference.

    python benchmarks/zoo.py [name ...]      # all where none is named; then docs/zoo.md is written

Each model is quantized once, and that program goes to all backends. Parity compares 200 inputs with
the reference simulation; the signal-to-noise ratio compares with the float model. A model that a
backend cannot run is refused: the table names the operator and the line of its source.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _common import Report, option_parser
from _zoo import CALIBRATION, JUDGING, Entry, entries

import edgeopt
from edgeopt.errors import EdgeoptError, UnsupportedError
from edgeopt.gate.parity import check_parity, compare_outputs, run_all, with_operators

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeopt.ir import Program

    Arrays = tuple[np.ndarray, ...]

BACKENDS = ("tflite", "openvino", "tvm")
TABLE = Path(__file__).parents[1] / "docs" / "zoo.md"
HEAD = f"""# The zoo

Made by `python benchmarks/zoo.py`. Small models of many kinds, built from transformers' classes, and
an LSTM. Those that see images have learnt, in 200 steps, to tell photographs apart; the others
have seeded weights, so that their signal-to-noise ratio says how the arithmetic behaves, and nothing
of accuracy. Each is quantized to int8 once, calibrated on {CALIBRATION} inputs, and that one program
goes to all backends on an x86-64 machine with AVX512-VNNI (to TVM without tuning).

- **nodes**: operators that run in integers / in float, where they cost anything.
- **parity**: backend against the reference simulation on {JUDGING} other inputs: mean cosine (the least
  of all outputs) and, for outputs that are scores of classes, how often both name the same class.
  The gate asks for 0.9999 and 99.5 %.
- **SNR**: int8 on that backend against the float model, in dB.

| model | backend | nodes | parity: cosine | same class | gate | SNR, dB |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Runs everything, prints it and writes it."""
    warnings.simplefilter("ignore")
    parser = option_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="models; all where none is named")
    options = parser.parse_args()
    report = Report("zoo")
    rows = []
    for entry in entries(options.names):
        for backend, held in _row(entry).items():
            text = _text(held)
            report.add(f"{entry.name}, {backend}", held, f"{entry.name:16} {backend:9} {text}")
            rows.append(f"| {entry.name} | {backend} | {text} |")
    if not options.names:
        TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
        report.write()


def _row(entry: Entry) -> dict[str, dict[str, Any]]:
    try:
        plain = edgeopt.capture(entry.model, entry.calibration[0])
        program = edgeopt.quantize(plain, entry.calibration)
    except EdgeoptError as error:
        return dict.fromkeys(BACKENDS, _refused(error))
    samples = [tuple(t.numpy() for t in sample) for sample in entry.judging]
    wanted = run_all(edgeopt.reference(program), samples)
    float_outputs = run_all(edgeopt.reference(plain), samples)
    return {
        backend: _deployed(backend, program, samples, wanted, float_outputs) for backend in BACKENDS
    }


def _deployed(
    backend: str,
    program: Program,
    samples: Sequence[Arrays],
    wanted: Sequence[Arrays],
    float_outputs: Sequence[Arrays],
) -> dict[str, Any]:
    from edgeopt.registry import find_backend, find_target  # noqa: PLC0415 (only here)

    try:
        compiler, host = find_backend(backend), find_target("host")
        report = compiler.lower(program, host).support
        runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend))
    except EdgeoptError as error:
        return _refused(error)
    parity = check_parity(runner, program, samples, wanted)
    parity = with_operators(parity, program, compiler, host, samples)
    near = compare_outputs(program.signature, float_outputs, run_all(runner, samples))
    return {
        "integer": report.count("integer"),
        "float": report.count("float"),
        "cosine": parity.cosine,
        "same_class": parity.argmax,
        "parity": parity.ok,
        "reasons": list(parity.reasons),
        "snr_db": min(one.snr_db for one in near),
    }


def _refused(error: EdgeoptError) -> dict[str, Any]:
    held: dict[str, Any] = {"refused": error.what, "where": error.where or ""}
    if isinstance(error, UnsupportedError) and error.report is not None:
        held["nodes"] = [
            {"operator": n.operator, "source": n.source, "reason": n.reason}
            for n in error.report.unsupported
        ]
    return held


def _text(held: dict[str, Any]) -> str:
    if "refused" in held:
        nodes = held.get("nodes", [])
        named = {f"`{n['operator']}` at {n['source']}: {n['reason']}" for n in nodes}
        return f"refused: {'; '.join(sorted(named)) or held['refused']} | | | | "
    same = "" if held["same_class"] is None else f"{100 * held['same_class']:.1f} %"
    gate = "passed" if held["parity"] else "**failed**"
    nodes = f"{held['integer']} / {held['float']}"
    return f"{nodes} | {held['cosine']:.6f} | {same} | {gate} | {held['snr_db']:.1f}"


if __name__ == "__main__":
    main()
