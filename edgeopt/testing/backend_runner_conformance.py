"""What every backend's artefacts must do when they run, here and from a bundle: part of `BackendConformance`."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from edgeopt.api import load
from edgeopt.errors import InputError
from edgeopt.testing.backend_suite import BackendSuite, as_tuple
from edgeopt.testing.cases import cases
from edgeopt.testing.specimens import specimen

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.contracts import Backend, Target

__all__ = ["RunnerConformance"]


class RunnerConformance(BackendSuite):
    """The runner on this machine, the device's, and the bundle's."""

    needs_torch: ClassVar[bool] = False

    # --- its runner -------------------------------------------------------------------------------

    @cases(names=("two_by_two", "tokens", "unused", "residual_batch_2"), precisions=("int8",))
    def test_runner_keeps_shapes_and_dtypes(
        self, backend: Backend, target: Target, name: str
    ) -> None:
        build = self._compiled(backend, target, name, "int8")
        inputs = [t.numpy().copy() for t in specimen(name).example]
        before = [array.copy() for array in inputs]
        result = build.runner(*inputs)
        outputs = build.program.signature.outputs
        assert isinstance(result, tuple) == (len(outputs) > 1)
        arrays = result if isinstance(result, tuple) else (result,)
        assert [(a.shape, str(a.dtype)) for a in arrays] == [(s.shape, s.dtype) for s in outputs]
        for array, was in zip(inputs, before, strict=True):
            np.testing.assert_array_equal(array, was)
        again = build.runner(*inputs)
        again = again if isinstance(again, tuple) else (again,)
        for first, second in zip(arrays, again, strict=True):
            np.testing.assert_array_equal(first, second)

    @cases(names=("perceptron",), precisions=("int8",))
    def test_earlier_outputs_stay_as_they_were(self, backend: Backend, target: Target) -> None:
        build = self._compiled(backend, target, "perceptron", "int8")
        first, second = (s[0].numpy() for s in specimen("perceptron").samples[:2])
        output = build.runner(first)
        was = np.array(output)
        build.runner(second)
        np.testing.assert_array_equal(output, was)

    @cases(names=("perceptron",), precisions=("int8",))
    def test_runner_refuses_what_does_not_fit(self, backend: Backend, target: Target) -> None:
        runner = self._compiled(backend, target, "perceptron", "int8").runner
        for wrong in (
            (np.zeros((1, 13), np.float32),),
            (np.zeros((2, 12), np.float32),),
            (np.zeros((1, 12), np.float64),),
            (),
            (np.zeros((1, 12), np.float32),) * 2,
        ):
            with pytest.raises(InputError):
                runner(*wrong)

    @cases(names=("perceptron",), precisions=("int8",))
    def test_runner_tells_facts_and_closes_twice(self, backend: Backend, target: Target) -> None:
        build = self._compiled(backend, target, "perceptron", "int8")
        runner = backend.load(build.artifact, threads=1)
        assert runner.facts()
        runner.close()
        runner.close()

    @cases(names=("residual",), precisions=("int8",))
    def test_takes_arrays_that_are_not_contiguous(self, backend: Backend, target: Target) -> None:
        runner = self._compiled(backend, target, "residual", "int8").runner
        array = specimen("residual").example[0].numpy()
        strided = np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(runner(strided), runner(array))

    # --- the device -------------------------------------------------------------------------------

    def test_device_runtime_is_pinned(self, backend: Backend, target: Target) -> None:
        runtime = backend.device_runtime(target)
        assert runtime.name
        for wheel in runtime.wheels:
            name, _, version = wheel.requirement.partition("==")
            assert name
            assert version[0].isdigit()
            assert wheel.pythons
            if target.os.python:
                assert target.os.python in wheel.pythons

    def test_device_runner_is_plain_python(self, backend: Backend, target: Target) -> None:
        source = backend.device_runtime(target).runner
        tree = ast.parse(source, feature_version=(3, 9))
        (model,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Model"]
        methods = {n.name for n in model.body if isinstance(n, ast.FunctionDef)}
        assert {"__init__", "__call__", "facts"} <= methods
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in (
                node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")]
            )
        }
        if not self.needs_torch:
            assert not imported & {"torch", "edgeopt"}

    @cases(names=("two_by_two", "tokens"), precisions=("int8",))
    def test_bundle_gives_the_same_numbers(
        self, backend: Backend, target: Target, name: str, tmp_path: Path
    ) -> None:
        build = self._compiled(backend, target, name, "int8")
        bundle = self._bundle(build, backend, target, name, tmp_path / "bundle")
        inputs = [t.numpy() for t in specimen(name).example]
        runner = load(bundle.path)
        for one, other in zip(
            as_tuple(runner(*inputs)), as_tuple(build.runner(*inputs)), strict=True
        ):
            np.testing.assert_array_equal(one, other)
        runner.close()

    @cases(names=("two_by_two",), precisions=("int8",))
    def test_bundle_runs_from_a_shell(
        self, backend: Backend, target: Target, tmp_path: Path
    ) -> None:
        build = self._compiled(backend, target, "two_by_two", "int8")
        bundle = self._bundle(build, backend, target, "two_by_two", tmp_path / "bundle")
        command = [sys.executable, str(bundle.path / "run.py"), "--verify"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr
