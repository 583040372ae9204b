"""`edgeopt profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.measure import Profile

__all__ = ["profile"]


def profile(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    device: Annotated[
        str, typer.Option("--device", "-d", help="One, or several with commas: pi4,pi5,nuc.")
    ] = "local",
    runs: Annotated[int, typer.Option(help="Runs to measure.")] = 100,
    threads: Annotated[int, typer.Option(help="Threads of the runtime; 0: as it likes.")] = 0,
    json: opt.Json = False,
) -> None:
    """Measure a bundle on devices: latency, load time, memory, with the device's facts."""
    from edgeopt.api import profile as measure  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    if "," in device:
        names = [name.strip() for name in device.split(",") if name.strip()]
        _measure_many(bundle, names, json=json, runs=runs, threads=threads)
        return
    found = measure(bundle, device=device, runs=runs, threads=threads)
    if json:
        print_json(found.to_dict())
    else:
        print_rows([("bundle", found.bundle), *_rows(found)])


def _measure_many(bundle: Path, names: list[str], *, json: bool, **options: Any) -> None:
    """Measures on several devices; ends with the status of the first that failed."""
    from edgeopt.api import profile_many  # noqa: PLC0415 (only here)
    from edgeopt.cli.guard import exit_code  # noqa: PLC0415
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    found = profile_many(bundle, names, **options)
    if json:
        print_json([one.to_dict() for one in found])
    else:
        lines = [(one.device, str(one.profile or f"FAILED: {one.error}")) for one in found]
        print_rows([(name, line) for name, text in lines for line in text.splitlines()])
    failed = next((one.error for one in found if one.error is not None), None)
    if failed is not None:
        raise typer.Exit(exit_code(failed))


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rows(found: Profile) -> list[tuple[str, str]]:
    device, runtime = found.facts["device"], found.facts["runtime"]
    facts = [
        ("device", f"{k}: {_shown(v)}") for k, v in device.items() if v not in (None, "", [], {})
    ]
    rows = [("result", line) for line in str(found).splitlines()]
    return [*rows, *(("runtime", f"{k}: {v}") for k, v in runtime.items()), *facts]
