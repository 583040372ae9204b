"""Calling a model with what users pass as inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import CalibrationError, InputError
from edgeopt.ir.inputs import as_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import torch

__all__ = ["Feed"]


class Feed:
    """Samples, bound to what the model takes.

    Args:
        example_inputs: A tensor, a tuple, or a dict by argument name.
        data: Real inputs, or None. Items may be ``(inputs, label)``: what is more than the example
            has is left out.
        limit: At most so many items are read.
    """

    def __init__(self, example_inputs: Any, data: Iterable[Any] | None, limit: int) -> None:
        self.example = as_call(example_inputs)
        self.items = None if data is None else [x for x, _ in zip(data, range(limit), strict=False)]
        if data is not None and not self.items:
            raise CalibrationError(
                "no sample in it", where="calibration_data", hint="pass some real inputs"
            )

    def run(self, model: torch.nn.Module, call: Any = None) -> Any:
        """Returns the model's output for ``call``, by default for the example."""
        args, kwargs = call or self.example
        return model(*args, **kwargs)

    def calls(self) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
        """Yields ``(args, kwargs)`` of each sample.

        Raises:
            CalibrationError: There is none, or one does not fit or is not finite.
        """
        if self.items is None:
            raise CalibrationError(
                "real inputs are needed", where="calibration_data", hint="pass 16 to 64 of them"
            )
        for index, item in enumerate(self.items):
            yield self._bind(item, f"calibration_data, item {index}")

    def _bind(self, item: Any, where: str) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        import torch  # noqa: PLC0415

        try:
            args, kwargs = self._split(item)
        except (InputError, TypeError, ValueError, KeyError) as error:
            raise CalibrationError(f"does not fit the example: {error}", where=where) from error
        for tensor in (*args, *kwargs.values()):
            if isinstance(tensor, torch.Tensor) and not bool(torch.isfinite(tensor).all()):
                raise CalibrationError("not finite", where=where, hint="leave NaN and Inf out")
        return args, kwargs

    def _split(self, item: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        args, kwargs = self.example
        if kwargs:
            held = item[0] if isinstance(item, (tuple, list)) else item
            return as_call({name: held[name] for name in kwargs})
        if isinstance(item, (tuple, list)) and isinstance(item[0], (tuple, list)):
            item = item[0]
        given = as_call(item)[0] if not isinstance(item, (tuple, list)) else tuple(item)
        if len(given) < len(args):
            raise ValueError(f"{len(given)} inputs given, the model takes {len(args)}")
        return as_call(tuple(given[: len(args)]))
