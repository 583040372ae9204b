"""The programs of a bundle beside each other: its first, further ones, and the state that they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeopt.bundles.delta import DeltaBase
from edgeopt.bundles.device.edgeopt_runner.bundle import digest
from edgeopt.bundles.device.edgeopt_runner.delta import MOST_TIMES
from edgeopt.bundles.manifest import DeltaInfo, StateInfo, Variant
from edgeopt.bundles.npy import write_npy
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from edgeopt.bundles.golden import GoldenSamples
    from edgeopt.contracts import Artifact

__all__ = ["Family", "Member", "check_family", "program_fields", "state_files", "variant_files"]

MOST_OF_WHOLE = 0.9
"""A difference that takes more than this share of the whole file is not worth it."""


@dataclass(frozen=True)
class Member:
    """One program of a bundle.

    Attributes:
        artifact: What a backend compiled.
        golden: Samples that the device can check it with.
        method: Name of the method of the model.
        reads: Input to the state that it is taken from.
        writes: Output to the state that it becomes.
        pads: Axes along which smaller inputs may be filled up with zeros.
        splits: Whether more rows may be computed in turns.
    """

    artifact: Artifact
    golden: GoldenSamples | None = None
    method: str = "forward"
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    pads: tuple[int, ...] = ()
    splits: bool = False


@dataclass(frozen=True)
class Family:
    """What a bundle holds beside its first program.

    Attributes:
        members: The further programs.
        states: State to its value before the first call.
    """

    members: Sequence[Member] = ()
    states: Mapping[str, np.ndarray] = field(default_factory=dict)


def check_family(first: Member, family: Family) -> None:
    """Checks that the programs fit each other.

    The device's runner asks the same of a manifest (`edgeopt_runner.schema`), which may come from anywhere, and
    names the field that is wrong. Here whoever builds is told which name, and what there is.

    Raises:
        InputError: Two are for one shape of one method, or a state is not what an input or output is.
    """
    seen = set()
    for member in (first, *family.members):
        if not member.method.isidentifier():
            raise InputError(f"a method is called {member.method!r}", where="methods")
        key = (member.method, tuple((s.shape, s.dtype) for s in member.artifact.signature.inputs))
        if key in seen:
            raise InputError(f"two programs of {key[0]} take the same shapes", where="shapes")
        seen.add(key)
        _check_states(member, family.states)


def _check_states(member: Member, states: Mapping[str, np.ndarray]) -> None:
    sides = (
        (member.reads, member.artifact.signature.inputs),
        (member.writes, member.artifact.signature.outputs),
    )
    if len(set(member.writes.values())) < len(member.writes):
        what = f"{member.method}: two outputs become one state"
        raise InputError(what, where="state", hint="each state is written by one output")
    for links, specs in sides:
        known = {spec.name: spec for spec in specs}
        for name, state in links.items():
            if name not in known or state not in states:
                what = f"{member.method}: {name} -> {state}"
                names = ", ".join([*known, *states])
                raise InputError(f"{what}: there is none", where="state", hint=f"there are {names}")
            spec, value = known[name], states[state]
            if (tuple(spec.shape), spec.dtype) != (value.shape, str(value.dtype)):
                what = f"{member.method}: {name} is {spec.dtype}{list(spec.shape)}"
                raise InputError(
                    f"{what}, the state {state} {value.dtype}{list(value.shape)}", where="state"
                )


def state_files(
    states: Mapping[str, np.ndarray],
) -> tuple[dict[str, StateInfo], dict[str, bytes]]:
    """Returns what the manifest says of the states, and the files of those that do not begin with zeros."""
    infos, files = {}, {}
    for name, value in states.items():
        path = f"states/{name}.npy" if value.any() else None
        infos[name] = StateInfo(tuple(value.shape), str(value.dtype), path)
        if path is not None:
            files[path] = write_npy(value)
    return infos, files


def variant_files(
    members: Sequence[Member], first_files: Mapping[str, bytes], *, share: bool = True
) -> tuple[tuple[Variant, ...], dict[str, bytes]]:
    """Returns what the manifest says of further programs, and their files.

    A file that shares most of its content with one of an earlier program is stored as the difference.

    Args:
        members: The programs.
        first_files: The first program's files, as the bundle holds them.
        share: Whether differences may be stored: the device needs Python to make the whole of them.
    """
    whole = {path: DeltaBase(content) for path, content in first_files.items()}
    variants, files = [], {}
    for place, member in enumerate(members, 1):
        room = f"programs/{place}"
        deltas: dict[str, DeltaInfo] = {}
        for name, content in member.artifact.files.items():
            path = f"{room}/{name}"
            base, delta = _smallest(content, name, whole if share else {})
            if base:
                info = DeltaInfo(base, len(content), digest(content))
                files[path], deltas[path] = delta, info
            else:
                files[path] = content
                whole[path] = DeltaBase(content)
        golden, samples = (None, {}) if member.golden is None else member.golden.to_files(place)
        files |= samples
        home = room if member.artifact.files else "model"  # in the first one's files, else its own
        fields = program_fields(member, f"{home}/{member.artifact.entry}")
        variants.append(Variant(**fields, deltas=deltas, golden=golden))
    return tuple(variants), files


def program_fields(member: Member, entry: str) -> dict[str, Any]:
    """Returns the fields of the manifest that say of a program what its artefact does."""
    artifact = member.artifact
    return {
        "method": member.method,
        "precision": artifact.precision,
        "signature": artifact.signature,
        "entry": entry,
        "metadata": artifact.metadata,
        "operators": artifact.operators,
        "program": artifact.program_digest,
        "reads": dict(member.reads),
        "writes": dict(member.writes),
        "pads": member.pads,
        "splits": member.splits,
    }


def _smallest(content: bytes, name: str, whole: Mapping[str, DeltaBase]) -> tuple[str, bytes]:
    """Returns the file that ``content`` differs least from, and the difference; nothing where it is none of worth."""
    best, smallest = "", b""
    for path, base in whole.items():
        if path.endswith(f"/{name}"):
            delta = base.delta(content)
            is_large = len(content) > MOST_TIMES * (len(base.content) + len(delta))
            if (
                not is_large
                and len(delta) < MOST_OF_WHOLE * len(content)
                and (not best or len(delta) < len(smallest))
            ):
                best, smallest = path, delta
    return best, smallest
