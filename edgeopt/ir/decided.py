"""What a model reads off tensors that no input reaches: Python numbers that are the same in every call.

torch.export takes each number that is read off a tensor for an unknown one, and fails where the model decides on it.
Many of these tensors are the model's own: a stride kept in a buffer, a mask of ones that it made itself. They are
found by running the model once on the example and following which memory its inputs reach; the trace is then given
the numbers that this run read.
"""

from __future__ import annotations

import sys
import traceback
from collections import defaultdict
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from edgeopt.ir.operators import traits_of
from edgeopt.ir.source import is_standard, is_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Decisions", "decided"]

_Tensor = torch.Tensor
_READS = frozenset(
    {
        *(_Tensor.item, _Tensor.tolist, _Tensor.numpy, _Tensor.__array__, _Tensor.__contains__),
        *(_Tensor.__bool__, _Tensor.__int__, _Tensor.__float__, _Tensor.__index__),
        *(_Tensor.__complex__, _Tensor.equal, _Tensor.allclose, _Tensor.is_nonzero),
        *(torch.equal, torch.allclose, torch.is_nonzero),
    }
)
"""Functions whose results are Python's or NumPy's, and depend on values."""
_SHARES = (_Tensor.numpy, _Tensor.__array__)
"""Those whose result is the tensor's own memory."""
_SELECTIONS = frozenset(
    {
        *(_Tensor.nonzero, _Tensor.argwhere, _Tensor.masked_select, _Tensor.unique),
        *(_Tensor.unique_consecutive, _Tensor.bincount, _Tensor.repeat_interleave),
        *(torch.nonzero, torch.argwhere, torch.masked_select, torch.unique),
        *(torch.unique_consecutive, torch.bincount, torch.repeat_interleave),
    }
)
"""Functions whose results are tensors of a shape that depends on values."""
_SIZED = frozenset(
    {
        *(_Tensor.view, _Tensor.reshape, _Tensor.expand, _Tensor.repeat, _Tensor.tile),
        *(_Tensor.narrow, _Tensor.split, _Tensor.new_zeros, _Tensor.new_ones, _Tensor.__getitem__),
        *(torch.reshape, torch.narrow, torch.split, torch.tile, functional.interpolate),
        *(functional.pad, functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d),
    }
)
"""Functions of a tensor and of sizes, which may come as tensors too."""
_EMPTY = ("empty_like", "new_empty", "new_empty_strided")
"""Operators that read no more of a tensor than its shape, as those do whose traits say so."""
_PACKAGE = str(Path(__file__).parents[1])

UNKNOWN = object()
"""What stands for a number that an input reaches."""

Site = tuple[tuple[str, int], ...]
"""The lines of the model's code that lead to a call, innermost first."""


class Decisions(TorchFunctionMode):
    """Numbers by the place that reads them, in the order of reading; gives them to a trace in which it is active.

    Attributes:
        values: What each place read; `UNKNOWN` where an input may reach it.
    """

    def __init__(self, values: dict[Site, list[Any]]) -> None:
        super().__init__()
        self.values = values
        self._count: dict[Site, int] = defaultdict(int)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Returns what the place read, or gives ``func`` the sizes that it read, if they are known."""
        del types
        kwargs = kwargs or {}
        reads = _reads(func, args)
        if reads:
            value = self._next(_site(), UNKNOWN)
            if value is not UNKNOWN:
                return _copied(value)
        elif _sizes(func, args, kwargs):
            site = _site()
            args, kwargs = _with_sizes(args, kwargs, lambda size: self._next(site, size))
        return func(*args, **kwargs)

    def _next(self, site: Site, unknown: Any) -> Any:
        """Returns the next number of a place, or ``unknown`` in its stead."""
        values = self.values.get(site, [UNKNOWN])
        value = values[self._count[site] % len(values)]
        self._count[site] += 1
        return unknown if value is UNKNOWN else value

    @property
    def are_any(self) -> bool:
        """Whether a number is known at all."""
        return any(value is not UNKNOWN for values in self.values.values() for value in values)

    @property
    def are_used_up(self) -> bool:
        """Whether the trace came to every place as often as the run (or a multiple: torch may run it twice)."""
        return all(self._count[site] % len(values) == 0 for site, values in self.values.items())


def decided(model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Decisions:
    """Returns what ``model`` reads off tensors that neither its inputs nor chance reach.

    Nothing counts that is read after the first number that an input reaches: Python may carry it anywhere.

    Args:
        model: In eval mode; it is called once, within `edgeopt.ir.tracing.tried`.
        args: Its arguments.
        kwargs: Its arguments by name.
    """
    reach = _Reach()
    reads = _Reads(reach)
    for tensor in _tensors((args, kwargs)):
        reach.add(tensor)
    with _as_exported(), reach, reads:
        model(*args, **kwargs)
    return Decisions(dict(reads.values))


class _Reach(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is not typed
    """Follows which memory the inputs, or random numbers, reach: also through views and writes in place.

    Attributes:
        is_read: Whether torch has made a Python number, or a shape, of such memory.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.is_read = False
        self._reached: set[StorageWeakRef] = set()

    def add(self, tensor: torch.Tensor) -> None:
        self._reached.add(_storage(tensor))

    def reaches(self, values: Any) -> bool:
        return any(_storage(t) in self._reached for t in _tensors(values))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        drawn = torch.Tag.nondeterministic_seeded in func.tags
        shaped = traits_of(func).shape_only or func.overloadpacket.__name__ in _EMPTY
        reached = drawn or (not shaped and self.reaches((args, kwargs)))
        results = func(*args, **kwargs)
        if reached:
            self.is_read = self.is_read or (_tells(func) and self.reaches(_deciding(func, args)))
            names = (argument.name for argument in func._schema.arguments)  # noqa: SLF001 (no public name)
            arguments = {**dict(zip(names, args, strict=False)), **kwargs}
            written = [
                arguments.get(argument.name)
                for argument in func._schema.arguments  # noqa: SLF001
                if argument.alias_info is not None and argument.alias_info.is_write
            ]
            for tensor in _tensors((results, written)):
                self.add(tensor)
        return results


