"""Which files a bundle is made of. Pure: the same things in, the same bytes out.

manifest.json      what the bundle says of itself (`edgeopt.bundles.manifest`)
run.py             the runner's command line
edgeopt_runner/    the runner
runtime.py         the backend's part of the runner
requirements.txt   exact versions that exist for the device
model/             the artefact's files; one called run is a program
lib/               the runtime's further files, if any
programs/1/ …      those of further programs, if any; most of a file may be taken from another one's
states/            what the runner keeps from call to call, where that does not begin with zeros
golden/            golden samples, if any; golden/1/ … those of further programs
labels.txt         the classes' names, if any
tokenizer.json     how a text becomes token ids, if any
origins.json       runtime operators back to the program's values, if known
report.json        what was measured, if given
report.html        the same as a page for people, if given
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from edgeopt import __version__
from edgeopt.bundles.device.edgeopt_runner.bundle import canonical, digest
from edgeopt.bundles.family import (
    Family,
    Member,
    check_family,
    program_fields,
    state_files,
    variant_files,
)
from edgeopt.bundles.joining import joined_family
from edgeopt.bundles.manifest import (
    KIND,
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    Provenance,
    RuntimeInfo,
    encode_manifest,
)
from edgeopt.bundles.paths import check_names
from edgeopt.bundles.postprocess import settled_postprocess
from edgeopt.bundles.preprocess import settled_preprocess
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable

    from edgeopt.bundles.golden import GoldenSamples
    from edgeopt.contracts import Artifact, DeviceRuntime, Target, Wheel
    from edgeopt.options import Postprocess, Preprocessing

__all__ = ["EXECUTABLE", "MANIFEST", "PAGE", "bundle_files", "file_mode", "report_file", "seal"]

MANIFEST = "manifest.json"
EXECUTABLE = "run.py"
PAGE = "report.html"
NATIVE = "model/run"


def file_mode(name: str) -> int:
    """Returns the permissions of file ``name``: what a person starts may be started."""
    return 0o755 if name in (EXECUTABLE, NATIVE) else 0o644


def bundle_files(  # noqa: PLR0913 (the parts of a bundle, by name)
    artifact: Artifact,
    runtime: DeviceRuntime,
    target: Target,
    *,
    golden: GoldenSamples | None = None,
    report: Mapping[str, Any] | None = None,
    page: bytes | None = None,
    name: str | None = None,
    preprocess: Preprocessing | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] | None = None,
    links: Member | None = None,
    family: Family | None = None,
) -> dict[str, bytes]:
    """Returns file name to content, the manifest first and the others sorted.

    Args:
        artifact: The first program.
        runtime: What must be on the device.
        target: The device.
        golden: Samples of the first program.
        report: What was measured.
        page: The same as HTML, for people.
        name: How a person calls the bundle.
        preprocess: How a picture, a sound or a text becomes an input.
        postprocess: What the outputs mean.
        labels: The classes' names.
        links: Method and state of the first program; its artefact and samples are those above.
        family: Further programs, and the state that all share.

    Raises:
        InputError: The parts do not fit each other.
        BundleError: A file name is not portable.
    """
    _check_parts(artifact, target)
    first = replace(links or Member(artifact), artifact=artifact, golden=golden)
    family = family or Family()
    check_family(first, family)
    count = None if labels is None else len(labels)
    after = settled_postprocess(postprocess, artifact.signature, count)
    before, more = settled_preprocess(preprocess, artifact.signature)
    first, family = joined_family(
        first, family, target, preprocess=before, postprocess=after, labels=labels or ()
    )
    artifact = first.artifact
    info, files = None, _fixed_files(artifact, runtime)
    variants, further = variant_files(
        family.members, _model_files(artifact), share=bool(target.os.python)
    )
    states, values = state_files(family.states)
    files |= further | values | more
    if golden is not None:
        golden.check(artifact.signature)
        info, samples = golden.to_files()
        files |= samples
    if labels is not None:
        files["labels.txt"] = _label_file(labels)
    if report is not None:
        files["report.json"] = report_file(report)
    if page is not None:
        files[PAGE] = page
    manifest = Manifest(
        name=name or f"{target.name}-{artifact.backend}-{artifact.precision}",
        backend=artifact.backend,
        **program_fields(first, f"model/{artifact.entry}"),
        deltas={},
        variants=variants,
        states=states,
        target=target,
        provenance=Provenance(__version__, artifact.tools),
        runtime=RuntimeInfo(runtime.name, runtime.wheels, runtime.notes),
        requirements=tuple(wheel.requirement for wheel in runtime.wheels),
        pythons=_common_pythons(runtime.wheels),
        golden=info,
        preprocess=before,
        postprocess=after,
        labels="labels.txt" if labels is not None else None,
        report="report.json" if report is not None else None,
        files={},
        size_bytes=0,
        digest="",
        kind=KIND,
        schema_version=SCHEMA_VERSION,
    )
    return seal(manifest, files)


def seal(manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns ``files`` sorted, after the manifest with their digests and sizes filled in."""
    import msgspec  # noqa: PLC0415 (only this function)

    check_names([MANIFEST, *files])
    entries = {name: FileEntry(digest(files[name]), len(files[name])) for name in sorted(files)}
    size = sum(entry.size_bytes for entry in entries.values())
    whole = msgspec.structs.replace(manifest, files=entries, size_bytes=size)
    return {MANIFEST: encode_manifest(whole), **{name: files[name] for name in entries}}


