"""A program as stable text, one line a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.ir.source import module_path, operator_name

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["parameters_text", "program_text"]


def program_text(program: Program) -> str:
    """Returns the program line by line; equal programs give equal text.

    A line reads ``name: dtype[shape] @ grid = operator(arguments)  # module``.
    """
    lines = [f"program {program.precision}"]
    lines += [_line(program, node) for node in program.graph.nodes if node.op != "output"]
    lines.append(f"return {', '.join(program.output_names)}")
    lines += [
        f"sparse {name}: {s.kind} density={s.density:.4f}"
        for name, s in sorted(program.sparsity.items())
    ]
    return "\n".join(lines) + "\n"


def _line(program: Program, node: torch.fx.Node) -> str:
    kind = _type(node.meta.get("val"))
    spec = program.quant.get(node.name)
    grid = f" @ {parameters_text(spec)}" if spec else ""
    if node.op == "placeholder":
        role = "constant" if node.name in program.constants else "input"
        return f"{role} {node.name}: {kind}{grid}"
    arguments = [_argument(a) for a in node.args]
    arguments += [f"{k}={_argument(v)}" for k, v in sorted(node.kwargs.items())]
    module = module_path(node)
    note = f"  # {module}" if module else ""
    return f"{node.name}: {kind}{grid} = {operator_name(node)}({', '.join(arguments)}){note}"


def _type(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_type(v) for v in value)})"
    if not hasattr(value, "dtype"):
        return type(value).__name__
    shape = "x".join(str(int(d)) for d in value.shape)
    return f"{str(value.dtype).removeprefix('torch.')}[{shape}]"


def parameters_text(spec: QuantSpec) -> str:
    """Returns a grid in one phrase, for example ``int8 scale=0.02 zero=-128``."""
    if spec.storage.floating:
        return spec.dtype
    bits = f":{spec.bits}" if spec.bits < spec.storage.bits else ""
    if spec.axis is not None:
        group = f" group={spec.group}" if spec.group is not None else ""
        zeros = " affine" if bool(spec.zero_point.any()) else ""
        channels = spec.scale.shape[0]
        return f"{spec.dtype}{bits} axis={spec.axis} channels={channels}{group}{zeros}"
    return f"{spec.dtype}{bits} scale={float(spec.scale[0]):.6g} zero={int(spec.zero_point[0])}"


def _argument(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_argument(v) for v in value)}]"
    return getattr(value, "name", None) or str(value)
