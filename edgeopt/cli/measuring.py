"""`edgeopt profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeopt.cli import options as opt

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.measure import OperatorCounts, OperatorProfile, Profile

__all__ = ["count_rows", "operator_rows", "profile"]

_HEADER = ("ms", "share", "kind", "operator", "kernel", "where")


def profile(
    *,
    bundle: Annotated[Path, typer.Argument(help="The bundle: a folder or a .zip.")],
    device: Annotated[
        str, typer.Option("--device", "-d", help="One, or several with commas: pi4,pi5,nuc.")
    ] = "local",
    runs: opt.Runs = 100,
    threads: opt.Threads = 0,
    cores: opt.Cores = "",
    min_seconds: opt.MinSeconds = 1.0,
    operators: Annotated[
        bool, typer.Option("--operators", help="Time each operator too, and say what limits it.")
    ] = False,
    throughput: Annotated[
        bool,
        typer.Option("--throughput", help="Runs a second, several at once, in place of latency."),
    ] = False,
    streams: Annotated[
        int, typer.Option("--streams", min=0, help="How many at once; 0 tries several.")
    ] = 0,
    save: Annotated[
        Path | None, typer.Option("--save", help="Keep it in this file, for `edgeopt compare`.")
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", help="How the history calls the model; else the bundle's name."),
    ] = "",
    executor: Annotated[
        str | None,
        typer.Option("--executor", help="Several devices: ray or ray://HOST:PORT instead of here."),
    ] = None,
    public_key: opt.PublicKey = None,
    json: opt.Json = False,
) -> None:
    """Measure a bundle on devices: latency or throughput, load time, memory, with the device's facts."""
    from edgeopt.bundles import read_bundle  # noqa: PLC0415 (only here)

    loaded_bundle = read_bundle(bundle, public_key=public_key)
    how = {"runs": runs, "threads": threads, "cores": cores, "min_seconds": min_seconds}
    if throughput:
        _refuse_for_throughput(device, executor, operators=operators, save=save)
        _print_throughput(loaded_bundle, device, streams=streams, how=how, json=json)
        return
    if "," in device or executor:
        names = [name.strip() for name in device.split(",") if name.strip()]
        _refuse_for_many(operators=operators, save=save)
        _measure_many(loaded_bundle, names, json=json, executor=executor, **how)
        return
    measurement, timed = _measured(loaded_bundle, device, operators=operators, how=how)
    notes = _kept(loaded_bundle, measurement, timed, save=save, model=model)
    _print(loaded_bundle, measurement, timed, notes, json=json)


def _refuse_for_many(*, operators: bool, save: Path | None) -> None:
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    if operators or save:
        what = "--operators and --save are for one device at a time, and not with --executor"
        raise InputError(what, where="--device", hint="--json prints all of several devices")


def _refuse_for_throughput(
    device: str, executor: str | None, *, operators: bool, save: Path | None
) -> None:
    from edgeopt.errors import InputError  # noqa: PLC0415 (only here)

    if operators or save or executor or "," in device:
        what = "goes without --operators, --save and --executor, and with one device"
        raise InputError(what, where="--throughput", hint="--json prints all of it")


def _print_throughput(
    bundle: Bundle, device: str, *, streams: int, how: dict[str, Any], json: bool
) -> None:
    from edgeopt.cli.show import print_columns, print_json, print_rows  # noqa: PLC0415 (only here)
    from edgeopt.deployment.on_device import placed  # noqa: PLC0415

    with placed(bundle, device) as there:
        result = there.throughput(streams=streams, **how)
    if json:
        print_json(result.to_dict())
        return
    print_rows([("bundle", result.bundle), ("result", str(result))])
    rows = [[str(one), str(each or "-"), f"{rate:.4g}"] for one, each, rate in result.tried]
    print_columns(("at once", "threads each", "runs a second (a trial)"), rows)


def _measured(
    bundle: Bundle, device: str, *, operators: bool, how: dict[str, Any]
) -> tuple[Profile, OperatorProfile | OperatorCounts | None]:
    if not operators:
        from edgeopt.api import profile as measure  # noqa: PLC0415 (only here)

        return measure(bundle, device=device, **how), None
    from edgeopt.deployment.on_device import placed  # noqa: PLC0415
    from edgeopt.devices.lock import measuring  # noqa: PLC0415

    with placed(bundle, device) as there, measuring(there.device):
        measurement = there.profile(**how)
        if bundle.manifest.target.microcontroller is not None:
            return measurement, there.operator_counts(**how)
        return measurement, there.operators(**how)


