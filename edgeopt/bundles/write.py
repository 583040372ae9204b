"""Writes a bundle: whole or not at all, and the same bytes for the same things."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.bundles.layout import PAGE, bundle_files, report_file, seal
from edgeopt.bundles.publish import publish
from edgeopt.bundles.read import Bundle, read_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.bundles.family import Family, Member
    from edgeopt.bundles.golden import GoldenSamples
    from edgeopt.contracts import Artifact, DeviceRuntime, Target
    from edgeopt.options import Postprocess, Preprocessing

__all__ = ["add_report", "copy_bundle", "write_bundle"]


def write_bundle(  # noqa: PLR0913 (the parts of a bundle, by name)
    artifact: Artifact,
    runtime: DeviceRuntime,
    target: Target,
    *,
    path: Path | str,
    golden: GoldenSamples | None = None,
    report: Mapping[str, Any] | None = None,
    page: bytes | None = None,
    name: str | None = None,
    preprocess: Preprocessing | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] | None = None,
    links: Member | None = None,
    family: Family | None = None,
    zip: bool = False,  # noqa: A002 (the word that users know)
    overwrite: bool = False,
) -> Bundle:
    """Returns the bundle that was written to ``path``, read back and checked.

    Args:
        artifact: What a backend compiled.
        runtime: What must be on the device.
        target: The device it is for.
        path: A folder, or a file with ``zip`` or where the name ends in ``.zip``.
        golden: Samples that the device can check itself with.
        report: What was measured, JSON-able.
        page: The same as HTML, for people.
        name: How a person calls it; made of target, backend and precision where missing.
        preprocess: How a picture, a sound or a text becomes an input.
        postprocess: What the outputs mean.
        labels: The classes' names.
        links: Method and state of the first program.
        family: Further programs, and the state that all share.
        zip: One .zip for a folder.
        overwrite: Replace a bundle that lies there, once the new one is whole.

    Raises:
        InputError: The parts do not fit each other, or something lies at ``path``.
        BundleError: It cannot be written; nothing half-written lies at ``path``.
    """
    path = Path(path)
    files = bundle_files(
        artifact,
        runtime,
        target,
        golden=golden,
        report=report,
        page=page,
        name=name,
        preprocess=preprocess,
        postprocess=postprocess,
        labels=labels,
        links=links,
        family=family,
    )
    return _published(files, path, as_zip=zip or path.suffix == ".zip", overwrite=overwrite)


def add_report(bundle: Bundle, report: Mapping[str, Any]) -> Bundle:
    """Returns the bundle at the same place with ``report`` in it, for the one it had, if any.

    A page (`report.html`) that told of the one before is left out.

    Raises:
        InputError: The report is not plain JSON.
        BundleError: The bundle changed meanwhile, or cannot be written; the old one stays.
    """
    files = _with_report(bundle, report, None)
    return _published(files, bundle.path, as_zip=bundle.is_zip, overwrite=True)


def copy_bundle(
    bundle: Bundle,
    path: Path,
    *,
    report: Mapping[str, Any],
    page: bytes | None = None,
    overwrite: bool = False,
) -> Bundle:
    """Returns a copy of the bundle at ``path``, with ``report`` in it for the one it had.

    Args:
        bundle: The bundle.
        path: A folder, or a file whose name ends in ``.zip``.
        report: What was measured, JSON-able.
        page: The same as HTML, for people.
        overwrite: Replace a bundle that lies there, once the new one is whole.

    Raises:
        InputError: The report is not plain JSON, or something lies at ``path``.
        BundleError: The bundle changed meanwhile, or cannot be written.
    """
    files = _with_report(bundle, report, page)
    return _published(files, path, as_zip=path.suffix == ".zip", overwrite=overwrite)


def _published(files: Mapping[str, bytes], path: Path, *, as_zip: bool, overwrite: bool) -> Bundle:
    return publish(files, path, as_zip=as_zip, overwrite=overwrite, check=read_bundle).at(path)


def _with_report(bundle: Bundle, report: Mapping[str, Any], page: bytes | None) -> dict[str, bytes]:
    files = {name: bundle.read(name) for name in bundle.manifest.files if name != PAGE}
    files["report.json"] = report_file(report)
    if page is not None:
        files[PAGE] = page
    manifest = msgspec.structs.replace(bundle.manifest, report="report.json")
    return seal(manifest, files)
