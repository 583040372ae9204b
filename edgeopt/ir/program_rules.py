"""What makes a program legal: a table of rules, checked after each pass."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT32
from edgeopt.errors import ProgramError
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.ir.program import Program

__all__ = ["RULES", "verify_program"]

Rule = "Callable[[Program], Iterator[str]]"


def verify_program(program: Program, *, after: str = "capture") -> None:
    """Checks every rule.

    Raises:
        ProgramError: A rule is broken; says which, where, and after which step.
    """
    for rule in RULES:
        for broken in rule(program):
            name = rule.__name__.strip("_").replace("_", " ")
            raise ProgramError(
                f"{broken} (rule: {name})",
                where=f"program after {after}",
                hint="this is a defect of that step, not of your model; please report it",
            )


def _signature_fits_graph(program: Program) -> Iterator[str]:
    for kind, specs, names in (
        ("input", program.signature.inputs, program.input_names),
        ("output", program.signature.outputs, program.output_names),
    ):
        if len(specs) != len(names):
            yield f"{len(names)} {kind}s in the graph, {len(specs)} in the signature"
            continue
        for spec, name in zip(specs, names, strict=True):
            value = program.node(name).meta.get("val")
            if not isinstance(value, torch.Tensor):
                continue
            if tuple(value.shape) != spec.shape:
                yield f"{kind} {name} has shape {tuple(value.shape)}, not {spec.shape}"
            if str(value.dtype) != f"torch.{spec.dtype}":
                yield f"{kind} {name} is {value.dtype}, not {spec.dtype}"


def _every_operator_is_one_of_torch(program: Program) -> Iterator[str]:
    """A graph that was read may name any callable; only overloads without side effects are run."""
    for node in program.graph.nodes:
        if node.op != "call_function" or node.target is operator.getitem:
            continue
        if not isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001 (no public name)
            yield f"{node.name} calls {operator_name(node)}, which is no operator of torch"
        elif any(a.name == "filename" for a in node.target._schema.arguments):  # noqa: SLF001
            yield f"{node.name} ({operator_name(node)}) touches files"


def _every_operator_is_functional(program: Program) -> Iterator[str]:
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op not in ("placeholder", "call_function", "output"):
            yield f"{node.name} is a {node.op}"
        elif schema is not None and schema.is_mutable:
            yield f"{node.name} ({operator_name(node)}) changes its input in place"


def _every_shape_is_known(program: Program) -> Iterator[str]:
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and any(
            isinstance(d, torch.SymInt) for d in value.shape
        ):
            yield f"{node.name} has a dimension that is not known: {tuple(value.shape)}"


def _quantized_values_are_float_tensors(program: Program) -> Iterator[str]:
    for name in program.quant:
        if name not in program._nodes:  # noqa: SLF001 (one package)
            yield f"the quantization table names {name}, which is not in the graph"
        elif not ops.is_float_tensor(program.node(name)):
            yield f"{name} has a grid but is not a float tensor"


def _channels_fit_axis(program: Program) -> Iterator[str]:
    for name, spec in program.quant.items():
        shape = tuple(program.node(name).meta["val"].shape)
        misfit = spec.misfit(shape)
        if misfit:
            yield f"{name} of shape {shape}: {misfit}"


def _constants_lie_on_their_grid(program: Program) -> Iterator[str]:
    for name, tensor in program.constants.items():
        spec = program.quant.get(name)
        if spec is None or not tensor.dtype.is_floating_point or not tensor.numel():
            continue
        off = (spec.fake(tensor) - tensor).abs().max()
        room = 1e-3 * float(spec.scale.max()) if not spec.storage.floating else 0.0
        if float(off) > room + 1e-6 * float(tensor.abs().max()):
            yield f"constant {name} is {float(off):.3g} off its grid"


def _integer_weighted_operators_are_complete(program: Program) -> Iterator[str]:
    if not program.precision.is_integer:
        return
    for node in program.graph.nodes:
        if not ops.is_weighted(node) or node.args[0].name not in program.quant:
            continue
        value, weight, bias = ops.weighted_parts(node)
        if weight.name not in program.constants or weight.name not in program.quant:
            continue  # computed, or kept in float: the operator reads real numbers
        if (ops.fused_activation(node) or node).name not in program.quant:
            continue  # it makes real numbers, of a weight that is only stored as integers
        if bias is not None:
            yield from _bias_fits(program, node.name, value.name, weight.name, bias.name)


def _bias_fits(program: Program, node: str, value: str, weight: str, bias: str) -> Iterator[str]:
    spec = program.quant.get(bias)
    if spec is None or spec.storage != INT32:
        yield f"{node} has integer inputs and a bias {bias} that is not int32"
        return
    expected = program.quant[value].scale * program.quant[weight].scale
    fits = expected.numel() in (1, spec.scale.numel())
    if not fits or not torch.allclose(
        spec.scale, expected.expand_as(spec.scale), rtol=1e-5, atol=0
    ):
        yield f"the bias {bias} of {node} is not on the grid of input scale times weight scale"


def _moved_values_keep_their_grid(program: Program) -> Iterator[str]:
    for node in program.graph.nodes:
        if not traits_of(node).shares_parameters or node.name not in program.quant:
            continue
        for value in ops.activation_inputs(node):
            spec = program.quant.get(value.name)
            if spec is not None and not spec.same_grid(program.quant[node.name]):
                where = source_line(node)
                yield f"{node.name} ({operator_name(node)}, {where}) has another grid than its input {value.name}"


RULES: tuple[Callable[[Program], Iterator[str]], ...] = (
    _signature_fits_graph,
    _every_operator_is_one_of_torch,
    _every_operator_is_functional,
    _every_shape_is_known,
    _quantized_values_are_float_tensors,
    _channels_fit_axis,
    _constants_lie_on_their_grid,
    _integer_weighted_operators_are_complete,
    _moved_values_keep_their_grid,
)
