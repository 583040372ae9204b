"""What an application has to know of a bundle, of all that its manifest says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import identifier
from edgeopt.bundles.device.edgeopt_runner.answers import whole_input
from edgeopt.errors import InputError
from edgeopt.options import Detection, Preprocess

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.bundles.manifest import Manifest, Variant
    from edgeopt.contracts import Signature, TensorSpec
    from edgeopt.options import Postprocess

__all__ = ["LANGUAGES", "Facts", "facts_of"]

LANGUAGES = ("c", "cpp", "python", "kotlin")
_MOST_AXES = 8
_DTYPES = frozenset(
    ["float16", "float32", "float64", "bool", *(f"{u}int{b}" for u in ("", "u") for b in (8, 16, 32, 64))]
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """One program of a bundle, as an application sees it.

    Attributes:
        bundle: The bundle.
        number: Of the program; the first is 0.
        signature: Its inputs and outputs, its state among them.
        preprocess: How a picture becomes an input, if the bundle says it.
        postprocess: What the outputs mean, if the bundle says it and the language can.
        labels: Names of the classes.
        size: Height and width of the picture's input.
        notes: What a person should know.
    """

    bundle: Bundle
    number: int
    signature: Signature
    preprocess: Preprocess | None
    postprocess: Postprocess | None
    labels: tuple[str, ...]
    size: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self.bundle.manifest

    @property
    def own(self) -> Variant:
        """What it says of this program."""
        return self.manifest.programs[self.number]

    @property
    def name(self) -> str:
        """A name that any language takes."""
        return identifier(self.manifest.name)

    def input_index(self) -> int:
        """Returns which input a picture is for."""
        return _place(self.preprocess.input if self.preprocess else "", self.signature.inputs)

    def output_index(self, name: str) -> int:
        """Returns which output is called so; the first for an empty name."""
        return _place(name, self.signature.outputs)


def facts_of(bundle: Bundle, number: int = 0) -> Facts:
    """Returns what an application has to know of a program.

    Raises:
        InputError: There is no such program, or a tensor of it has no type or too many axes for C.
    """
    manifest = bundle.manifest
    if not 0 <= number < len(manifest.programs):
        what = f"there is no program {number + 1} of {len(manifest.programs)}"
        raise InputError(what, where="--program", hint="`edgeopt inspect` lists them")
    own = manifest.programs[number]
    for spec in (*own.signature.inputs, *own.signature.outputs):
        if spec.dtype not in _DTYPES or len(spec.shape) > _MOST_AXES:
            raise InputError(f"{spec.name} is {spec.dtype}{list(spec.shape)}", where="codegen")
    after, before = manifest.postprocess, manifest.preprocess
    picture = before if isinstance(before, Preprocess) else None
    if number:  # what the manifest says of pictures and answers is of the first program
        after = picture = None
    notes = _notes(manifest, number)
    if isinstance(after, Detection) and (after.masks or after.angles):
        notes.append(
            "Masks and rotated boxes are made in Python only; here the outputs are numbers."
        )
    elif isinstance(after, Detection) and after.keypoints:
        notes.append("Keypoints are made in Python only; here boxes, scores and classes are.")
    size = whole_input(_plain(manifest)).input
    labels = tuple(bundle.labels())
    return Facts(bundle, number, own.signature, picture, after, labels, size, tuple(notes))


def _notes(manifest: Manifest, number: int) -> list[str]:
    notes = []
    if manifest.preprocess is not None and not isinstance(manifest.preprocess, Preprocess):
        kind = msgspec.to_builtins(manifest.preprocess)["kind"]
        notes.append(
            f"The bundle takes {kind}: what makes inputs of it is `run.py`'s; here they are arrays."
        )
    own = manifest.programs[number]
    if own.reads or own.writes:
        notes.append(
            "The model keeps a state: pass what an output of the call before gave (`reads`, `writes`)."
        )
    if len(manifest.programs) > 1:
        notes.append(f"This is program {number + 1} of {len(manifest.programs)} (`--program`).")
    return notes


def _plain(manifest: Manifest) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    return plain


def _place(name: str, specs: tuple[TensorSpec, ...]) -> int:
    names = [spec.name for spec in specs]
    return names.index(name) if name else 0
