"""A measurement that is kept: what was measured, where, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.files import write_file
from edgeopt.measure.counts import OperatorCounts
from edgeopt.measure.operators import OperatorProfile
from edgeopt.measure.profile import Profile
from edgeopt.measure.statistics import Latency

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.bundles import Bundle

__all__ = ["Record", "Saved", "load_saved", "make_record"]

KIND = "edgeopt-profile"
_MOST_BYTES = 256 << 20


class Record(msgspec.Struct, frozen=True):
    """A row of the history.

    Attributes:
        model: How the model is called.
        target: Name of the target.
        backend: Name of the backend.
        precision: The precision.
        device: Name of the device.
        threads: Threads that were asked for; 0 left it to the runtime.
        digest: Digest of the bundle.
        program: Digest of the program that it was made from.
        edgeopt: Version of edgeopt that made it.
        latency: Of one call.
        load_ms: Time to load the model.
        first_inference_ms: Time of the first call.
        peak_memory_mb: Most memory that the process held, in MiB.
        energy_mj: Energy of one call; None where it was not measured.
        stable: Whether the times were stable.
        unix_s: When it was measured.
    """

    model: str
    target: str
    backend: str
    precision: str
    device: str
    threads: int
    digest: str
    program: str
    edgeopt: str
    latency: Latency
    load_ms: float | None
    first_inference_ms: float | None
    peak_memory_mb: float | None
    energy_mj: float | None
    stable: bool
    unix_s: int

    @property
    def series(self) -> tuple[str, ...]:
        """What two records must share to be versions of one thing."""
        fields = (self.model, self.target, self.backend, self.precision, self.device)
        return (*fields, str(self.threads))


class Saved(msgspec.Struct, frozen=True):
    """What ``edgeopt profile --save`` writes.

    Attributes:
        record: The row of the history.
        profile: The measurement, raw times and all.
        operators: Operator by operator, where that was asked for.
        counts: The same of a microcontroller.
        kind: What kind of file it is.
        version: Of its form.
    """

    record: Record
    profile: Profile
    operators: OperatorProfile | None = None
    counts: OperatorCounts | None = None
    kind: Literal["edgeopt-profile"] = "edgeopt-profile"
    version: Literal[1] = 1

    def save(self, path: Path) -> None:
        """Writes it.

        Raises:
            InputError: It cannot be written.
        """
        try:
            write_file(path.absolute(), msgspec.json.encode(self) + b"\n")
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error


def load_saved(path: Path) -> Saved:
    """Returns what ``edgeopt profile --save`` wrote.

    Raises:
        InputError: It is something else.
    """
    hint = "`edgeopt profile BUNDLE --save FILE` writes one"
    content = read_file(path, most=_MOST_BYTES, hint=hint)
    try:
        return decode_json(content, Saved, where=str(path), most=_MOST_BYTES)
    except InputError as error:
        what = f"no saved profile: {error.what}"
        raise InputError(what, where=str(path), hint=hint) from error


def make_record(bundle: Bundle, profile: Profile, *, model: str = "") -> Record | None:
    """Returns the row for the history; None of an emulated device, which has no times.

    Args:
        bundle: What was measured.
        profile: What came of it.
        model: How to call the model; empty: the bundle's name, or that of its folder where the name
            was made up.
    """
    if profile.latency is None:
        return None
    manifest = bundle.manifest
    made_up = f"{manifest.target.name}-{manifest.backend}-{manifest.precision}"
    named = manifest.name if manifest.name != made_up else bundle.path.stem
    return Record(
        model=model or named,
        target=manifest.target.name,
        backend=manifest.backend,
        precision=manifest.precision,
        device=profile.device,
        threads=profile.threads,
        digest=bundle.digest,
        program=manifest.program,
        edgeopt=manifest.provenance.edgeopt,
        latency=profile.latency,
        load_ms=profile.load_ms,
        first_inference_ms=profile.first_inference_ms,
        peak_memory_mb=profile.peak_memory_mb,
        energy_mj=profile.energy_mj,
        stable=profile.stable,
        unix_s=int(time.time()),
    )
