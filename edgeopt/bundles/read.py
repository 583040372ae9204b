"""Reads a bundle. Nothing in it is believed before its digest was checked."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.bundles.device.edgeopt_runner.delta import apply_delta
from edgeopt.bundles.device.edgeopt_runner.schema import find_fault
from edgeopt.bundles.layout import EXECUTABLE, MANIFEST
from edgeopt.bundles.manifest import Manifest, decode_manifest
from edgeopt.bundles.paths import MAX_TOTAL_BYTES, check_names
from edgeopt.bundles.publish import publish
from edgeopt.bundles.signing import check_signature
from edgeopt.bundles.storage import Zip, open_storage
from edgeopt.contracts import Artifact
from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from edgeopt.bundles.golden import GoldenSamples
    from edgeopt.bundles.manifest import DeltaInfo
    from edgeopt.bundles.storage import Folder, Storage

__all__ = ["Bundle", "open_bundle", "read_bundle"]

_BLOCK = 1 << 20
MAX_STATE_BYTES = 1 << 31
_HINT = "copy the bundle again from where it came"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read, every digest checked.

    Attributes:
        path: The folder or the .zip.
        manifest: Everything it says of itself.
        storage: Where its files lie.
    """

    path: Path
    manifest: Manifest
    storage: Folder | Zip

    @property
    def name(self) -> str:
        """How a person calls it."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds the digests of all files: the bundle's identity."""
        return self.manifest.digest

    @property
    def size_bytes(self) -> int:
        """Sum of the sizes of all files but the manifest."""
        return self.manifest.size_bytes

    @property
    def is_zip(self) -> bool:
        """Whether it is a .zip, which must be unpacked (`unpack`) before it runs."""
        return isinstance(self.storage, Zip)

    @property
    def report(self) -> dict[str, Any] | None:
        """What was measured, if the bundle holds a report."""
        if self.manifest.report is None:
            return None
        report: dict[str, Any] = self._json(self.manifest.report)
        return report

    def artifact(self, program: int = 0) -> Artifact:
        """Returns the artefact as the backend compiled it.

        Args:
            program: Number of the program; the first is 0.

        Raises:
            BundleError: A file changed since the bundle was read, or is the difference from no file of it.
        """
        manifest, own = self.manifest, self.manifest.programs[program]
        room = own.room
        names = [name for name in manifest.files if name.startswith(room)]
        return Artifact(
            backend=manifest.backend,
            target=manifest.target.name,
            precision=own.precision,
            signature=own.signature,
            files={name.removeprefix(room): self._whole(name, own.deltas) for name in names},
            entry=own.entry.removeprefix(room),
            metadata=own.metadata,
            program_digest=own.program,
            tools=manifest.provenance.tools,
            operators=own.operators,
            origins=self._json("origins.json") if "origins.json" in manifest.files else {},
        )

    def _whole(self, name: str, deltas: dict[str, DeltaInfo]) -> bytes:
        content = self.read(name)
        if name not in deltas:
            return content
        info = deltas[name]
        try:
            whole = apply_delta(self.read(info.base), content)
        except ValueError as error:
            raise BundleError(str(error), where=name, hint=_HINT) from error
        if len(whole) != info.size_bytes or _sha256(whole) != info.sha256:
            raise BundleError("made whole, it does not match its digest", where=name, hint=_HINT)
        return whole

    def golden(self, program: int = 0) -> GoldenSamples | None:
        """Returns the golden samples of a program, if the bundle holds any.

        Args:
            program: Number of the program; the first is 0.

        Raises:
            BundleError: A file is not an array, or does not fit the signature.
        """
        from edgeopt.bundles.golden import GoldenSamples  # noqa: PLC0415 (numpy)

        own = self.manifest.programs[program]
        if own.golden is None:
            return None
        samples = GoldenSamples.from_files(own.golden, self.read)
        try:
            samples.check(own.signature)
        except InputError as error:
            raise BundleError(error.what, where=error.where) from error
        return samples

    def initial_states(self) -> dict[str, np.ndarray]:
        """Returns state to its value before the first call.

        Raises:
            BundleError: A file is not an array, or of another shape than the manifest says.
        """
        import numpy as np  # noqa: PLC0415 (only this method)

        from edgeopt.bundles.npy import read_npy  # noqa: PLC0415

        values = {}
        for name, info in self.manifest.states.items():
            if info.initial is None:
                values[name] = np.zeros(info.shape, info.dtype)
                continue
            values[name] = read_npy(self.read(info.initial), info.initial)
            if (values[name].shape, str(values[name].dtype)) != (info.shape, info.dtype):
                raise BundleError(f"not what the state {name} is", where=info.initial)
        return values

    def labels(self) -> list[str]:
        """Returns the classes' names; none where the bundle holds none."""
        if self.manifest.labels is None:
            return []
        return self.read(self.manifest.labels).decode("utf-8", "replace").splitlines()

    def read(self, name: str) -> bytes:
        """Returns a file's content, its digest checked now.

        Raises:
            BundleError: The bundle has no such file, or it changed.
        """
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError("not in the bundle", where=name)
        with _opened(self.storage, name) as stream:
            content = stream.read(entry.size_bytes + 1)
        if len(content) != entry.size_bytes or _sha256(content) != entry.sha256:
            raise BundleError("its content does not match its digest", where=name, hint=_HINT)
        return content

    def verify(self) -> None:
        """Checks every file again.

        Raises:
            BundleError: A file is missing, changed or unknown; it is named.
        """
        again = read_bundle(self.path)
        if again.digest != self.digest:
            raise BundleError("another bundle lies here now", where=str(self.path))

    def unpack(self, into: Path) -> Bundle:
        """Returns this bundle as a folder at ``into``, which must not exist yet.

        Raises:
            InputError: ``into`` exists.
            BundleError: It cannot be written.
        """
        files, place = self.files(), Path(into)
        return publish(files, place, as_zip=False, overwrite=False, check=read_bundle).at(place)

    def at(self, path: Path) -> Bundle:
        """Returns this bundle after it was moved to ``path``."""
        return replace(self, path=path, storage=type(self.storage)(path))

    def pack(self) -> bytes:
        """Returns this bundle as the content of a .zip, to be sent somewhere.

        Raises:
            BundleError: A file changed since the bundle was read.
        """
        from edgeopt.bundles.archive import write_zip  # noqa: PLC0415 (only this method packs)

        stream = io.BytesIO()
        write_zip(stream, self.files())
        return stream.getvalue()

    def files(self) -> dict[str, bytes]:
        """Returns name to content of all files, each checked as it is read.

        Raises:
            BundleError: A file changed since the bundle was read.
        """
        return {MANIFEST: self._manifest_text(), **{n: self.read(n) for n in self.manifest.files}}

    def _manifest_text(self) -> bytes:
        with _opened(self.storage, MANIFEST) as stream:
            text = stream.read(_BLOCK + 1)
        if decode_manifest(text).digest != self.digest:
            raise BundleError("another bundle lies here now", where=str(self.path))
        return text

    def _json(self, name: str) -> Any:
        return decode_json(self.read(name), dict[str, Any], where=name, error=BundleError)

    def __str__(self) -> str:
        info = self.manifest
        kib = self.size_bytes / 1024
        return (
            f"{info.name}: {info.backend} {info.precision} for {info.target.title}, {kib:.0f} KiB"
        )


