"""`edgeopt inspect` and `edgeopt verify`."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.bundles.manifest import Manifest, Variant
    from edgeopt.ir import Program

__all__ = ["inspect", "is_bundle", "verify"]


def inspect(
    *,
    path: Annotated[
        str, typer.Argument(help="A bundle, a program archive, a .pt2 file or module:function.")
    ],
    text: Annotated[
        bool, typer.Option("--text", help="Print a program's text, line by line.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Show what a bundle or a program holds."""
    from edgeopt.cli.show import print_json, print_rows, printable  # noqa: PLC0415

    if is_bundle(Path(path)):
        from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only here)

        bundle = read_bundle(path)
        print_json(_bundle_dict(bundle)) if json else print_rows(bundle_rows(bundle))
        return
    program = _program(path)
    if json:
        print_json(_program_dict(program))
    elif text:
        typer.echo(printable(program.text), nl=False)
    else:
        print_rows(program_rows(program))


def verify(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    device: Annotated[
        str, typer.Option("--device", "-d", help="this-process, local, emulated, or any device.")
    ] = "this-process",
    public_key: opt.PublicKey = None,
    threads: opt.Threads = 0,
    json: opt.Json = False,
) -> None:
    """Check every digest of a bundle, and its golden samples on this machine or a device."""
    from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    loaded_bundle = read_bundle(bundle, public_key=public_key)
    failed = _golden_differences(loaded_bundle, device, threads)
    programs = loaded_bundle.manifest.programs
    count = sum(len(own.golden.samples) for own in programs if own.golden is not None)
    result = {
        "bundle": str(bundle),
        "digest": loaded_bundle.digest,
        "files": len(loaded_bundle.manifest.files),
        "signature": "valid" if public_key is not None else "not asked for",
        "golden_samples": count,
        "device": device,
        "failed": failed,
        "ok": not failed,
    }
    if json:
        print_json(result)
    else:
        rows = [
            ("files", f"{result['files']} match their digests"),
            ("signature", str(result["signature"])),
            ("golden", f"{count} samples on {device}, {len(failed)} out of tolerance"),
            *[("failed", line) for line in failed],
        ]
        print_rows(rows)
    if failed:
        raise typer.Exit(1)


def _own_rows(manifest: Manifest, own: Variant, number: int) -> list[tuple[str, str]]:
    """Returns rows of one program: its number where there are several, what goes in and comes out."""
    title = [("program", f"{number}: {own.method}, {own.precision}")] if manifest.variants else []
    sides = (
        ("input", own.signature.inputs, own.reads),
        ("output", own.signature.outputs, own.writes),
    )
    rows = [
        (kind, _tensor(spec) + (f" (state {states[spec.name]})" if spec.name in states else ""))
        for kind, specs, states in sides
        for spec in specs
    ]
    return [*title, *rows]


def bundle_rows(bundle: Bundle) -> list[tuple[str, str]]:
    """Returns what a bundle says of itself as rows."""
    from edgeopt.units import shown_bytes  # noqa: PLC0415 (only here)

    manifest = bundle.manifest
    tools = ", ".join(f"{k} {v}" for k, v in sorted(manifest.provenance.tools.items()))
    operators = ", ".join(f"{n} {name}" for name, n in sorted(manifest.operators.items()))
    golden = manifest.golden
    rows = [
        ("bundle", bundle.name),
        ("target", f"{manifest.target.name} ({manifest.target.title})"),
        ("backend", f"{manifest.backend}, {manifest.precision}"),
        *[row for n, own in enumerate(manifest.programs, 1) for row in _own_rows(manifest, own, n)],
        *[("state", f"{n} {s.dtype}{list(s.shape)}") for n, s in manifest.states.items()],
        ("size", shown_bytes(bundle.size_bytes)),
        ("model", manifest.entry),
        ("operators", operators),
        ("requires", ", ".join(manifest.requirements) or "numpy"),
        ("python", ", ".join(manifest.pythons) or "3.9 or later"),
        ("golden", f"{len(golden.samples)} samples by the {golden.source}" if golden else "none"),
        ("made by", f"edgeopt {manifest.provenance.edgeopt}, {tools}"),
        ("program", manifest.program),
        ("digest", bundle.digest),
    ]
    report = bundle.report or {}
    rows += [("history", step_text(step)) for step in report.get("history", [])]
    return rows + [("warning", w) for w in report.get("warnings", [])]


