"""`edgeopt compare` and `edgeopt history`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeopt.cli import options as opt
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from edgeopt.measure import Comparison
    from edgeopt.measure.history import Change
    from edgeopt.measure.record import Record

__all__ = ["compare", "history"]

_SHOWN = 12


def compare(
    *,
    a: Annotated[Path, typer.Argument(help="A bundle, or what `profile --save` wrote.")],
    b: Annotated[Path, typer.Argument(help="What to hold it against; of the same kind.")],
    device: Annotated[
        str, typer.Option("--device", "-d", help="Where two bundles are measured in turn.")
    ] = "local",
    runs: opt.Runs = 100,
    threads: opt.Threads = 0,
    cores: opt.Cores = "",
    min_seconds: opt.MinSeconds = 2.0,
    operators: Annotated[
        bool, typer.Option("--operators", help="Compare operator by operator too.")
    ] = False,
    public_key: opt.PublicKey = None,
    json: opt.Json = False,
) -> None:
    """Compare two bundles on a device, or two saved measurements."""
    from edgeopt.cli.show import print_columns, print_json, print_rows  # noqa: PLC0415

    how = {"runs": runs, "threads": threads, "cores": cores, "min_seconds": min_seconds}
    if a.suffix == ".json" and b.suffix == ".json":
        if public_key is not None:
            what = "saved measurements are not signed"
            raise InputError(what, where="--public-key", hint="give two bundles")
        from edgeopt.measure.compare import compare_saved  # noqa: PLC0415 (only here)
        from edgeopt.measure.record import load_saved  # noqa: PLC0415

        comparison = compare_saved(load_saved(a), load_saved(b))
    else:
        from edgeopt.api import compare as measure  # noqa: PLC0415 (only here)

        comparison = measure(a, b, device=device, operators=operators, public_key=public_key, **how)
    if json:
        print_json(comparison.to_dict())
        return
    print_rows(_rows(comparison))
    if comparison.operators:
        print_columns(("where", "A ms", "B ms", "A - B"), _differences(comparison))


def history(
    *,
    model: Annotated[str, typer.Option("--model", help="Only this model.")] = "",
    device: Annotated[str, typer.Option("--device", "-d", help="Only this device.")] = "",
    json: opt.Json = False,
) -> None:
    """Show what was measured before, and which version became slower."""
    from edgeopt.cli.show import print_columns, print_json, print_rows  # noqa: PLC0415
    from edgeopt.measure.history import changes, history_path, read_history  # noqa: PLC0415

    records, damaged = read_history()
    selection = [r for r in records if model in ("", r.model) and device in ("", r.device)]
    events = changes(selection)
    if json:
        print_json(
            {
                "path": str(history_path() or ""),
                "damaged_lines": damaged,
                "records": [_plain(record) for record in selection],
                "changes": [_plain(change) for change in events],
                "regressions": sum(change.regressed for change in events),
            }
        )
        return
    by_record = {id(change.after): change for change in events}
    if selection:
        print_columns(_HEADER, [_line(record, by_record.get(id(record))) for record in selection])
    else:
        print_rows([("history", f"nothing in {history_path() or 'it: it is switched off'}")])
    if damaged:
        print_rows([("warning", f"{damaged} lines of {history_path()} cannot be read")])


_HEADER = ("when", "model", "target", "backend", "precision", "device", "version", "ms", "change")


def _rows(found: Comparison) -> list[tuple[str, str]]:
    return [
        ("result", str(found)),
        (found.a, str(found.a_latency)),
        (found.b, str(found.b_latency)),
        *(("warning", text) for text in found.warnings),
    ]


def _differences(found: Comparison) -> list[list[str]]:
    rows = []
    for one in found.operators[:_SHOWN]:
        shown = ["-" if ms is None else f"{ms:.3g}" for ms in (one.a_ms, one.b_ms)]
        doubt = "" if one.certain else " (no difference)"
        rows.append([one.place, *shown, f"{one.difference_ms:+.3g}{doubt}"])
    return rows


def _line(record: Record, change: Change | None) -> list[str]:
    from datetime import UTC, datetime  # noqa: PLC0415 (only here)

    when = datetime.fromtimestamp(record.unix_s, UTC).strftime("%Y-%m-%d %H:%M")
    shown = f"{record.latency.median_ms:.3g}" + ("" if record.stable else " (unstable)")
    columns = [record.model, record.target, record.backend, record.precision, record.device]
    mark = "" if change is None else ("REGRESSED " if change.regressed else "") + str(change.ratio)
    return [when, *columns, record.digest[:8], shown, mark]


def _plain(value: object) -> object:
    import msgspec  # noqa: PLC0415 (only here)

    return msgspec.to_builtins(value)
