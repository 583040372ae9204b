"""The page in a bundle, and the file of times beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.errors import BundleError
from edgeopt.files import write_file
from edgeopt.reporting import gather, measured_path, report_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.options import BundleOptions

__all__ = ["bundle_page", "with_measured"]


def bundle_page(report: Mapping[str, Any], options: BundleOptions) -> bytes | None:
    """Returns the report as a page; None where none is wanted.

    It tells what report.json does: no times, so that the same model gives the same bytes.

    Args:
        report: As in the bundle.
        options: Whether a page is wanted, and the bundle's name.
    """
    if not options.page:
        return None
    return report_page(gather(report, name=options.name or "")).encode()


def with_measured(deployment: Deployment, request: Request) -> Deployment:
    """Returns ``deployment``, whose times were written beside its bundle, where it lies at an ``output``.

    Raises:
        BundleError: The file cannot be written.
    """
    times = deployment.speed or deployment.profile
    if (
        request.output is None
        or deployment.bundle is None
        or times is None
        or not request.bundle.page
    ):
        return deployment
    plain = deployment.to_dict()
    plain["profile"] = {**(plain["profile"] or {}), "samples_ns": ()} if plain["profile"] else None
    fields = {key: plain[key] for key in ("bundle_digest", "speed", "profile", "warnings")}
    path = measured_path(deployment.bundle.path)
    try:
        write_file(path, msgspec.json.format(msgspec.json.encode(fields)))
    except OSError as error:
        raise BundleError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return deployment
