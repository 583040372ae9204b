"""Writes single operators through a toolchain's own importer of torch programs.

A toolchain's importer knows many operators that a backend has no rule for. It is given a program of
one operator; what it makes of that becomes part of the model. Equal operators are imported once in a
process: a deployment writes the same program in several precisions.
"""

from __future__ import annotations

import hashlib
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

from edgeopt.errors import EdgeoptError
from edgeopt.lowering.rule_table import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from torch.export import ExportedProgram

    from edgeopt.ir import Program

__all__ = ["OperatorImporter", "SingleOperator", "operator_key", "require_same"]

_CAPACITY = 256
"""Operators that an importer remembers."""
_LARGE_BYTES = 1 << 20
"""Constants beyond this are not kept in memory for another program."""
_INTEGERS = (torch.int32, torch.int64)
_SPREADS = (1000.0, 3.0)
"""Standard deviations of integers that an importer's work is tried on."""

T = TypeVar("T")
"""What a toolchain's importer makes."""


class SingleOperator(torch.nn.Module):
    """A module that calls one operator; constants of the program are its buffers.

    Args:
        program: Where the operator is.
        node: The call.

    Attributes:
        inputs: The nodes whose values it takes, in order, each once.
        output: An example of what it returns: a tensor, or a tuple of them.
    """

    def __init__(self, program: Program, node: torch.fx.Node) -> None:
        super().__init__()
        self._node = node
        self.output: Any = node.meta["val"]
        self.inputs = [n for n in node.all_input_nodes if n.name not in program.constants]
        self._constants = [n for n in node.all_input_nodes if n.name in program.constants]
        for value in self._constants:
            self.register_buffer(f"constant_{value.name}", program.constants[value.name])
        self.eval()

    def forward(self, *values: torch.Tensor) -> Any:
        """Returns what the operator makes of ``values``, one for each of `inputs`."""
        tensors = dict(zip(self.inputs, values, strict=True))
        tensors |= {v: getattr(self, f"constant_{v.name}") for v in self._constants}
        args, kwargs = torch.fx.node.map_arg((self._node.args, self._node.kwargs), tensors.get)
        return self._node.target(*args, **kwargs)  # type: ignore[operator]

    def examples(
        self, make: Callable[[list[int]], torch.Tensor] = torch.zeros
    ) -> tuple[torch.Tensor, ...]:
        """Returns a tensor for each of `inputs`: of its shape by ``make``, as its dtype."""
        tensors = (n.meta["val"] for n in self.inputs)
        return tuple(make([int(d) for d in v.shape]).to(v.dtype) for v in tensors)

    def exported(self) -> ExportedProgram:
        """Returns it as the program that importers read."""
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            return torch.export.export(self, self.examples(), strict=False)


class OperatorImporter(Generic[T]):
    """Imports operators, equal ones once: same overload, arguments, shapes, dtypes and constants.

    Args:
        toolchain: What a person calls it, for reasons.
        convert: From a single operator to what the importer makes of it, which nobody may change;
            whatever it raises means that the importer cannot.
    """

    def __init__(self, toolchain: str, convert: Callable[[SingleOperator], T]) -> None:
        self._toolchain, self._convert = toolchain, convert
        self._known: dict[Hashable, T | NoRuleError] = {}

    def __call__(self, program: Program, node: torch.fx.Node) -> tuple[T, list[torch.fx.Node]]:
        """Returns what the importer makes of ``node``, and the nodes whose values that takes.

        Raises:
            NoRuleError: It cannot.
        """
        operator = SingleOperator(program, node)
        key = operator_key(program, node)
        result = self._known[key] if key in self._known else self._imported(operator)
        if sum(tensor.nbytes for tensor in operator.buffers()) <= _LARGE_BYTES:
            self._known[key] = result
            while len(self._known) > _CAPACITY:
                self._known.pop(next(iter(self._known)), None)
        if isinstance(result, NoRuleError):
            raise NoRuleError(str(result))
        return result, operator.inputs

    def _imported(self, operator: SingleOperator) -> T | NoRuleError:
        try:
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")
                return self._convert(operator)
        except NoRuleError as error:
            return error
        except Exception as error:  # noqa: BLE001 (torch and toolchains raise errors of any type)
            return NoRuleError(f"{self._toolchain} has no rule for it: {_reason(error)}")


