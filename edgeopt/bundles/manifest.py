"""The manifest: everything a bundle says of itself, as one canonical JSON text.

The text is the only one that its content has (sorted keys, fixed spacing, ASCII), and it carries
the digest of itself with that field left empty. So a byte changed anywhere in it is noticed, and
two bundles made of the same things are the same byte for byte: no dates, host names or paths.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from edgeopt.boundary import convert, decode_json
from edgeopt.bundles.device.edgeopt_runner.bundle import (
    MAX_MANIFEST_BYTES,
    SCHEMA_VERSION,
    canonical,
    digest,
)
from edgeopt.contracts import Signature, Target, Wheel
from edgeopt.errors import BundleError, InputError
from edgeopt.options import Postprocess, Preprocessing

__all__ = [
    "KIND",
    "SCHEMA_VERSION",
    "DeltaInfo",
    "FileEntry",
    "GoldenInfo",
    "GoldenSample",
    "Manifest",
    "Provenance",
    "RuntimeInfo",
    "StateInfo",
    "Tolerance",
    "Variant",
    "decode_manifest",
    "encode_manifest",
]

KIND = "edgeopt-bundle"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the manifest; a field it does not know is an error."""


class FileEntry(_Strict, frozen=True):
    """A file of the bundle: its SHA-256 in hexadecimal, and its size."""

    sha256: str
    size_bytes: int


class Provenance(_Strict, frozen=True):
    """What made the bundle.

    Attributes:
        edgeopt: Version of edgeopt.
        tools: Tool name to version.
    """

    edgeopt: str
    tools: dict[str, str]


class RuntimeInfo(_Strict, frozen=True):
    """What must be on the device: `DeviceRuntime` without the files' content.

    Attributes:
        name: Name of the runtime.
        wheels: Python requirements, and the Python versions with a wheel for this device.
        notes: What a person should know.
    """

    name: str
    wheels: tuple[Wheel, ...]
    notes: tuple[str, ...] = ()


class Tolerance(_Strict, frozen=True):
    """How far an output on the device may lie from the golden one.

    A value is within it where ``|got - golden| <= atol + rtol * |golden|``.

    Attributes:
        atol: Absolute part, in the output's unit.
        rtol: Relative part.
        max_outliers: Share of values (0 to 1) that may lie outside.
        min_cosine: Least cosine of the angle between the two; None leaves it out.
    """

    atol: float = 0.0
    rtol: float = 0.0
    max_outliers: float = 0.0
    min_cosine: float | None = None

    def __post_init__(self) -> None:
        numbers = (self.atol, self.rtol, self.max_outliers, self.min_cosine or 0.0)
        if not all(math.isfinite(number) for number in numbers) or min(numbers[:3]) < 0:
            what = f"a tolerance is finite and not negative, got {numbers}"
            raise InputError(what, where="tolerance")


