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
    device: Annotated[str, typer.Option("--device", "-d", help="local or emulated.")] = "local",
    runs: Annotated[int, typer.Option(help="Runs to measure.")] = 100,
    threads: Annotated[int, typer.Option(help="Threads of the runtime; 0: as it likes.")] = 0,
    json: opt.Json = False,
) -> None:
    """Measure a bundle on a device: latency, load time, memory, with the device's facts."""
    from edgeopt.api import profile as measure  # noqa: PLC0415 (only here)
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    found = measure(bundle, device=device, runs=runs, threads=threads)
    if json:
        print_json(found.to_dict())
    else:
        print_rows([("bundle", found.bundle), *_rows(found)])


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _rows(found: Profile) -> list[tuple[str, str]]:
    device, runtime = found.facts["device"], found.facts["runtime"]
    facts = [
        ("device", f"{k}: {_shown(v)}") for k, v in device.items() if v not in (None, "", [], {})
    ]
    rows = [("result", line) for line in str(found).splitlines()]
    return [*rows, *(("runtime", f"{k}: {v}") for k, v in runtime.items()), *facts]
