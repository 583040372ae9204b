"""Programs of a bundle in one file, where their backend can do that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgeopt.contracts import BundledProgram, BundledPrograms, JoinsPrograms
from edgeopt.registry import find_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.bundles.family import Family, Member
    from edgeopt.contracts import Target
    from edgeopt.options import Postprocess, Preprocessing

__all__ = ["joined_family"]


def joined_family(
    first: Member,
    family: Family,
    target: Target,
    *,
    preprocess: Preprocessing | None,
    postprocess: Postprocess | None,
    labels: Sequence[str],
) -> tuple[Member, Family]:
    """Returns the programs with the files that the bundle gets: of all together, where they have parts for that.

    What the bundle says of them is linked in too, for a runner that reads no manifest.

    Raises:
        CompileError: The toolchain failed.
    """
    members = [first, *family.members]
    said = (preprocess, postprocess, *labels, *family.members, *family.states)
    is_plain = first.method == "forward" and not any(one is not None for one in said)
    if is_plain or not all(member.artifact.parts for member in members):
        return first, family
    backend = find_backend(first.artifact.backend)
    if not isinstance(backend, JoinsPrograms):
        return first, family
    programs = [
        BundledProgram(m.artifact, m.method, m.reads, m.writes, m.pads, m.splits) for m in members
    ]
    bundled = BundledPrograms(programs, family.states, preprocess, postprocess, labels)
    artifacts = backend.join(bundled, target)
    first, *further = (replace(m, artifact=a) for m, a in zip(members, artifacts, strict=True))
    return first, replace(family, members=further)
