"""Functions of one int8 value: each of the 256 integers becomes what the reference says."""

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from torch.nn import functional

from edgeopt.ir import QuantSpec, capture_module
from edgeopt_tflite.emitter import Emitter
from edgeopt_tflite.ops.exact import exact_unary, requantized

EMPTY = capture_module(torch.nn.Identity().eval(), (torch.zeros(1),))
INTEGERS = torch.arange(-128, 128).to(torch.int8)
FUNCTIONS = {
    "hardswish": (functional.hardswish, "HARD_SWISH", "HardSwish", {}),
    "leaky": (lambda x: functional.leaky_relu(x, 0.1), "LEAKY_RELU", "LeakyRelu", {"alpha": 0.1}),
    "leaky, ties": (
        lambda x: functional.leaky_relu(x, 0.5), "LEAKY_RELU", "LeakyRelu", {"alpha": 0.5},
    ),
}  # fmt: skip


def parameters(scale: float, zero: int) -> QuantSpec:
    return QuantSpec("int8", torch.tensor([scale]), torch.tensor([zero], dtype=torch.int32))


def run(source: QuantSpec, build) -> tuple[np.ndarray, list[str]]:
    """The integers that LiteRT makes of all 256, and the operators that do it."""
    e = Emitter(EMPTY)
    tensor = e.model.tensor("x", (1, 16, 16, 1), "int8", source)
    result = build(e, tensor)
    content = e.model.finish([("x", tensor)], [("y", result)], "")
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(
        interpreter.get_input_details()[0]["index"], INTEGERS.numpy().reshape(1, 16, 16, 1)
    )
    interpreter.invoke()
    place = interpreter.get_output_details()[0]["index"]
    return interpreter.get_tensor(place).reshape(-1), [code for code, *_ in e.model.operators]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("seed", range(8))
def test_a_function_is_exact(name, seed):
    function, code, options, values = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    source = parameters(float(np.float32(rng.uniform(0.004, 0.1))), int(rng.integers(-100, 100)))
    real = function(source.dequantize(INTEGERS))
    result = QuantSpec.affine(float(real.min()), float(real.max()), method="minmax")

    def write(e):
        return lambda t: e.emit(code, [t], t.shape, options, **values)

    got, _ = run(source, lambda e, t: exact_unary(e, t, result, function, write(e)))
    np.testing.assert_array_equal(got, result.quantize(real).numpy())


@pytest.mark.parametrize("ratio", [2.0, 4.0, 1.5, 0.5, 0.37, 1.0137])
@pytest.mark.parametrize("scale", [0.1, 0.25, 0.0173])
def test_a_change_of_parameters_is_exact(ratio, scale):
    source, result = parameters(scale, -3), parameters(scale * ratio, 7)
    got, operators = run(source, lambda e, t: requantized(e, t, result))
    np.testing.assert_array_equal(got, result.quantize(source.dequantize(INTEGERS)).numpy())
    # Every second integer is a tie at these ratios: no float kernel is trusted with them.
    assert ("GATHER" in operators) == (ratio in {2.0, 4.0})
