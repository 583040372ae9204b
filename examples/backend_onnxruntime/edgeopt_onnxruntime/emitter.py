"""Writes a program as an ONNX graph. A value is the name of a real-valued tensor of the graph."""

from collections import Counter

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from edgeopt import lowering
from edgeopt.ir import KernelKind, ops

aten = torch.ops.aten
rule = lowering.RuleTable("ONNX Runtime")


class Emitter(lowering.Emitter):
    rules = rule
    types = frozenset({"float32", "int64", "int32", "bool"})

    def __init__(self, program):
        super().__init__(program)
        self.model, self.counts = None, Counter()
        self._nodes, self._arrays, self._inputs = [], [], []
        self._integers = {}  # value on a grid -> its tensor of uint8

    def op(self, kind, *inputs, **attributes):
        """Returns the output of a new operator."""
        self.counts[kind] += 1
        name = f"{kind}_{self.counts[kind]}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def array(self, content, dtype=None):
        """Returns a constant."""
        name = f"array_{len(self._arrays)}"
        content = np.asarray(content, dtype, order="C")
        self._arrays.append(numpy_helper.from_array(content, name))
        return name

    def add_input(self, node):
        self._inputs.append(self._info(node))
        return node.name

    def constant(self, name):
        tensor, spec = self.program.constants[name], self.program.quant.get(name)
        if spec is None or spec.dtype == "int32":
            return self.array(tensor)
        stored = self.array(spec.quantize(tensor))
        if spec.dtype == "float16":
            return self.op("Cast", stored, to=onnx.TensorProto.FLOAT)
        one = 0 if spec.axis is None else slice(None)
        grid = self.array(spec.scale[one]), self.array(spec.zero_point[one], np.int8)
        return self.op("DequantizeLinear", stored, *grid, axis=spec.axis or 0)

    def finished(self, node, value):
        """Rounds a value to its grid; ONNX Runtime's integer kernels want it unsigned."""
        spec = self.program.quant.get(node.name)
        if spec is None or spec.dtype != "int8":
            return value
        grid = self.array(spec.scale[0]), self.array(int(spec.zero_point[0]) + 128, np.uint8)
        self._integers[node.name] = self.op("QuantizeLinear", value, *grid)
        return self.op("DequantizeLinear", self._integers[node.name], *grid)

    def dummy(self, node):
        return self.array(np.zeros(1, np.float32))

    def finish(self):
        names, outputs = self.program.output_names, []
        for place, name in enumerate(names):
            node = self.program.node(name)
            outputs.append(self._info(node, f"output_{place}"))
            made = helper.make_node("Identity", [self.value(node)], [f"output_{place}"])
            self._nodes.append(made)
        graph = helper.make_graph(self._nodes, "edgeopt", self._inputs, outputs, self._arrays)
        opset = [helper.make_opsetid("", 21)]
        self.model = helper.make_model(graph, opset_imports=opset, ir_version=10)

    def runs_as(self, node, kind):
        if kind.kind == "integer" and not ops.is_weighted(node):
            return KernelKind("float", "it is computed in float between two quantizations")
        return kind

    def _info(self, node, name=None):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype(node)))
        return helper.make_tensor_value_info(name or node.name, kind, self.shape(node))

    def weighted(self, node, real, whole, axis, **attributes):
        """Writes ``real`` of real numbers, or ``whole`` of integers: their sum is scaled once."""
        x, weight, bias = ops.weighted_parts(node)
        quant = self.program.quant
        steps, goal = quant.get(weight.name), quant.get((ops.fused_activation(node) or node).name)
        tall = [-1, *[1] * (node.meta["val"].ndim - 1 - axis)]  # along the output's channels
        matrix = node.target is aten.linear.default
        if x.name not in self._integers or steps is None or goal is None:
            weights = self.value(weight)
            made = self.op(
                real,
                self.value(x),
                self.op("Transpose", weights) if matrix else weights,
                **attributes,
            )
            if bias is None:
                return made
            return self.op("Add", made, self.op("Reshape", self.value(bias), self.array(tall)))
        integers = steps.quantize(self.program.constants[weight.name])
        zero = self.array(int(quant[x.name].zero_point[0]) + 128, np.uint8)
        made = self.op(
            whole,
            self._integers[x.name],
            self.array(integers.T if matrix else integers),
            zero,
            **attributes,
        )
        if bias is not None:
            added = quant[bias.name].quantize(self.program.constants[bias.name])
            made = self.op("Add", made, self.array(added.reshape(tall)))
        factor = (quant[x.name].scale * steps.scale / goal.scale).reshape(tall)
        made = self.op("Mul", self.op("Cast", made, to=onnx.TensorProto.FLOAT), self.array(factor))
        return self.op("Mul", self.op("Round", made), self.array(goal.scale))


