"""What goes into a program and what comes out of it."""

from __future__ import annotations

import msgspec

__all__ = ["Signature", "TensorSpec"]


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output.

    Attributes:
        name: The name in the program: of an argument, or of the value returned.
        shape: Dimensions, all known.
        dtype: A numpy name: ``float32``, ``int64``, ``bool`` …
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


class Signature(msgspec.Struct, frozen=True):
    """The inputs and outputs of a program, in order.

    Attributes:
        inputs: One entry for each tensor argument, in the order the model's call flattens to.
        outputs: One entry for each tensor returned, flattened.
        in_tree: The structure of ``(args, kwargs)`` as torch's pytree writes it to JSON.
        out_tree: The structure of the returned value, likewise.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    in_tree: str = ""
    out_tree: str = ""
