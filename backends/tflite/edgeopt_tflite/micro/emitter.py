"""Writes a program with what TFLite for Micro has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt_tflite.emitter import Emitter
from edgeopt_tflite.micro.operators import require_micro

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["MicroEmitter"]


class MicroEmitter(Emitter):
    """An emitter that refuses what TFLite for Micro lacks."""

    def require(
        self, code: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> None:
        """Checks that the kernel of ``code`` exists in TFLM too, and takes these types.

        Raises:
            NoRuleError: It does not.
        """
        super().require(code, inputs, outputs)
        require_micro(code, inputs, outputs)
