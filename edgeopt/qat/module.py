"""A quantized Program as a module that can be trained, and computes what the Program computes.

Its forward is `edgeopt.ir.reference.Simulation` with gradients: the same integers, the same order
of float operations, so the same numbers. Batch norms are folded into the weights and dropout is
gone before a Program exists: neither is simulated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from edgeopt.data.binder import Binder
from edgeopt.errors import InputError
from edgeopt.ir import ops
from edgeopt.ir.decompositions import fallback_decompositions
from edgeopt.ir.edit import Editor
from edgeopt.ir.integer import average, largest_sum, scaled_sums, spread_along, sums
from edgeopt.ir.kernel_kind import gives_real_sums, kernel_kinds
from edgeopt.ir.operators import RECURRENT, WEIGHTED, traits_of
from edgeopt.passes.separate_ties import separate_ties
from edgeopt.qat.quantizers import RangeKind, TrainableQuantizers
from edgeopt.qat.straight_through import round_straight_through
from edgeopt.quantization.quantized_program import bias_spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.ir.program import Program, Step

__all__ = ["QuantizedModule"]

Seen = dict[str, tuple[torch.Tensor, torch.Tensor]]


class QuantizedModule(nn.Module):
    """A program with its weights as parameters.

    Args:
        program: int8 or int8-dynamic.
        ranges: What becomes of the activations' grids in training.
    """

    def __init__(self, program: Program, *, ranges: RangeKind = "learned") -> None:
        super().__init__()
        if not any(s.is_weight for s in program.quant.values()):
            raise InputError(
                f"a {program.precision} program has no integer grid",
                where="program",
                hint="quantize it to int8 or int8-dynamic first",
            )
        self.program = program
        self.grids = TrainableQuantizers(program, ranges)
        self.trained = _trained(program)
        self.weights = nn.ParameterDict(
            {f"c:{n}": nn.Parameter(program.constants[n].clone()) for n in sorted(self.trained)}
        )
        self._fixed = {n: t.clone() for n, t in program.constants.items() if n not in self.trained}
        self._kinds = kernel_kinds(program)

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantizedModule:
        copied = QuantizedModule(self.program, ranges=self.grids.ranges)
        copied.load_state_dict({k: v.clone() for k, v in self.state_dict().items()})
        return copied.to(next(iter(self.weights.values())).device).train(self.training)

    def _apply(self, fn: Any, recurse: bool = True) -> QuantizedModule:  # noqa: FBT001, FBT002
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._fixed = {n: fn(t) for n, t in self._fixed.items()}
        return self

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Returns the program's output (a tuple of several) for a batch of any multiple of its own."""
        item = named or (inputs[0] if len(inputs) == 1 else inputs)
        binder = Binder(self.program.signature)
        tensors = binder.bind(item)
        count = binder.batches(tensors)
        if count is None:
            return _single(self._run_watched(tensors, batched=False))
        signature = self.program.signature.inputs
        cut = [
            t[: count * s.shape[0]].reshape(count, *s.shape)
            if tuple(t.shape) != s.shape
            else t.expand(count, *t.shape)
            for s, t in zip(signature, tensors, strict=True)
        ]
        return _single([_joined(o) for o in self._run_watched(cut, batched=True)])

    def to_program(self, step: Step | None = None) -> Program:
        """Returns the program with weights and grids as they are now, rounded onto them.

        Grids that are not frozen are moved off rounding ties first, by a thousandth at most.
        """
        editor = Editor(self.program)
        editor.quant.update(self.grids.table())
        with torch.no_grad():
            for name in self.trained:
                tensor = self.weights[f"c:{name}"].detach().cpu()
                editor.set_tensor(editor.node(name), tensor.clone())
            for name in [n for n in self.grids.specs if n in self.program.constants]:
                node = editor.node(name)
                editor.set_tensor(node, editor.quant[name].fake(editor.tensor(node)))
            for node in editor.calls(*WEIGHTED):
                x, weight, bias = ops.weighted_parts(node)
                if bias is not None and bias.name in editor.quant:
                    spec = bias_spec(editor.quant[x.name], editor.quant[weight.name])
                    editor.quant[bias.name] = spec
                    editor.set_tensor(bias, _on_int32(editor.tensor(bias), spec.scale.double()))
        program = editor.finish(step)
        return program if bool(self.grids.frozen) else separate_ties(program)

    def freeze(self) -> None:
        """Sets the grids to what a program of now would have, for good; weights keep their integers."""
        if bool(self.grids.frozen):
            return
        table = self.to_program().quant
        old = self.grids.table()
        with torch.no_grad():
            for name in self.grids.specs:
                if name in self.trained:
                    self.weights[f"c:{name}"].mul_(self._spread(name, table, old))
        self.grids.freeze(table)

    def _spread(self, name: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> torch.Tensor:
        weight = self.weights[f"c:{name}"]
        ratio: torch.Tensor = (new[name].scale / old[name].scale).to(weight.device)
        spread: torch.Tensor = new[name].spread(ratio, weight.ndim)
        return spread

    def _run_watched(self, inputs: Sequence[torch.Tensor], *, batched: bool) -> list[torch.Tensor]:
        run = torch.vmap(self._run) if batched else self._run
        outputs, extremes = run(list(inputs))
        if self.training and extremes:
            self.grids.observe({k: (a.detach(), b.detach()) for k, (a, b) in extremes.items()})
        results: list[torch.Tensor] = outputs
        return results

    def _run(self, inputs: list[torch.Tensor]) -> tuple[list[torch.Tensor], Seen]:
        """Returns the outputs for one batch of the program's own size, and what was seen."""
        arguments = dict(zip(self.program.input_names, inputs, strict=True))
        env: dict[torch.fx.Node, Any] = {}
        extremes: Seen = {}
        returned: Any = ()
        for node in self.program.graph.nodes:
            if node.op == "output":
                returned = map_arg(node.args[0], env.__getitem__)
            elif node.name in self.program.constants:
                env[node] = self._constant(node.name)
            else:
                value = arguments[node.name] if node.op == "placeholder" else self._call(node, env)
                env[node] = self._rounded(node, value, extremes)
        return [v for v in returned if isinstance(v, torch.Tensor)], extremes

    def _constant(self, name: str) -> torch.Tensor:
        tensor = self.weights[f"c:{name}"] if name in self.trained else self._fixed[name]
        return self.grids.round(name, tensor) if name in self.grids.specs else tensor

    def _rounded(self, node: torch.fx.Node, value: Any, seen: Seen) -> Any:
        if node.name in self.grids.specs:
            if self.training and self.grids.watches(node.name):
                seen[node.name] = (value.amin(), value.amax())
            return self.grids.round(node.name, value)
        narrow = isinstance(value, torch.Tensor) and value.dtype is torch.float64
        if narrow and ops.fused_activation(node) is None:
            return value.to(node.meta["val"].dtype)
        return value

    def _call(self, node: torch.fx.Node, env: dict[torch.fx.Node, Any]) -> Any:
        if self._kinds[node.name].kind == "integer":
            if ops.is_weighted(node) and not gives_real_sums(self.program, node):
                return self._weighted(node, env)
            if traits_of(node).integer_kernel == "averages":
                source: Any = node.args[0]
                scale = self.grids.scale(source.name).detach()
                return average(node, round_straight_through(env[source] / scale), scale)
        args, kwargs = map_arg((node.args, dict(node.kwargs)), env.__getitem__)
        operator: Any = node.target
        if operator in RECURRENT:  # torch has no batching rule for them
            operator = fallback_decompositions()[operator]
        return operator(*args, **kwargs)

    def _weighted(self, node: torch.fx.Node, env: dict[torch.fx.Node, Any]) -> torch.Tensor:
        """Adds up exact integers, as the reference does; steps are constants in here.

        Their gradients come from where the values were put on their grids: what a weighted operator
        divides by, it multiplies by again.
        """
        x, kernel, bias = ops.weighted_parts(node)
        s_x, s_w = (self.grids.scale(n.name).detach() for n in (x, kernel))
        s_w_spread = spread_along(s_w, ops.output_channel_axis(node), env[kernel].ndim)
        weight = round_straight_through(env[kernel] / s_w_spread)
        whole, storage = round_straight_through(env[x] / s_x), self.program.quant[x.name].storage
        total = sums(node, whole, weight, largest_sum(node, weight), storage)
        activation = ops.fused_activation(node)
        return scaled_sums(
            node,
            total,
            None if bias is None else _on_int32(env[bias], (s_x * s_w).double()),
            s_x * s_w,
            self.grids.scale((activation or node).name),
            round_straight_through,
            narrow=_keeps_grid(activation),
        )


def _keeps_grid(activation: torch.fx.Node | None) -> bool:
    """Returns whether what is on the grid stays there: it need not be exact in between."""
    return activation is None or activation.target is torch.ops.aten.relu.default


def _on_int32(bias: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Returns a bias on its grid as the table stores it; the product is rounded to float32."""
    return (round_straight_through(bias.double() / step) * step).to(torch.float32)


def _joined(output: torch.Tensor) -> torch.Tensor:
    return output.flatten(0, 1) if output.ndim > 1 else output


def _single(outputs: Sequence[torch.Tensor]) -> Any:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


def _trained(program: Program) -> frozenset[str]:
    """Returns the constants that are trained: of weighted operators, recurrent layers, norms and embeddings."""
    names: set[str] = set()
    for node in program.graph.nodes:
        used = [node.args[i] for i in traits_of(node).trained_operands if i < len(node.args)]
        names.update(
            n.name
            for n in tree_leaves(used)
            if isinstance(n, torch.fx.Node)
            and n.name in program.constants
            and program.constants[n.name].dtype is torch.float32
        )
    return frozenset(names)