def read_bundle(path: Path | str, *, public_key: Path | str | None = None) -> Bundle:
    """Returns the bundle at ``path``, a folder or a .zip, after checking all of it.

    Args:
        path: The folder or the .zip.
        public_key: Where given, the signature beside the bundle must be of this key.

    Raises:
        InputError: There is nothing at ``path``.
        BundleError: It is damaged, hostile, unsigned, or of a version this edgeopt cannot read; the
            file is named.
    """
    path = Path(path)
    storage = open_storage(path)
    try:
        sizes = storage.sizes()
    except OSError as error:
        raise BundleError(f"cannot be read: {error}", where=str(path)) from error
    if MANIFEST not in sizes:
        raise BundleError("not a bundle, or an unfinished one: no manifest.json", where=str(path))
    with _opened(storage, MANIFEST) as stream:
        manifest = decode_manifest(stream.read(_BLOCK + 1))
    _check_manifest(manifest, sizes)
    for name in manifest.files:
        _check_content(storage, manifest, name)
    bundle = Bundle(path, manifest, storage)
    if public_key is not None:
        check_signature(bundle, public_key)
    return bundle


def open_bundle(bundle: Path | str | Bundle, public_key: Path | str | None = None) -> Bundle:
    """Returns the bundle that is meant, read already or not, as `read_bundle` does.

    Args:
        bundle: The bundle, or its folder or .zip.
        public_key: As for `read_bundle`.
    """
    if not isinstance(bundle, Bundle):
        return read_bundle(bundle, public_key=public_key)
    if public_key is not None:
        check_signature(bundle, public_key)
    return bundle