@rule(aten.conv1d.default, aten.conv2d.default)
def _convolution(e, node):
    stride, padding, dilation, groups = node.args[3:]
    return e.weighted(
        node, "Conv", "ConvInteger", 1,
        strides=stride, pads=[*padding, *padding], dilations=dilation, group=groups,
    )  # fmt: skip


@rule(aten.linear.default)
def _linear(e, node):
    return e.weighted(node, "MatMul", "MatMulInteger", node.meta["val"].ndim - 1)


def _plain(kind, count, **attributes):
    return lambda e, node: e.op(kind, *map(e.value, node.args[:count]), **attributes)


for _target, _kind, _count in (
    (aten.add.Tensor, "Add", 2), (aten.sub.Tensor, "Sub", 2), (aten.mul.Tensor, "Mul", 2),
    (aten.matmul.default, "MatMul", 2), (aten.embedding.default, "Gather", 2),
    (aten.relu.default, "Relu", 1), (aten.sigmoid.default, "Sigmoid", 1),
    (aten.tanh.default, "Tanh", 1), (aten.hardswish.default, "HardSwish", 1),
    (aten.alias.default, "Identity", 1),
):  # fmt: skip
    rule(_target)(_plain(_kind, _count))


@rule(aten.gelu.default)
def _gelu(e, node):
    return e.op("Gelu", e.value(node.args[0]), approximate=node.kwargs.get("approximate", "none"))


@rule(aten.clamp.default)
def _clamp(e, node):
    low, high = (*node.args[1:], None, None)[:2]
    ends = ("" if end is None else e.array(end, e.dtype(node)) for end in (low, high))
    return e.op("Clip", e.value(node.args[0]), *ends)


@rule(aten.mean.dim)
def _mean(e, node):
    x, axes, keep = (*node.args, False)[:3]
    return e.op("ReduceMean", e.value(x), e.array(axes), keepdims=int(keep))


@rule(aten.softmax.int)
def _softmax(e, node):
    return e.op("Softmax", e.value(node.args[0]), axis=node.args[1])


@rule(aten.layer_norm.default, refusal=lambda _, node: "" if node.args[3] else "it has no bias")
def _layer_norm(e, node):
    x, shape, weight, bias, epsilon = (*node.args, 1e-5)[:5]
    values = map(e.value, (x, weight, bias))
    return e.op("LayerNormalization", *values, axis=-len(shape), epsilon=epsilon)


@rule(aten.max_pool2d.default)
def _max_pool(e, node):
    x, kernel, stride, padding, dilation, ceil = node.args
    pads = [*padding, *padding]
    window = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "pads": pads}
    return e.op("MaxPool", e.value(x), **window, ceil_mode=int(ceil))


@rule(
    aten.avg_pool2d.default, refusal=lambda _, node: "a divisor of its own" if node.args[6] else ""
)
def _average(e, node):
    x, kernel, stride, padding, ceil, counted, _ = node.args
    window = {"kernel_shape": kernel, "strides": stride, "pads": [*padding, *padding]}
    counts = {"count_include_pad": int(counted), "ceil_mode": int(ceil)}
    return e.op("AveragePool", e.value(x), **window, **counts)


@rule(aten.upsample_nearest2d.vec)
def _nearest(e, node):
    how = {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    return e.op("Resize", e.value(node.args[0]), "", "", e.array(e.shape(node)), **how)


@rule(aten.cat.default)
def _concatenate(e, node):
    return e.op("Concat", *map(e.value, node.args[0]), axis=(*node.args, 0)[1])


@rule(aten.reshape.default)
def _reshape(e, node):
    return e.op("Reshape", e.value(node.args[0]), e.array(e.shape(node), np.int64))


@rule(aten.permute.default)
def _permute(e, node):
    rank = len(e.shape(node))
    return e.op("Transpose", e.value(node.args[0]), perm=[a % rank for a in node.args[1]])


@rule(aten.slice.Tensor)
def _slice(e, node):
    x, axis, start, end, step = node.args
    return e.op("Slice", e.value(x), *(e.array([v]) for v in (start, end, axis, step)))


@rule(aten.constant_pad_nd.default)
def _pad(e, node):
    x, sizes, fill = (*node.args, 0)[:3]
    before, after = ([*reversed(sizes[side::2])] for side in (0, 1))
    front = [0] * (len(e.shape(node)) - len(before))
    amounts = e.array([*front, *before, *front, *after])
    return e.op("Pad", e.value(x), amounts, e.array(fill, e.dtype(node)))
