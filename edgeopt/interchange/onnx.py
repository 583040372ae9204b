"""A program as ONNX, with QuantizeLinear and DequantizeLinear where it has a grid.

torch.onnx translates the float operators. The grids go in before that, as operators of the graph
(`edgeopt.passes.insert_quantize`), and are translated here: torch's own translation puts a Clip behind
each QuantizeLinear, and runtimes then no longer see integers. Activations are uint8, the same grid
moved by 128: ONNX Runtime on x86 makes them so itself, but not where a value has several readers.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import CompileError, PluginError, UnsupportedError
from edgeopt.files import write_file
from edgeopt.installation import install_command
from edgeopt.ir.source import operator_name, source_line
from edgeopt.passes import PassSpec, run_passes
from edgeopt.passes.insert_quantize import quantized_operators

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program

__all__ = ["export_onnx"]

OPSET = 21


def export_onnx(program: Program, path: Path) -> Path:
    """Returns ``path`` after writing ``program`` there as ONNX, whole or not at all.

    Args:
        program: In canonical form. A quantized one has integers in the file.
        path: The file.

    Raises:
        PluginError: onnx or onnxscript is not installed.
        UnsupportedError: An operator has no counterpart in ONNX.
        CompileError: What came out does not pass onnx's checker.
    """
    onnx = _require_onnx()
    proto = _translated(program)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:  # onnx raises types of its own
        raise CompileError(f"onnx.checker: {error}", where=str(path)) from error
    write_file(Path(path), proto.SerializeToString(deterministic=True))
    return Path(path)


def _require_onnx() -> Any:
    try:
        import onnx  # noqa: PLC0415 (optional)
        import onnxscript  # noqa: F401, PLC0415 (torch.onnx needs it)
    except ImportError as error:
        raise PluginError(f"{error.name} is not installed", hint=install_command("onnx")) from error
    return onnx


def _translated(program: Program) -> Any:
    import torch  # noqa: PLC0415 (heavy)

    qdq_program = run_passes(program, (PassSpec("insert_quantize", {"unsigned": True}),))
    with _quiet():
        try:
            onnx_program = torch.onnx.export(
                qdq_program.exported,
                dynamo=True,
                optimize=False,
                verbose=False,
                opset_version=OPSET,
                input_names=[s.name for s in program.signature.inputs],
                output_names=[s.name for s in program.signature.outputs],
                custom_translation_table=_translations(),
            )
        except Exception as error:
            raise _explained(program, error) from error
    if onnx_program is None:
        raise CompileError("torch.onnx gave no model")
    _decompose_casts(onnx_program.model)
    _lift_constants(onnx_program.model)
    return _without_traces(onnx_program.model_proto)


def _translations() -> dict[Any, Any]:
    """Returns what the quantize and dequantize operators are in ONNX."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from onnxscript import ir, opset21  # noqa: PLC0415 (optional)

    # torch.onnx hands a dtype over as torch's or as ONNX's.
    types: dict[Any, Any] = {
        torch.uint8: np.uint8,
        torch.int8: np.int8,
        torch.int32: np.int32,
        ir.DataType.UINT8: np.uint8,
        ir.DataType.INT8: np.int8,
        ir.DataType.INT32: np.int32,
    }

    def scalar(value: float, dtype: Any) -> Any:
        tensor: Any = ir.tensor(np.array(value, dtype=dtype))
        return opset21.Constant(value=tensor)

    # The names of the parameters are those of torch's operators; ends and types ONNX has itself.
    def quantize(
        x: Any, scale: float, zero: int, quant_min: int, quant_max: int, dtype: Any
    ) -> Any:
        del quant_min, quant_max
        return opset21.QuantizeLinear(x, scalar(scale, np.float32), scalar(zero, types[dtype]))

    def dequantize(x: Any, scale: float, zero: int, *ends_and_type: Any, **_: Any) -> Any:
        dtype = types[ends_and_type[2]]
        return opset21.DequantizeLinear(x, scalar(scale, np.float32), scalar(zero, dtype))

    def dequantize_channels(x: Any, scale: Any, zero: Any, axis: int, *rest: Any, **_: Any) -> Any:
        del zero, rest  # zero points of weights and biases are 0
        return opset21.DequantizeLinear(x, scale, axis=axis)

    ops = quantized_operators()
    return {
        ops.quantize_per_tensor.default: quantize,
        ops.dequantize_per_tensor.default: dequantize,
        ops.dequantize_per_channel.default: dequantize_channels,
        torch.ops.aten.avg_pool2d.default: _average_pool,
    }


