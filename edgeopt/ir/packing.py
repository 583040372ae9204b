"""Packed sequences: recurrent layers over sequences of several lengths, computed on the padded ones.

A packed sequence has as many rows as the lengths add up to, so its shape depends on values. The layers' results do
not: they run over the padding too, what comes of it is left out, and the last state is the one of each last step.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch.nn.functional import pad

from edgeopt.errors import CaptureError
from edgeopt.ir.source import is_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

__all__ = ["padded_packing"]

_LAYERS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_SHUT = 1e4
"""What makes a gate 0 or 1 in float32, whatever a state and a bias add to it."""


@contextmanager
def padded_packing() -> Iterator[None]:
    """Lets a trace take the padded sequence where the model packs it."""
    functions = torch._VF  # noqa: SLF001 (no public name)
    replaced = {
        "_pack_padded_sequence": _pack,
        "_pad_packed_sequence": _unpack,
        **{name: partial(_run, getattr(functions, name)) for name in _LAYERS},
    }
    with ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(mock.patch.object(functions, name, function, create=True))
        yield


def _unknown(what: str, hint: str) -> CaptureError:
    return CaptureError(f"{what} depends on lengths", where="a packed sequence", hint=hint)


def _refuse_rows(*_: Any) -> Any:
    raise _unknown(
        "how many rows a packed sequence has",
        "work on the padded sequence: pad_packed_sequence(..., total_length=...)",
    )


class _Rows:
    """The rows of a packed sequence, for recurrent layers alone: here there are rows of padding among them.

    Attributes:
        padded: (steps, batch, ...).
        dtype: Its own.
        device: The CPU.
    """

    def __init__(self, padded: Tensor) -> None:
        self.padded = padded
        self.dtype = padded.dtype
        self.device = padded.device

    def dim(self) -> int:
        return self.padded.dim() - 1

    def size(self, axis: int) -> int:
        if axis in (0, -self.dim()):
            _refuse_rows()
        return int(self.padded.shape[axis if axis < 0 else axis + 1])

    __getattr__ = __getitem__ = __len__ = __iter__ = _refuse_rows
    __add__ = __sub__ = __mul__ = __truediv__ = __matmul__ = __pow__ = __neg__ = _refuse_rows
    __torch_function__ = classmethod(_refuse_rows)


class _Longest(int):
    """The steps of the padded sequences, where torch means those of the longest one."""


@dataclass(frozen=True)
class _Lengths:
    """Stands where torch keeps how many sequences go on at each step.

    Attributes:
        lengths: Steps of each sequence: (batch,), int64.
        steps: Of the padded sequences.
    """

    lengths: Tensor
    steps: int

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def __getitem__(self, step: int) -> int:
        if step:
            raise _unknown("which sequences go on at a step", "read the lengths instead")
        return self.lengths.shape[0]

    def size(self, axis: int = 0) -> _Longest:
        if not is_torch(sys._getframe(1).f_code.co_filename):  # noqa: SLF001 (documented for this)
            raise _unknown("the length of the longest sequence", "take it from the padded ones")
        del axis
        return _Longest(self.steps)

    def __getattr__(self, name: str) -> Any:
        raise _unknown("which sequences go on at a step", "read the lengths instead")

    def backwards(self, x: Tensor) -> Tensor:
        """Returns (steps, batch, n) with each sequence the other way round, and its padding where it was."""
        step = torch.arange(self.steps).unsqueeze(1)
        source = torch.where(step < self.lengths, self.lengths - 1 - step, step)
        return x.gather(0, source.unsqueeze(-1).expand(x.shape))

    def last(self, x: Tensor) -> Tensor:
        """Returns the last step of each sequence: (1, batch, n)."""
        place = (self.lengths - 1).reshape(1, -1, 1)
        return x.gather(0, place.expand(1, *x.shape[1:]))

    def is_padding(self) -> Tensor:
        """Returns truth values: (steps, batch, 1)."""
        return (torch.arange(self.steps).unsqueeze(1) >= self.lengths).unsqueeze(-1)


def _pack(x: Tensor, lengths: Tensor, batch_first: Any) -> tuple[_Rows, _Lengths]:
    steps_first = x.transpose(0, 1) if batch_first else x
    return _Rows(steps_first), _Lengths(lengths, steps_first.shape[0])


def _unpack(
    rows: _Rows, lengths: _Lengths, batch_first: Any, padding_value: float, steps: int
) -> tuple[Tensor, Tensor]:
    if isinstance(steps, _Longest):
        raise _unknown(
            "the length of what pad_packed_sequence returns",
            "give it a fixed one: pad_packed_sequence(..., total_length=x.shape[1]), or what the axis of steps is",
        )
    x = rows.padded
    hidden = lengths.is_padding().reshape(*x.shape[:2], *[1] * (x.dim() - 2))
    x = x.masked_fill(hidden, padding_value)
    x = pad(x, (*[0, 0] * (x.dim() - 1), 0, steps - lengths.steps), value=padding_value)
    return x.transpose(0, 1) if batch_first else x, lengths.lengths


def _run(layer: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """Returns what a recurrent layer of torch makes of a padded sequence; of another, as ever."""
    if not isinstance(arguments[1], _Lengths):
        plain: tuple[Any, ...] = layer(*arguments)
        return plain
    rows, lengths, states, parameters, has_biases, layers, _, _, bidirectional = arguments
    states = list(states) if isinstance(states, (list, tuple)) else [states]
    count = layers * (2 if bidirectional else 1)
    size = len(parameters) // count
    # Padding may be anything, and large numbers in it would open what is shut for it.
    x, ends, outputs = rows.padded.masked_fill(lengths.is_padding(), 0.0), [], []
    for at in range(count):
        own = parameters[at * size : (at + 1) * size]
        begin = [state[at : at + 1] for state in states]
        is_back = bidirectional and at % 2 == 1
        source = lengths.backwards(x) if is_back else x
        output, *end = _one_direction(layer, source, begin, own, lengths, has_biases=has_biases)
        ends.append(end)
        outputs.append(lengths.backwards(output) if is_back else output)
        if is_back or not bidirectional:
            x, outputs = torch.cat(outputs, -1), []
    return _Rows(x), *(torch.cat(parts) for parts in zip(*ends, strict=True))


def _one_direction(
    layer: Callable[..., Any],
    x: Tensor,
    begin: list[Tensor],
    parameters: Sequence[Tensor],
    lengths: _Lengths,
    *,
    has_biases: bool,
) -> tuple[Tensor, ...]:
    """Returns the outputs, the last hidden state and, of an LSTM, the last cell of one layer in one direction."""
    settings = (has_biases, 1, 0.0, False, False, False)
    if len(begin) == 1:
        output, _ = layer(x, begin[0], parameters, *settings)
        return output, lengths.last(output)
    output, *_ = layer(x, begin, parameters, *settings)
    # Only outputs are given for every step. An input that shuts the gates keeps the cell over the padding.
    is_padding = lengths.is_padding().to(x.dtype).expand(*x.shape[:2], 1)
    weight, *others = parameters
    gates = torch.tensor([-_SHUT, _SHUT, 0.0, 0.0]).repeat_interleave(weight.shape[0] // 4)
    extended = [torch.cat([weight, gates.unsqueeze(1)], 1), *others]
    *_, cell = layer(torch.cat([x, is_padding], -1), begin, extended, *settings)
    return output, lengths.last(output), cell