def _check_manifest(manifest: Manifest, sizes: dict[str, int]) -> None:
    """Checks what the manifest lists against what is there, before any content is read."""
    check_names([MANIFEST, *manifest.files])
    listed = set(manifest.files)
    for name in sorted(set(sizes) - listed - {MANIFEST}):
        raise BundleError("not in the manifest", where=repr(name), hint="remove it")
    for name in sorted(listed - set(sizes)):
        raise BundleError("missing", where=name, hint=_HINT)
    for name, entry in manifest.files.items():
        if sizes[name] != entry.size_bytes:
            what = f"{sizes[name]} bytes, expected {entry.size_bytes}"
            raise BundleError(what, where=name, hint=_HINT)
    total = sum(entry.size_bytes for entry in manifest.files.values())
    if total != manifest.size_bytes or total > MAX_TOTAL_BYTES:
        raise BundleError(f"{total} bytes in all: wrong or too much", where=MANIFEST)
    for name in sorted(_referred(manifest) - listed):
        raise BundleError(f"{name} is referred to, but not listed", where=MANIFEST)
    _check_programs(manifest)
    for place, own in enumerate(manifest.programs):
        rooms = ("model/", f"programs/{place}/")[: 1 + bool(place)]  # the first one's may hold all
        if not own.entry.startswith(rooms):
            raise BundleError(f"the entry {own.entry} is not below {rooms[-1]}", where=MANIFEST)


def _check_programs(manifest: Manifest) -> None:
    """Checks methods and states as the bundle's own runner does, and how much a state takes."""
    text = msgspec.json.encode(manifest)
    fault = find_fault(decode_json(text, dict[str, Any], where=MANIFEST, error=BundleError))
    if fault:
        raise BundleError(f"breaks the schema: {fault}", where=MANIFEST)
    for name, info in manifest.states.items():
        if math.prod(info.shape) * _itemsize(info.dtype) > MAX_STATE_BYTES:
            raise BundleError(f"the state {name} is {list(info.shape)}: too much", where=MANIFEST)


def _itemsize(dtype: str) -> int:
    bits = "".join(filter(str.isdigit, dtype))
    return int(bits or 8) // 8


def _referred(manifest: Manifest) -> set[str]:
    names = {EXECUTABLE, "runtime.py", "requirements.txt"}
    names |= {name for name in (manifest.labels, manifest.report) if name}
    names |= {state.initial for state in manifest.states.values() if state.initial}
    for own in manifest.programs:
        names |= {own.entry, *own.deltas, *(one.base for one in own.deltas.values())}
        for sample in own.golden.samples if own.golden else ():
            names |= {*sample.inputs, *sample.outputs}
    return names


def _check_content(storage: Storage, manifest: Manifest, name: str) -> None:
    entry, hasher, size = manifest.files[name], hashlib.sha256(), 0
    with _opened(storage, name) as stream:
        while size <= entry.size_bytes and (block := stream.read(_BLOCK)):
            hasher.update(block)
            size += len(block)
    if size != entry.size_bytes or hasher.hexdigest() != entry.sha256:
        raise BundleError("its content does not match its digest", where=name, hint=_HINT)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _opened(storage: Storage, name: str) -> Iterator[IO[bytes]]:
    """Yields a file's content; what the system or the zip says against it names the file."""
    try:
        with storage.open(name) as stream:
            yield stream
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(f"cannot be read: {error}", where=name, hint=_HINT) from error
