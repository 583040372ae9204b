"""A deployment as rows of text. What was not measured on the target is never called its latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.contracts import TuningReport
    from edgeopt.deployment.result import Attempt, Deployment

__all__ = ["as_text", "result_rows", "tuning_lines"]


def result_rows(d: Deployment) -> list[tuple[str, str]]:
    """Returns (what, value) rows of a deployment."""
    rows = [
        ("target", f"{d.plan.target} ({d.plan.title})"),
        ("backend", d.plan.backend),
        ("precision", f"{d.precision}: {d.precision_reason}"),
        ("size", _size(d)),
        ("operators", _operators(d)),
    ]
    if d.memory is not None:
        rows.append(("memory", str(d.memory)))
        rows += [("memory", note) for note in d.memory.use.notes]
        rows += [("RAM over time", line) for line in d.memory.bars()]
    rows += _recipe(d)
    if d.accuracy is not None:
        verdict = "" if d.accuracy.ok else f": {d.accuracy.failure}"
        rows.append((d.accuracy.kind, f"{d.accuracy}{verdict}"))
    if d.parity is not None:
        rows.append(("parity", f"{d.parity}{'' if d.parity.ok else ': FAILED'}"))
    rows += [(f"program {n}", str(one)) for n, one in enumerate(d.programs, 2)]
    if d.streams is not None:
        rows.append(("state", str(d.streams)))
    rows += _speed_rows(d)
    if d.tuning is not None:
        rows += [("tuning", line) for line in tuning_lines(d.tuning)]
    if len(d.measured) > 1:
        rows += [(f"backend {one.backend}", one.outcome) for one in d.measured]
    rows += _profile_rows(d)
    rows += [
        (f"attempt {n}", _attempt(a)) for n, a in enumerate(d.attempts, 1) if len(d.attempts) > 1
    ]
    if d.bundle is not None:
        rows.append(("bundle", f"{d.bundle.path} ({shown_bytes(d.bundle.size_bytes)})"))
    rows += [("warning", warning) for warning in d.warnings]
    if d.diagnosis is not None:
        rows += [("diagnosis", line) for line in str(d.diagnosis).splitlines()]
    return rows


def as_text(rows: list[tuple[str, str]]) -> str:
    """Returns the rows in two columns; a name that repeats is written once."""
    width = max((len(what) for what, _ in rows), default=0)
    lines, before = [], None
    for what, value in rows:
        lines.append(f"{'' if what == before else what:{width}}  {value}".rstrip())
        before = what
    return "\n".join(lines)


def tuning_lines(report: TuningReport) -> list[str]:
    """Returns what came of tuning, in a few lines."""
    before, after = report.default_ms, report.best_ms
    times = f"{before / after:.2f} times as fast" if after else "nothing to tune"
    note = f", {report.known} known before" if report.known else ""
    seconds = f"{report.seconds:.0f} s, stopped by {report.stopped}"
    failed = ", ".join(f"{n} {kind}" for kind, n in report.failures.items())
    lines = [
        f"{report.trials} trials in {seconds}{note}",
        f"{len(report.kernels)} kernels, {before:.3f} -> {after:.3f} ms in all: {times}",
    ]
    if failed:
        lines.append(f"candidates that were dropped: {failed}")
    left_out = [f"{k.name} was left out: {k.note}" for k in report.kernels if k.note]
    return [*lines, *left_out, *report.notes, f"database {report.database}"]


def _size(d: Deployment) -> str:
    ratio = d.float_size_bytes / d.size_bytes if d.size_bytes else 0.0
    smaller = f", {ratio:.1f} times smaller" if ratio >= 1.05 else ""  # noqa: PLR2004 (5 %)
    return f"{shown_bytes(d.size_bytes)} (float weights {shown_bytes(d.float_size_bytes)}{smaller or _larger(d)})"


def _larger(d: Deployment) -> str:
    """Returns why an artefact is larger than the float weights; empty where it is not."""
    ratio = d.size_bytes / d.float_size_bytes if d.float_size_bytes else 0.0
    weights = d.program.size_bytes
    if ratio < 1.05 or weights >= d.size_bytes:  # noqa: PLR2004 (5 %)
        return ""
    return (
        f"; {ratio:.1f} times larger: {shown_bytes(d.size_bytes - weights)} are the graph and what {d.plan.backend} "
        f"writes beside {shown_bytes(weights)} of weights, which larger models do not notice"
    )


def _speed_rows(d: Deployment) -> Iterator[tuple[str, str]]:
    if d.speed is not None:
        yield f"speed ({d.speed.label})", str(d.speed)
    if d.passed_over is not None:
        yield f"passed over ({d.passed_over.speed.label})", str(d.passed_over)


def _recipe(d: Deployment) -> list[tuple[str, str]]:
    if d.compressed is None:
        return []
    lines = str(d.compressed).splitlines()
    return [(f"recipe {d.compressed.recipe.name}".strip(), line) for line in lines]


def _operators(d: Deployment) -> str:
    parts = [f"{d.support.count(v)} {v}" for v in ("integer", "float", "moves", "folded")]
    return ", ".join(parts)


def _attempt(a: Attempt) -> str:
    mark = " (taken)" if a.taken else ""
    values = a.settings.get("keep_float")
    beside = f", {len(values)} values in float" if values else ""
    return f"{a.precision}{beside}: {a.outcome}{mark}"


def _profile_rows(d: Deployment) -> list[tuple[str, str]]:
    if d.profile is None:
        return []
    elsewhere = d.profile.device == "local" and d.plan.target != "host"
    what = "this machine, not the target" if elsewhere else "device"
    return [(what, line) for line in str(d.profile).splitlines()]