def _kept(
    bundle: Bundle,
    found: Profile,
    timed: OperatorProfile | OperatorCounts | None,
    *,
    save: Path | None,
    model: str,
) -> list[str]:
    """Returns what the history says to it, after adding it there, and saves it where asked."""
    from edgeopt.errors import InputError  # noqa: PLC0415
    from edgeopt.measure import OperatorCounts as Counts  # noqa: PLC0415
    from edgeopt.measure.history import append, changes, read_history  # noqa: PLC0415
    from edgeopt.measure.record import Saved, make_record  # noqa: PLC0415

    record = make_record(bundle, found, model=model)
    if record is None:
        if save is not None:
            raise InputError("an emulated device has no times to keep", where="--save")
        return []
    if save is not None:
        if isinstance(timed, Counts):
            saved = Saved(record, found, counts=timed)
        else:
            saved = Saved(record, found, operators=timed)
        saved.save(save)
    if not append(record):
        return []
    records, _ = read_history()
    last = [one for one in changes(records) if one.after == record]
    return [f"{one.ratio} beside the version before" for one in last]


def _print(
    bundle: Bundle,
    found: Profile,
    timed: OperatorProfile | OperatorCounts | None,
    notes: list[str],
    *,
    json: bool,
) -> None:
    from edgeopt.cli.show import print_columns, print_json, print_rows  # noqa: PLC0415
    from edgeopt.measure import OperatorCounts as Counts  # noqa: PLC0415
    from edgeopt.measure import explain  # noqa: PLC0415

    history = [("history", note) for note in notes]
    if timed is None or isinstance(timed, Counts):
        counts = {} if timed is None else {"operators": timed.to_dict()}
        if json:
            print_json({**found.to_dict(), **counts})
            return
        print_rows([("bundle", found.bundle), *_rows(found), *history])
        if timed is not None:
            print_columns((timed.unit, "share", "kind", "operator", "where"), count_rows(timed))
            print_rows([("operators", f"{timed.sum} of {timed.whole} {timed.unit} of the whole")])
        return
    findings = explain(timed, bundle.manifest.target)
    if json:
        explanations = [{"topic": f.topic, "text": f.text} for f in findings]
        print_json({**found.to_dict(), "operators": timed.to_dict(), "findings": explanations})
        return
    print_rows([("bundle", found.bundle), *_rows(found), *history])
    print_columns(_HEADER, operator_rows(timed))
    kinds = ", ".join(f"{kind} {ms:.3g} ms" for kind, ms in timed.by_kind().items())
    whole = f"{timed.sum_ms:.3g} ms, {timed.covered:.0%} of the whole in the same runs"
    print_rows(
        [
            ("operators", f"{whole}; {kinds}"),
            *(("warning", text) for text in timed.warnings),
            *((f.topic, f.text) for f in findings),
        ]
    )


def operator_rows(timed: OperatorProfile, count: int = 12) -> list[list[str]]:
    """Returns a row for each of the costliest operators, and one for all others."""
    top = timed.top(count)
    rows = [
        [f"{o.time_ms:.3g}", f"{o.share:.1%}", o.kind, o.operator or "-", o.kernel, o.place]
        for o in top
    ]
    rest = timed.sum_ms - sum(one.time_ms for one in top)
    others = len(timed.operators) - len(top)
    if others:
        share = rest / timed.sum_ms if timed.sum_ms else 0.0
        rows.append([f"{rest:.3g}", f"{share:.1%}", "", "", "", f"{others} others"])
    return rows


def count_rows(counted: OperatorCounts, count: int = 12) -> list[list[str]]:
    """Returns a row for each of the costliest steps of a microcontroller, and one for all others."""
    top = counted.top(count)
    rows = [[f"{o.count}", f"{o.share:.1%}", o.kind, o.operator or "-", o.place] for o in top]
    others = len(counted.operators) - len(top)
    if others:
        rest = counted.sum - sum(one.count for one in top)
        share = rest / counted.sum if counted.sum else 0.0
        rows.append([f"{rest}", f"{share:.1%}", "", "", f"{others} others"])
    return rows


def _measure_many(bundle: Bundle, names: list[str], *, json: bool, **options: Any) -> None:
    """Measures on several devices; ends with the status of the first that failed."""
    from edgeopt.api import profile_many  # noqa: PLC0415 (only here)
    from edgeopt.cli.guard import exit_code  # noqa: PLC0415
    from edgeopt.cli.show import print_json, print_rows  # noqa: PLC0415

    outcomes = profile_many(bundle, names, **options)
    if json:
        print_json([one.to_dict() for one in outcomes])
    else:
        lines = [(one.device, str(one.profile or f"FAILED: {one.error}")) for one in outcomes]
        print_rows([(name, line) for name, text in lines for line in text.splitlines()])
    failed = next((one.error for one in outcomes if one.error is not None), None)
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
