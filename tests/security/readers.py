"""Every reader of model files that somebody else may have written, by a name."""

from __future__ import annotations

from pathlib import Path


def pt2(path):
    """Reads a .pt2 file, captures it and runs it."""
    import numpy as np

    from edgeopt.cli.sources import load_model
    from edgeopt.ir import ReferenceRunner, capture_module

    source = load_model(path)
    program = capture_module(source.model, source.example_inputs)
    inputs = [np.zeros(spec.shape, spec.dtype) for spec in program.signature.inputs]
    ReferenceRunner(program)(*inputs)
    source.model.module()(*source.example_inputs)
    return program.digest


def program(path):
    """Reads a program archive and runs it."""
    import numpy as np

    from edgeopt.cli.sources import load_model
    from edgeopt.ir import ReferenceRunner

    held = load_model(path).model
    ReferenceRunner(held)(*[np.zeros(s.shape, s.dtype) for s in held.signature.inputs])
    held.exported.module()(*[__import__("torch").zeros(s.shape) for s in held.signature.inputs])
    return held.digest


def saved_module(path):
    """Reads a model that was pickled whole."""
    from edgeopt.sources.checkpoint import read_state

    return sorted(read_state(path))


def torch_unpickles(path):
    """What the reader of pickled models is for: torch's own."""
    import torch

    return type(torch.load(path, weights_only=False)).__name__


def bundle(path):
    """Loads a bundle of the reference backend."""
    import edgeopt

    edgeopt.load(path).close()
    return path


def work(path):
    """Takes up the first step of a work folder."""
    return work_folder(path).finished(0, state())[0].program.digest


def work_folder(path):
    from edgeopt.recipes.find import find_recipe
    from edgeopt.recipes.work import Work

    return Work(path, find_recipe("ptq"), state().module, target="", teacher=None)


def state(program=None):
    import torch

    from edgeopt.recipes.execute import State

    return State(torch.nn.Identity(), program)


def torch_itself(path):
    """What these readers are for: torch's own."""
    import torch

    return type(torch.export.load(Path(path))).__name__


READERS = {
    "pt2": pt2,
    "program": program,
    "bundle": bundle,
    "saved module": saved_module,
    "torch unpickles": torch_unpickles,
    "work": work,
    "torch itself": torch_itself,
}