def _average_pool(  # noqa: PLR0913, PLR0917 (torch's own arguments)
    x: Any,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = (0, 0),
    ceil_mode: bool = False,  # noqa: FBT001, FBT002 (torch's own argument)
    count_include_pad: bool = True,  # noqa: FBT001, FBT002 (torch's own argument)
    divisor_override: int | None = None,
) -> Any:
    """Returns the mean of whole windows, zeros outside, times what torch divides by instead.

    ONNX counts padding, and windows that are cut off, otherwise than torch.
    """
    import torch  # noqa: PLC0415 (heavy)
    from onnxscript import ir, opset21  # noqa: PLC0415 (optional)

    kernel, begin = list(kernel_size), list(padding)
    step = list(stride) or kernel
    size = [int(n) for n in x.shape][-2:]
    average: Any = torch.nn.functional.avg_pool2d
    inside = torch.ones(1, 1, *size)
    geometry: Any = (kernel, step, begin, ceil_mode, count_include_pad)
    own, sums = average(inside, *geometry, divisor_override), average(inside, *geometry, 1)
    spans = zip(own.shape[-2:], step, kernel, size, begin, strict=True)
    end = [max(0, (out - 1) * s + k - n - b) for out, s, k, n, b in spans]
    if any((*begin, *end)):
        pads = torch.tensor([0, 0, *begin, 0, 0, *end])
        content: Any = ir.tensor(pads.numpy())
        amounts: Any = opset21.Constant(value=content)
        x = opset21.Pad(x, amounts)
    pooled = opset21.AveragePool(x, kernel_shape=kernel, strides=step)
    share = own / sums * (kernel[0] * kernel[1])  # each window's 1 / divisor, by its own 1 / taps
    if bool(torch.allclose(share, torch.ones(()), atol=0, rtol=1e-6)):
        return pooled
    factors: Any = ir.tensor(share.numpy())
    return opset21.Mul(pooled, opset21.Constant(value=factors))


def _decompose_casts(model: Any) -> None:
    """Replaces CastLike by Cast: runtimes fold a Cast of a constant, and few know CastLike."""
    import onnx_ir as ir  # noqa: PLC0415 (comes with onnxscript)

    for node in list(model.graph):
        if node.op_type != "CastLike" or node.inputs[1].dtype is None:
            continue
        cast = ir.node(
            "Cast", [node.inputs[0]], attributes={"to": node.inputs[1].dtype}, name=node.name
        )
        old, new = node.outputs[0], cast.outputs[0]
        new.name, new.type, new.shape = old.name, old.type, old.shape
        model.graph.insert_before(node, cast)
        old.replace_all_uses_with(new)
        model.graph.remove(node, safe=True)


def _lift_constants(model: Any) -> None:
    """Makes initializers of Constant nodes: not every reader knows all of their forms."""
    from onnx_ir.passes import common  # noqa: PLC0415 (comes with onnxscript)

    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)


def _explained(program: Program, error: BaseException) -> UnsupportedError:
    """Returns what torch.onnx could not translate, and where it is in the user's code."""
    text = ""
    cause: BaseException | None = error
    while cause is not None:
        text += f" {cause}"
        cause = cause.__cause__
    for node in program.graph.nodes:
        name = operator_name(node)
        if node.op == "call_function" and name.removesuffix(".default") in text.replace("::", "."):
            return UnsupportedError(
                f"ONNX has no counterpart of {name} ({node.name})",
                where=source_line(node) or None,
                hint="see the chained error of torch.onnx",
            )
    return UnsupportedError(
        f"torch.onnx: {str(error).strip().splitlines()[0]}", hint="see the chained error"
    )


def _without_traces(proto: Any) -> Any:
    """Removes notes on the exporting machine: stack traces with its paths."""
    for node in proto.graph.node:
        del node.metadata_props[:]
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del value.metadata_props[:]
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    for function in proto.functions:
        for node in function.node:
            del node.metadata_props[:]
    proto.producer_name, proto.producer_version = "edgeopt", ""
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps torch.onnx from writing to the terminal; errors are raised anyway."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
