"""The instrument that runs each operator alone; the reference backend is what it must find exact."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from edgeopt.errors import UnsupportedError
from edgeopt.gate.exactness import check_exactness
from edgeopt.ir import ReferenceRunner
from edgeopt.ir.excerpt import excerpt, inputs_of, outputs_of, units
from edgeopt.reference_backend import ReferenceBackend
from edgeopt.registry import find_target
from edgeopt.testing.specimens import program_of, specimen


def arrays(name, count=2):
    return [tuple(t.numpy() for t in sample) for sample in specimen(name).samples[:count]]


class Skewed(ReferenceBackend):
    """The reference, whose operators of one kind are some steps off, or cannot be compiled."""

    def __init__(self, operator, skew=None):
        self.operator, self.skew = operator, skew

    def compile(self, lowered, options):
        if self.skew is None and self._places(lowered.program):
            raise UnsupportedError("no kernel for that")
        artifact = super().compile(lowered, options)
        return msgspec.structs.replace(artifact, metadata={"places": self._places(lowered.program)})

    def load(self, artifact, *, threads=0):
        return SkewedRunner(super().load(artifact), artifact.metadata["places"], self.skew)

    def _places(self, program):
        nodes = map(program.node, program.output_names)
        return [i for i, n in enumerate(nodes) if self.operator in str(n.target)]


class SkewedRunner:
    def __init__(self, runner, places, skew):
        self.runner, self.places, self.skew = runner, places, skew

    def __call__(self, *inputs):
        result = self.runner(*inputs)
        results = result if isinstance(result, tuple) else (result,)
        return tuple(self.skew(r) if i in self.places else r for i, r in enumerate(results))

    def close(self):
        self.runner.close()


def exactness(name, backend, precision="int8", **options):
    program = program_of(name, precision)
    return check_exactness(program, backend, find_target("host"), arrays(name), **options)


@pytest.mark.parametrize(
    ("name", "precision"), [("residual", "int8"), ("attention", "int8"), ("tokens", "float32")]
)
def test_the_reference_is_exact(name, precision):
    found = exactness(name, ReferenceBackend(), precision)
    assert found.ok, str(found)
    assert all(one.values and not one.differing for one in found.operators)
    kinds = {one.kind for one in found.operators}
    assert ("float" in kinds) if precision == "float32" else ("integer" in kinds)


def test_an_integer_operator_one_step_off_is_a_fault_and_only_that_one():
    step = float(program_of("residual", "int8").quant["add"].scale[0])

    def skew(y):
        y = y.copy()
        y.flat[0] += step if y.flat[0] <= 0 else -step
        return y

    found = exactness("residual", Skewed("aten.add", skew))
    assert not found.ok
    (fault,) = found.faults
    assert (fault.operator, fault.kind) == ("aten.add.Tensor", "integer")
    assert (fault.differing, fault.max_steps) == (2, 1)
    assert 0 < fault.share < 0.01
    assert "aten.add.Tensor" in str(found)


@pytest.mark.parametrize(("factor", "ok"), [(1 + 2**-21, True), (1 + 2**-10, False)])
def test_a_float_operator_has_a_bound(factor, ok):
    found = exactness(
        "attention", Skewed("layer_norm", lambda y: y * np.float32(factor)), "float32"
    )
    norm = next(one for one in found.operators if "layer_norm" in one.operator)
    assert norm.kind == "float"
    assert norm.ok is ok
    assert norm.max_error == pytest.approx(factor - 1, rel=0.3)


def test_what_is_rounded_behind_a_float_operator_may_turn_at_a_tie_alone():
    step = float(program_of("attention", "int8").quant["layer_norm"].scale[0])
    found = exactness("attention", Skewed("layer_norm", lambda y: y + np.float32(step)))
    assert {one.operator for one in found.faults} == {"aten.layer_norm.default"}


def test_what_cannot_be_compiled_alone_is_named_and_the_rest_still_runs():
    found = exactness("residual", Skewed("aten.mean"))
    assert [one.operator for one in found.faults] == ["aten.mean.dim"]
    assert "no kernel" in found.faults[0].failure
    assert sum(one.values > 0 for one in found.operators) == len(found.operators) - 1


def test_operators_that_are_alike_can_be_left_out():
    every = exactness("curved", ReferenceBackend())
    some = exactness("curved", ReferenceBackend(), alike=1)
    assert 0 < some.left_out == len(every.operators) - len(some.operators)
    assert {one.operator for one in some.operators} == {one.operator for one in every.operators}


def test_it_is_plain_json_and_has_a_line_for_each_operator():
    found = exactness("residual", ReferenceBackend())
    assert json.loads(json.dumps(found.to_dict()))["ok"] is True
    lines = found.by_operator()
    assert sum(line.values for line in lines) == sum(one.values for one in found.operators)


@pytest.mark.parametrize("name", ["residual", "branches", "two_by_two"])
def test_an_excerpt_of_all_units_computes_each_of_them(name):
    program = program_of(name, "int8")
    members = list(units(program))
    part = excerpt(program, members)
    assert part.output_names == tuple(n.name for unit in members for n in outputs_of(unit))
    reads = {v.name for unit in members for v in inputs_of(program, unit)}
    assert {f"read_{name}" for name in reads} == set(part.input_names)
    zeros = [np.zeros(spec.shape, spec.dtype) for spec in part.signature.inputs]
    assert len(ReferenceRunner(part)(*zeros)) == len(part.output_names)
    assert part.digest == excerpt(program, members).digest
