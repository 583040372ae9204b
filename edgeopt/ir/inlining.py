"""Puts the operators that a function of tensors calls in the place of a node."""

from __future__ import annotations

import operator
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.fx.node import map_arg

from edgeopt.ir.decompositions import decompositions

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir.edit import Editor

__all__ = ["inline"]

aten = torch.ops.aten


def inline(editor: Editor, node: torch.fx.Node, function: Callable[..., Any]) -> None:
    """Lets the users of ``node`` use what ``function`` makes of its arguments, and drops ``node``.

    Args:
        editor: Of the program.
        node: The call.
        function: Takes the arguments of ``node``, makes no tensors of its own but by torch's factories
            (`torch.arange`, `torch.full`), and returns a tensor where ``node`` does, else a tuple of them.
    """
    results = _inlined(editor, node, function)
    if isinstance(node.meta["val"], torch.Tensor):
        editor.replace(node, results[0])
        return
    for user in list(editor.node(node.name).users):
        if user.target is operator.getitem:
            editor.replace(user, results[int(user.args[1])])  # type: ignore[arg-type]
    editor.erase(node)


def _inlined(
    editor: Editor, node: torch.fx.Node, function: Callable[..., Any]
) -> list[torch.fx.Node]:
    """Returns the nodes of what ``function`` returns."""
    inputs = editor.node(node.name).all_input_nodes
    graph = _traced(editor.node(node.name), inputs, function)
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    placeholders = [inner for inner in graph.nodes if inner.op == "placeholder"]
    copies.update(zip(placeholders, inputs, strict=True))
    for inner in graph.nodes:
        if inner.op == "call_function":
            args, kwargs = map_arg((inner.args, dict(inner.kwargs)), copies.__getitem__)
            copies[inner] = editor.call(inner.target, args, before=node, like=node, kwargs=kwargs)
    returned: Any = next(inner for inner in graph.nodes if inner.op == "output").args[0]
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    return [copies[value] for value in values]


def _traced(
    node: torch.fx.Node, inputs: list[torch.fx.Node], function: Callable[..., Any]
) -> torch.fx.Graph:
    """Returns the operators that ``function`` calls, as far as capture would leave them whole."""
    from torch.fx.experimental.proxy_tensor import make_fx  # noqa: PLC0415 (slow)

    def call(*tensors: torch.Tensor) -> Any:
        known = dict(zip(inputs, tensors, strict=True))
        args, kwargs = map_arg((node.args, dict(node.kwargs)), known.__getitem__)
        return function(*args, **kwargs)

    examples = [value.meta["val"] for value in inputs]
    views = {
        view: view.decompose
        for view in (aten.narrow.default, aten.movedim.int, aten.movedim.intlist)
    }
    trace = make_fx(call, decomposition_table={**decompositions(), **views}, pre_dispatch=True)
    with warnings.catch_warnings(), torch.no_grad(), examples[0].fake_mode:
        warnings.simplefilter("ignore")
        return trace(*examples).graph
