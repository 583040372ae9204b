"""What may be named to be reported: bundles, and the JSON that other commands print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.bundles import Bundle, read_bundle
from edgeopt.errors import InputError
from edgeopt.measure.history import read_history
from edgeopt.measure.record import KIND, Saved, load_saved
from edgeopt.reporting.document import Document
from edgeopt.reporting.gather import bundle_report, gather
from edgeopt.reporting.search import search_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.measure.record import Record
    from edgeopt.reporting.content import Report

__all__ = ["document_of"]

_HINT = (
    "name a bundle, what `edgeopt deploy --json` (of a failed one too) or `edgeopt search --json` printed, or what "
    "`edgeopt profile --save` wrote"
)
_MOST_BYTES = 64 << 20


def document_of(*sources: Path | str | Bundle) -> Document:
    """Returns the report of one deployment, or of several beside each other.

    Args:
        *sources: As `edgeopt.report` documents them.

    Raises:
        InputError: One is something else, or there is nothing to report.
        BundleError: A bundle is damaged.
    """
    plains = [_plain(one) if _is_json(one) else None for one in sources]
    pairs = list(zip(sources, plains, strict=True))
    saved = [
        load_saved(Path(str(one))) for one, plain in pairs if plain and plain.get("kind") == KIND
    ]
    searches = [(one, plain) for one, plain in pairs if plain and "trials" in plain]
    records, _ = read_history()
    reports: list[Report] = []
    for one, plain in pairs:
        deployed = None if plain is None else _deployed(plain)
        if plain is None:
            reports.append(_of_bundle(one, saved, records))
        elif deployed is not None:
            reports.append(_of_deployment(one, deployed, saved))
        elif plain.get("kind") != KIND and "trials" not in plain:
            raise InputError("it is none of what is reported", where=str(one), hint=_HINT)
    if not reports:
        raise InputError("there is no deployment to report", where="report", hint=_HINT)
    points = tuple(
        point for one, plain in searches for point in search_points(plain, where=str(one))
    )
    first = msgspec.structs.replace(reports[0], search=points)
    return Document((first, *reports[1:]))


def _is_json(source: Any) -> bool:
    return not isinstance(source, Bundle) and Path(source).suffix == ".json"


def _plain(source: Any) -> dict[str, Any]:
    content = bytes(read_file(Path(source), most=_MOST_BYTES))
    plain: dict[str, Any] = decode_json(content, dict[str, Any], where=str(source))
    return plain


def _deployed(plain: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the deployment in what a command printed: itself, a search's best, or what a gate refused."""
    refused = plain.get("error")
    inner = refused.get("deployment") if isinstance(refused, dict) else plain.get("deployment")
    if isinstance(inner, dict):
        return inner
    return plain if "precision" in plain else None


def _of_bundle(source: Any, saved: Sequence[Saved], records: Sequence[Record]) -> Report:
    bundle = source if isinstance(source, Bundle) else read_bundle(Path(source))
    own = next((one for one in saved if one.record.digest == bundle.digest), None)
    return bundle_report(bundle, saved=own, records=records)


def _of_deployment(source: Any, plain: dict[str, Any], saved: Sequence[Saved]) -> Report:
    digest = plain.get("bundle_digest")
    own = next((one for one in saved if one.record.digest == digest), None)
    return gather(plain, name=Path(source).stem, where=str(source), saved=own)