class GoldenSample(_Strict, frozen=True):
    """One golden sample: the files of its inputs and outputs, in the signature's order."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class GoldenInfo(_Strict, frozen=True):
    """The golden samples.

    Attributes:
        source: What computed the outputs, for example ``reference``.
        samples: Their files.
        tolerances: One for each output.
    """

    source: str
    samples: tuple[GoldenSample, ...]
    tolerances: tuple[Tolerance, ...]


class StateInfo(_Strict, frozen=True):
    """A value that the runner keeps from call to call.

    Attributes:
        shape: Its dimensions.
        dtype: A numpy name.
        initial: File with its value before the first call; None for zeros.
    """

    shape: tuple[int, ...]
    dtype: str
    initial: str | None


class DeltaInfo(_Strict, frozen=True):
    """A file that is stored as its difference from another one.

    Attributes:
        base: That file.
        size_bytes: Of the whole.
        sha256: Of the whole, in hexadecimal.
    """

    base: str
    size_bytes: int
    sha256: str


class Variant(_Strict, frozen=True, kw_only=True):
    """One program of a bundle: a method of the model, for inputs of one shape.

    Attributes:
        method: Name of the method; several programs of one name take inputs of other shapes.
        precision: As in `Artifact`.
        signature: Inputs and outputs.
        entry: The file that the runtime opens.
        deltas: Files of the artefact that are stored as the difference from another file of the bundle.
        metadata: Facts for the runtime, as in `Artifact`.
        operators: Runtime operator name to how many of it the model holds.
        program: Digest of the program that it was compiled from.
        golden: Golden samples, if any.
        reads: Input to the state that it is taken from.
        writes: Output to the state that it becomes.
        pads: Axes along which smaller inputs may be filled up with zeros: the rest was seen to stay the same.
        splits: Whether more rows may be computed in turns: a row was seen not to depend on the others.
    """

    method: str
    precision: str
    signature: Signature
    entry: str
    deltas: dict[str, DeltaInfo]
    metadata: dict[str, Any]
    operators: dict[str, int]
    program: str
    golden: GoldenInfo | None
    reads: dict[str, str]
    writes: dict[str, str]
    pads: tuple[int, ...]
    splits: bool

    @property
    def room(self) -> str:
        """Folder of its files, with a slash: ``model/`` of the first, ``programs/1/`` of the second."""
        depth = 2 if self.entry.startswith("programs/") else 1
        return "/".join(self.entry.split("/")[:depth]) + "/"


class Manifest(Variant, frozen=True, kw_only=True):
    """Everything a bundle says of itself; of its programs, the first is here.

    Attributes:
        name: How a person calls it.
        backend: Name of the backend that compiled it.
        target: The whole descriptor of the device it is for.
        provenance: What made it.
        runtime: What must be on the device.
        requirements: Pinned lines, as in ``requirements.txt``.
        pythons: Python versions that have every wheel; empty where any will do.
        variants: Its further programs.
        states: Name to what the runner keeps.
        preprocess: How a picture, a sound or a text becomes an input, if known.
        postprocess: What the outputs mean, if known.
        labels: File with the classes' names, if any.
        report: File with the report, if any.
        files: Every file but the manifest.
        size_bytes: Sum of their sizes.
        digest: SHA-256 of this manifest with this field empty.
        kind: Always ``edgeopt-bundle``.
        schema_version: Version of this format.
    """

    name: str
    backend: str
    target: Target
    provenance: Provenance
    runtime: RuntimeInfo
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]
    variants: tuple[Variant, ...]
    states: dict[str, StateInfo]
    preprocess: Preprocessing | None
    postprocess: Postprocess | None
    labels: str | None
    report: str | None
    files: dict[str, FileEntry]
    size_bytes: int
    digest: str
    kind: str
    schema_version: int

    @property
    def programs(self) -> tuple[Variant, ...]:
        """All programs, the first included."""
        return (self, *self.variants)

    def interface(self, method: str = "") -> Signature:
        """Returns what who calls a method passes and gets: inputs and outputs of its first program that are no state.

        Args:
            method: Its name; empty for the first.

        Raises:
            InputError: There is no such method.
        """
        name = method or self.method
        own = next((one for one in self.programs if one.method == name), None)
        if own is None:
            names = ", ".join(dict.fromkeys(one.method for one in self.programs))
            raise InputError(f"there is no method {name!r}", hint=f"the methods are: {names}")
        return Signature(
            tuple(spec for spec in own.signature.inputs if spec.name not in own.reads),
            tuple(spec for spec in own.signature.outputs if spec.name not in own.writes),
        )


class _Head(msgspec.Struct):
    schema_version: int
    kind: str = ""
    provenance: dict[str, Any] = {}


def encode_manifest(manifest: Manifest) -> bytes:
    """Returns the canonical text of ``manifest`` with its digest filled in.

    Raises:
        InputError: It holds what JSON cannot, or is larger than a reader accepts.
    """
    try:
        fields = json.loads(canonical(msgspec.to_builtins(manifest)))
        plain = msgspec.to_builtins(msgspec.convert(fields, Manifest))
    except (TypeError, ValueError, msgspec.ValidationError) as error:
        what = f"metadata or another field is not plain JSON: {error}"
        raise InputError(what, where="manifest.json") from error
    plain["digest"] = digest(canonical({**plain, "digest": ""}))
    text = canonical(plain)
    if len(text) > MAX_MANIFEST_BYTES:
        what = f"{len(text)} bytes, at most {MAX_MANIFEST_BYTES} may be"
        hint = "put what is large into files, not into the artefact's metadata"
        raise InputError(what, where="manifest.json", hint=hint)
    return text


def decode_manifest(text: bytes) -> Manifest:
    """Returns the manifest that ``text`` holds.

    Raises:
        BundleError: It is damaged, not a bundle's manifest, or of an unknown version.
    """
    where = "manifest.json"
    if len(text) > MAX_MANIFEST_BYTES:
        raise BundleError(f"larger than {MAX_MANIFEST_BYTES} bytes", where=where)
    try:
        head = decode_json(text, _Head, where=where, error=BundleError)
        plain = decode_json(text, dict[str, Any], where=where, error=BundleError)
    except BundleError as error:
        what = f"damaged, or not a manifest: {error.what}"
        raise BundleError(what, where=where) from error
    _check_version(head)
    if not _is_whole(text, plain):
        hint = "copy the bundle again from where it came"
        raise BundleError("its content does not match its digest", where=where, hint=hint)
    try:
        return convert(plain, Manifest, where=where)
    except InputError as error:
        hint = (
            f"it was written by edgeopt {head.provenance.get('edgeopt')}; use that or a newer one"
        )
        raise BundleError(f"breaks the schema: {error.what}", where=where, hint=hint) from error


def _check_version(head: _Head) -> None:
    if head.kind != KIND:
        raise BundleError(f"kind {head.kind!r}, expected {KIND!r}", where="manifest.json")
    if head.schema_version != SCHEMA_VERSION:
        writer = head.provenance.get("edgeopt", "of another version")
        what = f"schema version {head.schema_version}; this edgeopt reads {SCHEMA_VERSION}"
        hint = f"it was written by edgeopt {writer}: install that one, or write the bundle again"
        raise BundleError(what, where="manifest.json", hint=hint)


def _is_whole(text: bytes, plain: dict[str, Any]) -> bool:
    try:
        own = digest(canonical({**plain, "digest": ""}))
        return canonical(plain) == text and plain.get("digest") == own
    except (ValueError, TypeError, RecursionError):
        return False