def program_rows(program: Program) -> list[tuple[str, str]]:
    """Returns what a program holds as rows: inputs, operators, grids, history."""
    from edgeopt.units import shown_bytes  # noqa: PLC0415 (only here)

    facts = _program_dict(program)
    rows = [
        ("precision", program.precision),
        *[("input", _tensor(s)) for s in program.signature.inputs],
        *[("output", _tensor(s)) for s in program.signature.outputs],
        ("weights", shown_bytes(program.size_bytes)),
        *[("operators", f"{n} {name}") for name, n in facts["operators"].items()],
        *[("grids", f"{n} {kind}") for kind, n in facts["grids"].items()],
        *[("history", step_text(step)) for step in facts["history"]],
        ("digest", program.digest),
    ]
    return [*rows, *(("grid", f"{name}: {text}") for name, text in facts["quant"].items())]


def is_bundle(path: Path) -> bool:
    """Returns whether a bundle lies at ``path``, or what may be a damaged one."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "manifest.json" in archive.namelist()
    except Exception:  # noqa: BLE001 (zipfile raises a dozen kinds; who reads it says what is wrong)
        return False


def _program(path: str) -> Program:
    from edgeopt.cli.sources import load_model  # noqa: PLC0415 (only here)
    from edgeopt.deployment.steps import as_program  # noqa: PLC0415 (torch)

    source = load_model(path)
    return as_program(source.model, source.example_inputs)


def _bundle_dict(bundle: Bundle) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415 (only here)

    return {"manifest": msgspec.to_builtins(bundle.manifest), "report": bundle.report}


def _program_dict(program: Program) -> dict[str, Any]:
    from collections import Counter  # noqa: PLC0415 (only here)

    import msgspec  # noqa: PLC0415

    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (torch)
    from edgeopt.ir.text import parameters_text  # noqa: PLC0415

    calls = Counter(operator_name(n) for n in program.graph.nodes if n.op == "call_function")
    kinds = Counter(spec.dtype for spec in program.quant.values())
    quant = {
        name: f"{parameters_text(spec)}{f', found by {spec.method}' if spec.method else ''}"
        for name, spec in program.quant.items()
    }
    return {
        "precision": program.precision,
        "digest": program.digest,
        "size_bytes": program.size_bytes,
        "signature": msgspec.to_builtins(program.signature),
        "operators": dict(sorted(calls.items())),
        "grids": dict(sorted(kinds.items())),
        "quant": quant,
        "history": [msgspec.to_builtins(step) for step in program.history],
    }


def _golden_differences(bundle: Bundle, device: str, threads: int) -> list[str]:
    if device != "this-process":
        from edgeopt.deployment.on_device import verify_on  # noqa: PLC0415 (only here)

        return verify_on(bundle, device, threads=threads)
    from edgeopt.registry import find_backend  # noqa: PLC0415 (only here)

    backend, lines = find_backend(bundle.manifest.backend), []
    for number, own in enumerate(bundle.manifest.programs):
        golden = bundle.golden(number)
        if golden is None:
            continue
        label = f"{own.method}, program {number + 1}: " if bundle.manifest.variants else ""
        runner = backend.load(bundle.artifact(number), threads=threads)
        try:
            lines += [label + line for line in golden.differences(runner)]
        finally:
            runner.close()
    return lines


def _tensor(spec: Any) -> str:
    return f"{spec.name} {spec.dtype}{list(spec.shape)}"


def step_text(step: dict[str, Any]) -> str:
    """Returns one entry of a history in one line: its settings, and what came of it."""
    settings, effect = (_shown(step[part]) for part in ("settings", "effect"))
    detail = f": {settings}" if settings and step["name"] in _TOLD else ""
    return f"{step['name']}{detail}{f' ({effect})' if effect else ''}"


_TOLD = ("prune", "sparsify", "finetune", "distill", "train_quantized")
"""Steps of which the settings say more than the effect."""


def _shown(values: dict[str, Any]) -> str:
    """Returns values in one line; of a list of tables, such as a training's epochs, their number."""
    parts = []
    for name, value in values.items():
        long = isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value)
        parts.append(f"{name}={len(value) if long else value}")
    return ", ".join(parts)
