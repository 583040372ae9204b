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
    from edgeopt.options import Postprocess

__all__ = ["joined_family"]


def joined_family(
    first: Member,
    family: Family,
    target: Target,
    *,
    postprocess: Postprocess | None,
    labels: Sequence[str],
) -> tuple[Member, Family]:
    """Returns the programs with the files that the bundle gets: of all together, where they have parts for that.

    What the bundle says of them is linked in too, for a runner that reads no manifest.

    Raises:
        CompileError: The toolchain failed.
    """
    members = [first, *family.members]
    plain = len(members) == 1 and not family.states and first.method == "forward"
    if (plain and not labels and postprocess is None) or not all(m.artifact.parts for m in members):
        return first, family
    backend = find_backend(first.artifact.backend)
    if not isinstance(backend, JoinsPrograms):
        return first, family
    programs = [
        BundledProgram(m.artifact, m.method, m.reads, m.writes, m.pads, m.splits) for m in members
    ]
    bundled = BundledPrograms(programs, family.states, postprocess, labels)
    artifacts = backend.join(bundled, target)
    first, *further = (replace(m, artifact=a) for m, a in zip(members, artifacts, strict=True))
    return first, replace(family, members=further)
