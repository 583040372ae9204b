"""A loaded bundle as people call it: tensors, arrays or lists, and more rows than it takes at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from edgeopt.data.array_check import ArrayCheck
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Runner, Signature, TensorSpec

__all__ = ["LoadedBundle"]


class LoadedBundle:
    """A runner that takes what the model takes; a context manager that closes it.

    Tensors are answered with tensors, on the same device. Several rows where the artefact takes one are run one after
    the other: `edgeopt.Shapes(batches=…)` makes an artefact that takes them at once.

    What else the runner has (``method``, ``states``, ``reset``) is found here too.

    Args:
        runner: What runs the bundle.
        signature: What it takes and gives.
        whole: Whether other numbers of rows are the runner's own business: it has several shapes, or state.
    """

    def __init__(self, runner: Runner, signature: Signature, *, whole: bool = False) -> None:
        self._runner, self._signature, self._whole = runner, signature, whole
        self._check = ArrayCheck(signature)

    def __call__(self, *inputs: Any) -> Any:
        """Returns the outputs; a tuple when several.

        Args:
            *inputs: One array, tensor or list of numbers for each input.

        Raises:
            InputError: One does not fit; says which, and what was expected.
        """
        if self._check.fits(inputs):
            return _single(self._runner(*inputs))
        specs = self._signature.inputs
        places = (*specs, *[None] * len(inputs))
        arrays = [_array(value, spec) for value, spec in zip(inputs, places, strict=False)]
        outputs = self._rows(arrays)
        tensor = next((value for value in inputs if _is_tensor(value)), None)
        results = outputs if tensor is None else tuple(_like(one, tensor) for one in outputs)
        return _single(results)

    def __getattr__(self, name: str) -> Any:
        """Returns what the runner has of that name."""
        return getattr(self.__dict__["_runner"], name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the runtime."""
        self._runner.close()

    def facts(self) -> dict[str, Any]:
        """Returns what is worth knowing about the runtime."""
        return self._runner.facts()

    def _rows(self, arrays: list[np.ndarray]) -> tuple[Any, ...]:
        """Returns the outputs, of several rows one after the other where the artefact takes one."""
        one = self._whole or self._check.fits(arrays)
        count = 0 if one else _more_rows(arrays, self._signature)
        if not count:
            return _tuple(self._runner(*arrays))
        answers = [
            _tuple(self._runner(*(array[row : row + 1] for array in arrays)))
            for row in range(count)
        ]
        return tuple(np.concatenate(parts) for parts in zip(*answers, strict=True))


def _more_rows(arrays: Sequence[np.ndarray], signature: Signature) -> int:
    """Returns how many rows each input holds where the artefact takes one; 0 where that is not so."""
    specs = (*signature.inputs, *signature.outputs)
    if len(arrays) != len(signature.inputs) or not all(one.shape[:1] == (1,) for one in specs):
        return 0
    fits = all(
        array.shape[1:] == tuple(spec.shape[1:]) and array.ndim and str(array.dtype) == spec.dtype
        for array, spec in zip(arrays, signature.inputs, strict=True)
    )
    counts = {len(array) for array in arrays if array.ndim}
    return counts.pop() if fits and len(counts) == 1 and not counts <= {0, 1} else 0


def _array(value: Any, spec: TensorSpec | None) -> Any:
    if _is_tensor(value):
        return value.detach().cpu().contiguous().numpy()
    if isinstance(value, (list, tuple, int, float)) and spec is not None:
        try:
            return np.asarray(value, spec.dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"no array: {error}", where=f"input {spec.name}") from error
    return value


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # where it was never imported, nothing is one
    return torch is not None and isinstance(value, torch.Tensor)


def _like(array: np.ndarray, tensor: Any) -> Any:
    return sys.modules["torch"].from_numpy(array).to(tensor.device)


def _single(results: Any) -> Any:
    return results[0] if isinstance(results, tuple) and len(results) == 1 else results


def _tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)