def report_file(report: Mapping[str, Any]) -> bytes:
    """Returns the report as canonical JSON.

    Raises:
        InputError: It holds what JSON cannot.
    """
    try:
        return canonical(dict(report))
    except (TypeError, ValueError) as error:
        raise InputError(f"not plain JSON: {error}", where="report") from error


def _fixed_files(artifact: Artifact, runtime: DeviceRuntime) -> dict[str, bytes]:
    files = dict(_runner_files())
    files["runtime.py"] = runtime.runner.encode()
    files["requirements.txt"] = "".join(f"{w.requirement}\n" for w in runtime.wheels).encode()
    files |= _model_files(artifact)
    files |= {f"lib/{name}": content for name, content in runtime.files.items()}
    if artifact.origins:
        files["origins.json"] = canonical(artifact.origins)
    return files


def _model_files(artifact: Artifact) -> dict[str, bytes]:
    return {f"model/{name}": content for name, content in artifact.files.items()}


@cache
def _runner_files() -> tuple[tuple[str, bytes], ...]:
    folder = resources.files("edgeopt.bundles.device")
    return ((EXECUTABLE, (folder / EXECUTABLE).read_bytes()), *_modules(folder / "edgeopt_runner"))


def _modules(folder: Traversable) -> Iterable[tuple[str, bytes]]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            yield f"{folder.name}/{file.name}", file.read_bytes()


def _check_parts(artifact: Artifact, target: Target) -> None:
    if artifact.target != target.name:
        what = f"the artefact was compiled for {artifact.target!r}, not for {target.name!r}"
        raise InputError(what, where="target")
    if artifact.entry not in artifact.files:
        what = f"the entry {artifact.entry!r} is not among {sorted(artifact.files)}"
        raise InputError(what, where="artifact")


def _label_file(labels: Sequence[str]) -> bytes:
    if any(len(label.splitlines()) > 1 or label.strip() != label for label in labels):
        raise InputError("a label is one line without blanks around it", where="labels")
    return "".join(f"{label}\n" for label in labels).encode()


def _common_pythons(wheels: tuple[Wheel, ...]) -> tuple[str, ...]:
    if not wheels:
        return ()
    common = set.intersection(*(set(wheel.pythons) for wheel in wheels))
    if not common:
        rows = ", ".join(f"{wheel.requirement} ({' '.join(wheel.pythons)})" for wheel in wheels)
        raise InputError(f"no Python version has all wheels: {rows}", where="runtime")
    return tuple(sorted(common, key=lambda text: [int(part) for part in text.split(".")]))