def require_same(
    operator: SingleOperator, run: Callable[..., Sequence[np.ndarray]], toolchain: str
) -> None:
    """Checks what an importer made on random numbers: some rules compute something else.

    Args:
        operator: What was imported.
        run: Runs what was made of it: arrays in, arrays out.
        toolchain: What a person calls it.

    Raises:
        NoRuleError: The results differ, or ``run`` fails.
    """
    for inputs, expected in _tried(operator):
        try:
            actual = run(*(tensor.numpy() for tensor in inputs))
        except Exception as error:  # toolchains raise errors of many kinds
            raise NoRuleError(f"{toolchain} has no kernel for it: {_reason(error)}") from error
        if len(actual) != len(expected) or not all(map(_alike, expected, actual)):
            raise NoRuleError(f"{toolchain}'s rule for it computes something else")


def _alike(want: np.ndarray, have: np.ndarray) -> bool:
    if (want.shape, want.dtype) != (have.shape, have.dtype):
        return False
    return np.allclose(want, have, rtol=1e-3, atol=1e-4, equal_nan=True)


def _tried(operator: SingleOperator) -> list[tuple[tuple[torch.Tensor, ...], list[np.ndarray]]]:
    """Returns inputs that the operator takes, and its results for them.

    Integers are drawn wide (few are equal) and narrow (few overflow). They may be indices, which
    only 0 fits for sure, or divisors, which 0 does not fit.
    """
    generator = torch.Generator().manual_seed(0)
    inputs = operator.examples(lambda shape: torch.randn(shape, generator=generator))

    def with_integers(make: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return tuple(make(t).to(t.dtype) if t.dtype in _INTEGERS else t for t in inputs)

    def drawn(tensor: torch.Tensor, spread: float) -> torch.Tensor:
        whole = (spread * torch.randn(tensor.shape, generator=generator)).round()
        return torch.where(whole == 0, 1, whole)

    pairs = []
    for spread in _SPREADS if any(t.dtype in _INTEGERS for t in inputs) else _SPREADS[:1]:
        pairs += _fitting(operator, with_integers(partial(drawn, spread=spread)))
    pairs = pairs or _fitting(operator, with_integers(torch.zeros_like))
    return pairs or _fitting(operator, with_integers(torch.ones_like))


def _fitting(operator: SingleOperator, inputs: tuple[torch.Tensor, ...]) -> list[Any]:
    try:
        return [(inputs, _results(operator, inputs))]
    except (RuntimeError, IndexError, ZeroDivisionError):  # an index out of range
        return []


def _results(operator: SingleOperator, inputs: Sequence[torch.Tensor]) -> list[np.ndarray]:
    with torch.no_grad():
        results = operator(*(tensor.clone() for tensor in inputs))
    return [r.numpy() for r in (results if isinstance(results, (tuple, list)) else [results])]


def operator_key(program: Program, node: torch.fx.Node) -> Hashable:
    """Returns what equal operators have in common, of one program or of several.

    An input counts by its place among the operator's inputs, its shape and its dtype; a constant by
    its shape, its dtype and a digest of its content.
    """
    places = {value: place for place, value in enumerate(node.all_input_nodes)}

    def described(value: torch.fx.Node) -> Any:
        if value.name in program.constants:
            return ("constant", *_content(program.constants[value.name]))
        tensor = value.meta["val"]
        return ("input", places[value], tuple(tensor.shape), tensor.dtype)

    arguments = torch.fx.node.map_arg((node.args, node.kwargs), described)
    return (node.target, repr(arguments))


def _content(tensor: torch.Tensor) -> tuple[Hashable, ...]:
    content = tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy()
    return (tuple(tensor.shape), str(tensor.dtype), hashlib.sha256(content.tobytes()).hexdigest())


def _reason(error: Exception) -> str:
    """Returns the line of ``error`` that says most: importers write whole pages."""
    message = error.what if isinstance(error, EdgeoptError) else str(error)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    marks = ("No conversion rule", "conversion is failed", "nsupported")
    named = [line for line in lines if any(mark in line for mark in marks)]
    return (named[:1] or lines[-1:] or [type(error).__name__])[0]