def _tells(func: Any) -> bool:
    """Returns whether an operator gives Python a number, or a shape, that depends on values."""
    tags = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
    return any(tag in func.tags for tag in tags)


def _deciding(func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the arguments that decide that number or shape: of a choice, not what is chosen from."""
    chooses = func in (torch.ops.aten.index.Tensor, torch.ops.aten.masked_select.default)
    return args[1:] if chooses else args


class _Reads(TorchFunctionMode):
    """Collects what is read off memory that the inputs do not reach."""

    def __init__(self, reach: _Reach) -> None:
        super().__init__()
        self.values: dict[Site, list[Any]] = defaultdict(list)
        self._reach = reach
        self._is_over = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        sizes = _sizes(func, args, kwargs)
        reads = _reads(func, args)
        result = func(*args, **kwargs)
        if reads or sizes:
            reaches = self._reach.is_read or self._reach.reaches(sizes or (args, kwargs))
            reaches = reaches or func in _SHARES  # written through both, and nobody sees it
            self._is_over = self._is_over or reaches
            values = [_copied(result)] if reads else [_known(size) for size in sizes]
            self.values[_site()] += [UNKNOWN] * len(values) if self._is_over else values
        return result


def _reads(func: Any, args: tuple[Any, ...]) -> bool:
    if func is torch.where:
        return len(args) == 1
    return func in _READS or func in _SELECTIONS


def _sizes(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """Returns the tensors of a call that decide the shape of its result by their values."""
    if func not in _SIZED:
        return []
    sizes: list[torch.Tensor] = []

    def known(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor)
        return tensor

    _with_sizes(args, kwargs, known)
    return sizes


def _with_sizes(
    args: tuple[Any, ...], kwargs: dict[str, Any], known: Callable[[torch.Tensor], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of a call with what ``known`` makes of each size and mask among them."""

    def sized(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return known(value) if _is_size(value) or value.dtype is torch.bool else value
        if isinstance(value, slice):
            return slice(sized(value.start), sized(value.stop), sized(value.step))
        if isinstance(value, (tuple, list)):
            parts = [(part, sized(part)) for part in value]
            return tuple(
                one for old, new in parts for one in (new if _is_mask(old, new) else [new])
            )
        return value

    return (*args[:1], *map(sized, args[1:])), {name: sized(v) for name, v in kwargs.items()}


def _is_mask(old: Any, new: Any) -> bool:
    """Whether indices came in place of a mask: one for each of its axes."""
    return isinstance(old, torch.Tensor) and isinstance(new, tuple)


def _is_size(value: torch.Tensor) -> bool:
    return value.dim() == 0 and value.dtype in (torch.int32, torch.int64)


def _known(value: torch.Tensor) -> Any:
    """Returns what stands in an index, or for a size, in place of a tensor whose values are known."""
    if not value.dim():
        return bool(value) if value.dtype is torch.bool else int(value)
    return value.nonzero(as_tuple=True)


def _copied(value: Any) -> Any:
    return pytree.tree_map_only(torch.Tensor, torch.clone, value)


def _storage(tensor: torch.Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # torch's own is not typed


def _tensors(values: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)]


def _site() -> Site:
    frame = sys._getframe(1)  # noqa: SLF001 (documented for this)
    frames = [(one.f_code.co_filename, line) for one, line in traceback.walk_stack(frame)]
    called = dropwhile(lambda place: _is_ours(place[0]), frames)
    model = takewhile(lambda place: not _is_ours(place[0]), called)
    # torch's and Python's lines lead to the same place otherwise in a trace.
    return tuple(place for place in model if not is_torch(place[0]) and not is_standard(place[0]))


def _is_ours(file: str) -> bool:
    return file.startswith(_PACKAGE)


@contextmanager
def _as_exported() -> Iterator[None]:
    """Lets the model take the branches that it takes in an export."""
    compiler = torch.compiler
    compiling = mock.patch.object(compiler, "_is_compiling_flag", True)  # noqa: FBT003 (the value)
    with compiling, mock.patch.object(compiler, "_is_exporting_flag", True):  # noqa: FBT003
        yield
