"""Gathers a report: of what a deployment says of itself, or of a bundle alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import convert, decode_json, read_file, refusing
from edgeopt.reporting.content import Point, Report, Trial
from edgeopt.reporting.findings import findings_of
from edgeopt.reporting.layers import layers_of
from edgeopt.reporting.memory import memory_of
from edgeopt.reporting.stored import Stored
from edgeopt.reporting.times import operators_of, with_times
from edgeopt.reporting.verdict import figures_of, state_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgeopt.bundles import Bundle
    from edgeopt.measure.record import Record, Saved

__all__ = ["MAX_MEASURED_BYTES", "bundle_report", "gather", "measured_path"]

MAX_MEASURED_BYTES = 64 << 20
_SHOWN_SETTING = 200


def gather(
    plain: Mapping[str, Any],
    *,
    name: str = "",
    where: str = "report.json",
    saved: Saved | None = None,
    facts: Mapping[str, str] | None = None,
) -> Report:
    """Returns the report of what ``plain`` says.

    Args:
        plain: As in a bundle's report.json, and times where they are known.
        name: How the bundle is called.
        where: Where it comes from, for errors.
        saved: Operator by operator, as `edgeopt profile --save` wrote it.
        facts: More for the table of facts.

    Raises:
        InputError: It is something else.
    """
    stored = convert(dict(plain), Stored, where=where)
    with refusing(where):
        return _report(stored, name, saved, facts or {})


def _report(stored: Stored, name: str, saved: Saved | None, facts: Mapping[str, str]) -> Report:
    layers = with_times(layers_of(stored), saved)
    operators, unit, source = operators_of(layers, saved)
    return Report(
        title=name or f"{stored.target} {stored.backend} {stored.precision}".strip() or "a model",
        subtitle=_subtitle(stored),
        state=state_of(stored),
        verdict=verdict_of(stored),
        figures=figures_of(stored),
        findings=findings_of(stored, layers),
        warnings=stored.every_warning,
        layers=layers,
        operators=operators,
        unit=unit,
        operators_source=source,
        memory=memory_of(stored, layers),
        trials=_trials(stored),
        steps=tuple((step.name, _shown(step.effect)) for step in stored.history),
        facts={**_facts(stored), **facts},
    )


def bundle_report(
    bundle: Bundle, *, saved: Saved | None = None, records: Sequence[Record] = ()
) -> Report:
    """Returns the report of a bundle, with the times that lie beside it.

    Args:
        bundle: The bundle.
        saved: Of the same bundle: what `edgeopt profile --save` wrote.
        records: The history; those of other models are left out.

    Raises:
        InputError: Its report, or the file beside it, is something else.
    """
    plain = {**(bundle.report or {}), **_measured(bundle)}
    manifest = bundle.manifest
    plain.setdefault("target", manifest.target.name)
    plain.setdefault("backend", manifest.backend)
    plain.setdefault("precision", manifest.precision)
    if saved is not None:
        plain["profile"] = saved.profile.to_dict()
    facts = {"bundle digest": bundle.digest, "edgeopt": manifest.provenance.edgeopt}
    report = gather(plain, name=bundle.name, where=str(bundle.path), saved=saved, facts=facts)
    return _with_history(report, manifest.target.name, bundle.name, records)


def measured_path(bundle_path: Path) -> Path:
    """Returns where times of a bundle lie: beside it, since they differ from run to run and its bytes do not."""
    return bundle_path.with_name(f"{bundle_path.name}.measured.json")


def _measured(bundle: Bundle) -> dict[str, Any]:
    """Returns what was measured when the bundle was made; nothing where that is of another one."""
    path = measured_path(bundle.path)
    if not path.is_file():
        return {}
    content = bytes(read_file(path, most=MAX_MEASURED_BYTES))
    plain: dict[str, Any] = decode_json(content, dict[str, Any], where=str(path))
    if plain.get("bundle_digest") != bundle.digest:
        return {}
    return {key: plain[key] for key in ("speed", "profile", "warnings") if key in plain}


def _with_history(report: Report, target: str, model: str, records: Sequence[Record]) -> Report:
    own = [one for one in records if one.model == model and one.target == target]
    points = tuple(
        Point(
            label=f"{one.backend} {one.precision} of edgeopt {one.edgeopt}",
            latency_ms=one.latency.median_ms,
            low_ms=one.latency.low_ms,
            high_ms=one.latency.high_ms,
            unix_s=one.unix_s,
            series=f"{one.backend} {one.precision} on {one.device}, {one.threads or 'any'} threads",
        )
        for one in own
    )
    return msgspec.structs.replace(report, history=points)


def _subtitle(stored: Stored) -> str:
    title = f" ({stored.plan.title})" if stored.plan.title else ""
    parts = [f"{stored.target}{title}", stored.backend, stored.precision]
    return " · ".join(part for part in parts if part)


def _trials(stored: Stored) -> tuple[Trial, ...]:
    attempts = [
        Trial(one.precision, _shown(one.settings), one.outcome, one.taken)
        for one in stored.attempts
    ]
    backends = [
        Trial(f"backend {one.backend}", "", one.reason, one.chosen)
        for one in stored.plan.candidates
    ]
    return (*backends, *attempts)


def _facts(stored: Stored) -> dict[str, str]:
    return {
        "precision": f"{stored.precision}: {stored.precision_reason}",
        "program digest": stored.program_digest,
        "nodes": _shown(stored.nodes),
        "operators of the runtime": _shown(stored.operators),
        **{f"version of {name}": version for name, version in stored.plan.tools.items()},
    }


def _shown(values: Mapping[str, Any]) -> str:
    """Returns settings in one line; what is long, shortened."""
    parts = []
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        short = text if len(text) <= _SHOWN_SETTING else f"{text[:_SHOWN_SETTING]} …"
        parts.append(f"{name} {short}")
    return ", ".join(parts)
