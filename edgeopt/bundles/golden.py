"""Golden samples: inputs, and what the reference makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from edgeopt.bundles.device.edgeopt_runner.checks import difference
from edgeopt.bundles.manifest import GoldenInfo, GoldenSample, Tolerance
from edgeopt.bundles.npy import read_npy, write_npy
from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.contracts import Runner, Signature, TensorSpec

__all__ = ["GoldenSamples"]

Arrays = tuple[np.ndarray, ...]


class GoldenSamples(msgspec.Struct, frozen=True):
    """Inputs with the outputs that a device must give, within a tolerance.

    Attributes:
        inputs: One tuple of arrays for each sample, in the signature's order.
        outputs: Likewise.
        tolerances: One for each output.
        source: What computed the outputs.
    """

    inputs: tuple[Arrays, ...]
    outputs: tuple[Arrays, ...]
    tolerances: tuple[Tolerance, ...]
    source: str = "reference"

    @classmethod
    def of(
        cls,
        inputs: Sequence[Sequence[np.ndarray]],
        outputs: Sequence[Sequence[np.ndarray]],
        tolerance: Tolerance | Sequence[Tolerance],
        *,
        source: str = "reference",
    ) -> Self:
        """Returns samples of sequences of arrays; one tolerance holds for every output."""
        input_arrays = tuple(tuple(np.asarray(array) for array in sample) for sample in inputs)
        output_arrays = tuple(tuple(np.asarray(array) for array in sample) for sample in outputs)
        if isinstance(tolerance, Tolerance):
            tolerance = [tolerance] * (len(output_arrays[0]) if output_arrays else 0)
        return cls(input_arrays, output_arrays, tuple(tolerance), source)

    @classmethod
    def record(
        cls,
        runner: Runner,
        inputs: Sequence[Sequence[np.ndarray]],
        tolerance: Tolerance | Sequence[Tolerance],
        *,
        source: str = "reference",
    ) -> Self:
        """Returns samples whose outputs are what ``runner`` gives for ``inputs``."""
        outputs = []
        for sample in inputs:
            result = runner(*sample)
            outputs.append(result if isinstance(result, tuple) else (result,))
        return cls.of(inputs, outputs, tolerance, source=source)

    def check(self, signature: Signature) -> None:
        """Checks that the samples fit ``signature``.

        Raises:
            InputError: There is none, or a count, shape or dtype differs.
        """
        if not self.inputs or len(self.inputs) != len(self.outputs):
            what = f"{len(self.inputs)} inputs and {len(self.outputs)} outputs"
            raise InputError(what, where="golden samples", hint="give one output for each input")
        if len(self.tolerances) != len(signature.outputs):
            what = f"{len(self.tolerances)} tolerances for {len(signature.outputs)} outputs"
            raise InputError(what, where="golden samples")
        for number, (inputs, outputs) in enumerate(zip(self.inputs, self.outputs, strict=True)):
            _check_arrays(inputs, signature.inputs, f"golden sample {number}, inputs")
            _check_arrays(outputs, signature.outputs, f"golden sample {number}, outputs")

    def differences(self, runner: Callable[..., np.ndarray | tuple[np.ndarray, ...]]) -> list[str]:
        """Returns one line for each output of ``runner`` that is out of tolerance."""
        lines = []
        for number, (inputs, expected) in enumerate(zip(self.inputs, self.outputs, strict=True)):
            result = runner(*inputs)
            actual = result if isinstance(result, tuple) else (result,)
            for index, tolerance in enumerate(self.tolerances):
                text = difference(actual[index], expected[index], msgspec.to_builtins(tolerance))
                if text:
                    lines.append(f"golden sample {number}, output {index}: {text}")
        return lines

    def to_files(self, program: int = 0) -> tuple[GoldenInfo, dict[str, bytes]]:
        """Returns what the manifest says of the samples, and their files.

        Args:
            program: Number of the program in the bundle; the files of the first lie in ``golden/`` itself.
        """
        room = f"golden/{program}" if program else "golden"
        files: dict[str, bytes] = {}
        samples = []
        for number, (inputs, outputs) in enumerate(zip(self.inputs, self.outputs, strict=True)):
            names = []
            for kind, arrays in (("input", inputs), ("output", outputs)):
                stem = f"{room}/{kind}_{number:03d}"
                several = len(arrays) > 1
                paths = [
                    f"{stem}_{i}.npy" if several else f"{stem}.npy" for i in range(len(arrays))
                ]
                files.update(zip(paths, map(write_npy, arrays), strict=True))
                names.append(tuple(paths))
            samples.append(GoldenSample(*names))
        return GoldenInfo(self.source, tuple(samples), self.tolerances), files

    @classmethod
    def from_files(cls, info: GoldenInfo, read: Callable[[str], bytes]) -> Self:
        """Returns the samples that ``info`` describes.

        Args:
            info: The manifest's part.
            read: Returns a file's content, checked.

        Raises:
            BundleError: A file is not an array.
        """
        if not info.samples:
            raise BundleError("golden samples are announced, but none is there", where="golden")
        inputs, outputs = (
            tuple(
                tuple(read_npy(read(name), name) for name in getattr(sample, kind))
                for sample in info.samples
            )
            for kind in ("inputs", "outputs")
        )
        return cls(inputs, outputs, info.tolerances, info.source)


def _check_arrays(arrays: Arrays, specs: tuple[TensorSpec, ...], where: str) -> None:
    actual = [(array.shape, str(array.dtype)) for array in arrays]
    want = [(tuple(spec.shape), spec.dtype) for spec in specs]
    if actual != want:
        raise InputError(f"{actual}, expected {want}", where=where)
