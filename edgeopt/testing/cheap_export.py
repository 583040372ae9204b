"""Lets torch.export prepare its composite operators once, and not at each capture.

``ExportedProgram.run_decompositions`` overrides the kernels of some 600 operators and lists all of
torch's before it traces, twice; for a model of one operator that is most of the time.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from torch._subclasses import fake_impls
from torch.export import exported_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Table = Mapping[Any, Callable[..., Any]]

__all__ = ["cheap_export"]


@contextmanager
def cheap_export() -> Iterator[None]:
    """Keeps what torch.export prepares, within the block; it computes the same.

    Operators that are registered within the block are not seen.
    """
    names = ("_collect_all_valid_cia_ops", "_override_composite_implicit_decomp")
    genuine = {name: getattr(exported_program, name) for name in names}
    listed, overridden = (genuine[name] for name in names)
    setattr(exported_program, names[0], cache(listed))
    setattr(exported_program, names[1], _Overrides(overridden))
    try:
        yield
    finally:
        for name, function in genuine.items():
            setattr(exported_program, name, function)


class _Overrides:
    """torch's context manager, which remembers the kernels that it made for each table.

    Args:
        genuine: torch's.
    """

    def __init__(self, genuine: Callable[[Table], Any]) -> None:
        self._genuine = genuine
        self._known: dict[frozenset[Any], dict[Any, tuple[dict[Any, Any], Any]]] = {}

    @contextmanager
    def __call__(self, table: Table) -> Iterator[None]:
        """Overrides the kernels of the operators in ``table`` within the block."""
        key = frozenset(table.items())
        if key not in self._known:
            with self._genuine(table):
                rules = fake_impls.op_implementations_dict
                self._known[key] = {op: (op.py_kernels.copy(), rules.get(op)) for op in table}
        before = {op: _set(op, *after) for op, after in self._known[key].items()}
        try:
            yield
        finally:
            for op, (kernels, _) in before.items():
                _set(op, kernels, None)  # torch's own takes the rule away too


def _set(op: Any, kernels: dict[Any, Any], rule: Any) -> tuple[dict[Any, Any], Any]:
    """Gives ``op`` these kernels and this rule for fake tensors; returns what it had."""
    rules = fake_impls.op_implementations_dict
    before = op.py_kernels.copy(), rules.get(op)
    op.py_kernels.clear()
    op.py_kernels.update(kernels)
    op._dispatch_cache.clear()  # noqa: SLF001 (as torch does)
    if rule is None:
        rules.pop(op, None)
    else:
        rules[op] = rule
    return before
