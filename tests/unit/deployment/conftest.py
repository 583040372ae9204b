"""Backends with one flaw each, installed as real plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """
import time
import numpy as np
from edgeopt.contracts import DeviceRuntime, Lowered, NodeSupport, SupportReport
from edgeopt.errors import CompileError, DeviceError, TargetError
from edgeopt.passes import changes_numbers
from edgeopt.reference_backend import ReferenceBackend


def scaled(program, factor):
    from edgeopt.ir import Editor
    editor = Editor(program)
    (last,) = [node for node in editor.graph.nodes if node.op == "output"]
    (value,) = last.args[0]
    for name, held in editor.constants.items():
        if name in [part.name for part in value.all_input_nodes]:
            editor.constants[name] = held * factor
    return editor.finish()


class Runner:
    def __init__(self, runner, act):
        self.runner, self.act = runner, act

    def __call__(self, *inputs):
        return self.act(self.runner(*inputs))

    def facts(self):
        return self.runner.facts()

    def close(self):
        self.runner.close()


class Backend(ReferenceBackend):
    name = "{name}"
    simulates = False

    def device_runtime(self, target):
        return DeviceRuntime("torch", (), "class Model: pass")
"""

FLAWS = {
    "wrong": """
    def load(self, artifact, *, threads=0):
        return Runner(super().load(artifact, threads=threads), lambda y: -y)
""",
    "slow": """
    def load(self, artifact, *, threads=0):
        pause = 0.0 if artifact.precision == "float32" else 0.005
        return Runner(super().load(artifact, threads=threads), lambda y: time.sleep(pause) or y)
""",
    "narrow": """
    def lower(self, program, target):
        bad = [NodeSupport(n.name, str(n.target), "unsupported", "it has no such kernel", "m.py:3")
               for n in program.graph.nodes if n.op == "call_function"]
        return Lowered(program, target, SupportReport(self.name, target.name, tuple(bad)))
""",
    "absent": """
    def available(self):
        return "pip install absent-toolchain"
""",
    "float-only": """
    def precisions(self, target):
        return ("float32",)
""",
    "elsewhere": """
    def load(self, artifact, *, threads=0):
        raise DeviceError("it is for another machine")

    def device_runtime(self, target):
        return ReferenceBackend.device_runtime(self, target)
""",
    "homeless": """
    def device_runtime(self, target):
        raise TargetError("no runtime exists for it")
""",
    "breaking": """
    def compile(self, lowered, options):
        raise CompileError("the toolchain fell over")
""",
    "fine": """
    pass
""",
    "counting": """
    def memory(self, lowered):
        from edgeopt.contracts import MemoryMoment, MemoryPart, MemoryUse
        program = lowered.program
        def sized(name, count):
            spec = program.quant.get(name)
            return count * (4 if spec is None else spec.bits // 8)
        weights = [MemoryPart(name, sized(name, value.numel()), "weights", "flash")
                   for name, value in program.constants.items()]
        moments = []
        for node in program.graph.nodes:
            if node.op == "call_function":
                values = [*node.all_input_nodes, node]
                tensors = [MemoryPart(v.name, sized(v.name, v.meta["val"].numel()), "tensor")
                           for v in values if v.op != "get_attr" and v.name not in program.constants]
                moments.append(MemoryMoment(node.name, tuple(tensors)))
        arena = max(one.size_bytes for one in moments)
        stack = MemoryPart("stack", 512, "stack")
        parts = (*weights, MemoryPart("arena", arena, "arena"), stack)
        flash = sum(one.size_bytes for one in weights)
        return MemoryUse(flash, arena + 512, parts, tuple(moments), arena)

    def compile(self, lowered, options):
        if lowered.target.name == "never-compiled":
            raise AssertionError("it does not fit, and is compiled")
        return super().compile(lowered, options)
""",
    "alike": """
    pass
""",
    "halving": """
    def passes(self, target):
        return ("flawed_halving:halve",)


def halve(program):
    return scaled(program, 0.5)
""",
    "declaring": """
    def passes(self, target):
        return ("flawed_declaring:shrink",)


@changes_numbers("outputs a twentieth smaller", min_snr_db=20.0)
def shrink(program):
    return scaled(program, 0.95)
""",
    "understating": """
    def passes(self, target):
        return ("flawed_understating:shrink",)


@changes_numbers("outputs hardly smaller", min_snr_db=40.0)
def shrink(program):
    return scaled(program, 0.95)
""",
    "tuning": """
    def check_tuning(self, target, device=None):
        if target.name != "host":
            raise TargetError("it cannot be measured here", hint="merge a database")

    def tune(self, program, target, options, *, device=None, watch=None):
        import pathlib
        from edgeopt.contracts import TunedKernel, TuningEvent, TuningReport
        path = pathlib.Path(options.database or "tuned.txt")
        path.write_text(f"{program.precision} {options.trials} {options.minutes}")
        kernel = TunedKernel("dense", 2, 2.0, 1.0, options.trials)
        if watch is not None:
            watch(TuningEvent(1, options.trials, "dense", 2.0, 4.0, 3.0, wrong=1))
        stopped = "interrupted" if options.seed == 99 else "trials"
        return TuningReport(self.name, target.name, str(path), (kernel,), options.trials, 0,
                            {"wrong": 1}, 1.5, stopped, ())

    def compile(self, lowered, options):
        import pathlib
        path = pathlib.Path(options.tuning_database)
        found = path.read_text() if path.is_file() else "nothing"
        artifact = super().compile(lowered, options)
        import msgspec
        return msgspec.structs.replace(artifact, operators={f"tuned with {found}": 1})
""",
}


@pytest.fixture
def backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that installs the backends with these flaws, beside the reference alone."""

    def install(*names: str) -> None:
        site = tmp_path / "site"
        info = site / "flawed-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flawed\nVersion: 1.0\n")
        lines = ["reference = edgeopt.reference_backend:ReferenceBackend"]
        for name in names:
            module = f"flawed_{name.replace('-', '_')}"
            (site / f"{module}.py").write_text(HEAD.replace("{name}", name) + FLAWS[name])
            lines.append(f"{name} = {module}:Backend")
        text = "\n".join(["[edgeopt.flawed]", *lines]) + "\n"
        (info / "entry_points.txt").write_text(text)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setattr("edgeopt.registry.plugins.DEFAULT_GROUP", "edgeopt.flawed")

    return install
