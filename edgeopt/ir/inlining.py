"""Puts the operators that a function of tensors calls in the place of a node."""

from __future__ import annotations

import contextlib
import operator
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from edgeopt.ir.decompositions import decompositions
from edgeopt.ir.recurrence import shapes_only

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.edit import Editor

__all__ = ["inline", "inlined"]

aten = torch.ops.aten


def inline(editor: Editor, node: torch.fx.Node, function: Callable[..., Any]) -> None:
    """Lets the users of ``node`` use what ``function`` makes of its arguments, and drops ``node``.

    Args:
        editor: Of the program.
        node: The call.
        function: Takes the arguments of ``node``, makes no tensors of its own but by torch's factories
            (`torch.arange`, `torch.full`), and returns a tensor where ``node`` does, else a tuple of them.
    """
    own = editor.node(node.name)
    inputs = own.all_input_nodes

    def call(*tensors: torch.Tensor) -> Any:
        known = dict(zip(inputs, tensors, strict=True))
        args, kwargs = map_arg((own.args, dict(own.kwargs)), known.__getitem__)
        return function(*args, **kwargs)

    results = inlined(editor, own, inputs, call)
    if isinstance(own.meta["val"], torch.Tensor):
        editor.replace(own, results[0])
        return
    for user in list(own.users):
        if user.target is operator.getitem:
            editor.replace(user, results[int(user.args[1])])  # type: ignore[arg-type]
    editor.erase(own)


def inlined(
    editor: Editor,
    before: torch.fx.Node,
    inputs: Sequence[torch.fx.Node],
    function: Callable[..., Any],
) -> list[torch.fx.Node]:
    """Returns the nodes of what ``function`` makes of the values of ``inputs``, put in front of a node."""
    graph = _traced(inputs, function)
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    placeholders = [inner for inner in graph.nodes if inner.op == "placeholder"]
    copies.update(zip(placeholders, inputs, strict=True))
    for inner in graph.nodes:
        if inner.op == "call_function":
            args, kwargs = map_arg((inner.args, dict(inner.kwargs)), copies.__getitem__)
            copies[inner] = editor.call(
                inner.target, args, before=before, like=before, kwargs=kwargs
            )
    returned: Any = next(inner for inner in graph.nodes if inner.op == "output").args[0]
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    return [copies[value] for value in values]


def _traced(inputs: Sequence[torch.fx.Node], function: Callable[..., Any]) -> torch.fx.Graph:
    """Returns the operators that ``function`` calls, as far as capture would leave them whole."""
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415 (slow)

    examples = [value.meta["val"] for value in inputs]
    views = {
        view: view.decompose
        for view in (aten.narrow.default, aten.movedim.int, aten.movedim.intlist)
    }
    trace = make_fx(function, decomposition_table={**decompositions(), **views}, pre_dispatch=True)
    mode = examples[0].fake_mode if examples else contextlib.nullcontext()
    with warnings.catch_warnings(), torch.no_grad(), mode, shapes_only():
        warnings.simplefilter("ignore")
        return trace(*examples).graph
