"""A compressed program for inputs of another shape, with the same weights and the same grids.

The model is captured a second time, at the other shape. Where the two float programs are the same
network (the same operators, each of the same values), they differ in sizes alone: of reshapes, slices, resizes,
and of constants that are made for a shape, such as positions. Those are carried over into the compressed one.
What values are called, and in which order independent ones are computed, may differ: torch traces
`nn.MultiheadAttention` with a mask in another order for one row than for several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.errors import CaptureError
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Step
from edgeopt.ir.source import source_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["reshape_program"]

_HINT = "deploy it for that shape by itself: its network is another one there"


def reshape_program(compressed: Program, original: Program, other: Program) -> Program:
    """Returns ``compressed`` for the inputs that ``other`` takes.

    Args:
        compressed: What was made of ``original``: quantized, rescaled, or itself.
        original: The float program that was captured at the first shape, in canonical form.
        other: The float program of the same model, captured at the other shape, likewise.

    Raises:
        CaptureError: The model is another network at that shape: an operator, or a constant that
            was changed by compression, differs; says which.
    """
    nodes = _counterparts(original, other)
    editor = Editor(compressed)
    for name in original.input_names:
        editor.resize_input(editor.node(name), other.node(name).meta["val"])
    constants = _Constants(editor, original, other)
    for node in list(editor.calls()):
        if node.name in nodes:
            _carry(editor, node, original.node(node.name), nodes[node.name], constants)
    for was, now in zip(original.output_names, other.output_names, strict=True):
        if was in original.constants and constants.differ(original.node(was), other.node(now)):
            raise _unlike(original, other, original.node(was))
    editor.refresh()
    _require_shapes(editor, nodes)
    shapes = [list(spec.shape) for spec in other.signature.inputs]
    return editor.finish(Step("reshape", {"inputs": shapes}), signature=other.signature)


def _counterparts(original: Program, other: Program) -> dict[str, torch.fx.Node]:
    """Returns the name of each call of ``original`` to the call of ``other`` that computes the same.

    From the outputs back: the same operator, of values that are counterparts too.
    """
    outputs = zip(original.output_names, other.output_names, strict=True)
    pending = [(original.node(was), other.node(now)) for was, now in outputs]
    counterparts: dict[torch.fx.Node, torch.fx.Node] = {}
    while pending:
        was, now = pending.pop()
        if was in counterparts and counterparts[was] is now:
            continue
        if was in counterparts or not _is_alike(was, now, original, other):
            raise _unlike(original, other, was)
        if was.op == "call_function":
            counterparts[was] = now
            pairs = zip(_leaves(was), _leaves(now), strict=True)
            pending += [(one, two) for one, two in pairs if _is_node(one)]
    return {was.name: now for was, now in counterparts.items()}


def _is_alike(was: torch.fx.Node, now: torch.fx.Node, original: Program, other: Program) -> bool:
    """Returns whether two nodes do the same with what they read; what that is, is not looked at."""
    if was.op != now.op:
        return False
    if was.op == "call_function":
        reads, others = ([_is_node(leaf) for leaf in _leaves(node)] for node in (was, now))
        return was.target == now.target and reads == others
    is_constant = was.name in original.constants
    return is_constant == (now.name in other.constants) and (is_constant or was.name == now.name)


def _leaves(node: torch.fx.Node) -> list[Any]:
    return pytree.tree_leaves((node.args, dict(node.kwargs)))


def _carry(
    editor: Editor,
    node: torch.fx.Node,
    was: torch.fx.Node,
    now: torch.fx.Node,
    constants: _Constants,
) -> None:
    """Gives ``node`` the sizes and constants of ``now`` where they differ from those of ``was``."""
    own, spec = pytree.tree_flatten((node.args, dict(node.kwargs)))
    before, after = _leaves(was), _leaves(now)
    changes = {i: after[i] for i in range(len(after)) if constants.differ(before[i], after[i])}
    if not changes:
        return
    if len(own) != len(before) or any(_number(own[i]) != _number(before[i]) for i in changes):
        raise _changed(node)
    for place, value in changes.items():
        own[place] = (
            constants.carried(own[place], before[place], value) if _is_node(value) else value
        )
    args, kwargs = pytree.tree_unflatten(own, spec)
    editor.update(node, tuple(args), kwargs=kwargs)


class _Constants:
    """Carries constants over; one that is used for several becomes several."""

    def __init__(self, editor: Editor, original: Program, other: Program) -> None:
        self.editor, self.original, self.other = editor, original, other
        self._carried: dict[tuple[str, str], torch.fx.Node] = {}

    def differ(self, was: Any, now: Any) -> bool:
        """Returns whether an argument is another number, or another constant, in ``other``."""
        if not _is_node(was):
            return bool(was != now)
        before, after = self.original.constants.get(was.name), self.other.constants.get(now.name)
        if before is None or after is None:
            return False  # counterparts
        return before.shape != after.shape or not torch.equal(before, after)

    def carried(self, node: Any, was: Any, now: torch.fx.Node) -> torch.fx.Node:
        """Returns the constant that stands for ``now`` where ``node`` stood for ``was``.

        Raises:
            CaptureError: Compression has changed it by more than its rounding.
        """
        key = (node.name, now.name)
        if key not in self._carried:
            self._carried[key] = self._new(node, was, now)
        return self._carried[key]

    def _new(self, node: Any, was: Any, now: torch.fx.Node) -> torch.fx.Node:
        spec, stored = self.editor.quant.get(node.name), self.editor.constants.get(node.name)
        tensor = self.original.constants.get(was.name)
        if tensor is None or stored is None or (spec is not None and spec.axis is not None):
            raise _changed(node)
        if tensor.shape != stored.shape or not _is_rounded(stored, tensor, spec):
            raise _changed(node)
        value = self.other.constants[now.name]
        if spec is not None and float((spec.fake(value) - value).abs().max()) > float(spec.scale):
            raise CaptureError(
                f"{now.name} depends on the inputs' shape, and here it leaves the range that it has in the first",
                where=source_line(node) or now.name,
                hint="make the shape with the largest values the example, or keep it in float: "
                f"quantization={{'keep_float': ['{node.name}']}}",
            )
        constant = self.editor.add_constant(now.name, value if spec is None else spec.fake(value))
        if spec is not None:
            self.editor.quant[constant.name] = spec
        return constant


def _is_rounded(stored: torch.Tensor, tensor: torch.Tensor, spec: QuantSpec | None) -> bool:
    """Returns whether ``stored`` is ``tensor`` on its grid; a step apart where the grid was moved after it."""
    if spec is None:
        return torch.equal(stored, tensor)
    return float((spec.fake(tensor) - stored).abs().max()) <= 1.01 * float(spec.scale)


def _is_node(value: Any) -> bool:
    return isinstance(value, torch.fx.Node)


def _number(value: Any) -> Any:
    return None if _is_node(value) else value


def _unlike(original: Program, other: Program, node: torch.fx.Node) -> CaptureError:
    shapes = [[list(spec.shape) for spec in p.signature.inputs] for p in (other, original)]
    return CaptureError(
        f"for inputs {shapes[0]} the model is not the network that it is for {shapes[1]}: {node.name} differs",
        where=source_line(node) or node.name,
        hint=_HINT,
    )


def _changed(node: torch.fx.Node) -> CaptureError:
    what = f"{node.name} depends on the inputs' shape, and compression has changed it"
    return CaptureError(what, where=source_line(node) or node.name, hint=_HINT)


def _require_shapes(editor: Editor, nodes: Mapping[str, torch.fx.Node]) -> None:
    """Raises where a value is not of the shape that it has in the float program."""
    for name, counterpart in nodes.items():
        try:
            node = editor.node(name)
        except KeyError:  # compression has put another one in its place
            continue
        shapes = [_shape(value) for value in (node.meta["val"], counterpart.meta["val"])]
        if shapes[0] != shapes[1]:
            raise CaptureError(
                f"{name} is {shapes[0]} after compression, and {shapes[1]} in the model",
                where=source_line(node) or name,
                hint=_HINT,
            )


def _shape(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    return [_shape(part) for part in value] if isinstance(value, (list, tuple)) else None
