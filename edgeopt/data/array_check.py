"""What a runner is called with, held against its signature: what can be known beforehand is found once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.data.binder import check_arrays, check_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Signature, TensorSpec

__all__ = ["ArrayCheck"]


class ArrayCheck:
    """Checks arrays in about a microsecond where they fit; where not, says what `check_arrays` says.

    Args:
        signature: What they are held against.
        finite: Whether floats must be numbers: integers have neither NaN nor infinity.
    """

    def __init__(self, signature: Signature, *, finite: bool = False) -> None:
        self._signature = signature
        self._wanted = _wanted(signature.inputs)
        self._floats = [
            place
            for place, (_, dtype) in enumerate(self._wanted or ())
            if finite and dtype.kind == "f"
        ]

    def fits(self, arrays: Sequence[Any]) -> bool:
        """Returns whether there is one array for each input, of its very shape and dtype."""
        if self._wanted is None or len(arrays) != len(self._wanted):
            return False
        for array, (shape, dtype) in zip(arrays, self._wanted, strict=True):
            if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                return False
        return True

    def require(self, arrays: tuple[np.ndarray, ...]) -> None:
        """Does nothing where all is well.

        Raises:
            InputError: An array does not fit, or is not finite; says which and what was expected.
        """
        if not self.fits(arrays):
            check_arrays(self._signature, arrays)
        for place in self._floats:
            if not np.isfinite(arrays[place]).all():
                check_finite(self._signature, arrays)


def _wanted(
    specs: Sequence[TensorSpec],
) -> tuple[tuple[tuple[int, ...], np.dtype[Any]], ...] | None:
    """Returns shape and dtype of each; None where numpy has no such dtype, and `check_arrays` has to compare names."""
    try:
        return tuple((tuple(spec.shape), np.dtype(spec.dtype)) for spec in specs)
    except TypeError:
        return None
