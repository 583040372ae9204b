"""A model that writes to its buffers, as a function of them: state in, state out."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.data.calls import as_call
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["with_buffers"]

PREFIX = "state_"


def with_buffers(
    model: torch.nn.Module, example_inputs: Any, names: Iterable[str]
) -> tuple[torch.nn.Module, dict[str, Any], dict[str, str]]:
    """Returns a module that takes and returns buffers of ``model``, its example inputs, and their names.

    The module takes each buffer as a named argument ``state_…`` beside the arguments of ``model``, and returns
    a dict: what ``model`` returns, and each buffer as it is afterwards under the same name.

    Args:
        model: Stays as it is.
        example_inputs: As for `edgeopt.capture`.
        names: Buffers that the model writes to.

    Returns:
        The module; example inputs by name, the buffers with their present values; argument to buffer.

    Raises:
        InputError: The model has no such buffer, or returns what is no tensor, tuple, list or dict of tensors.
    """
    buffers = dict(model.named_buffers())
    unknown = [name for name in names if name not in buffers]
    if unknown:
        hint = f"its buffers are: {', '.join(buffers) or 'none'}"
        raise InputError(f"the model has no buffer {unknown[0]}", where="keeps", hint=hint)
    args, kwargs = as_call(example_inputs)
    signature = inspect.signature(model.forward)
    arguments = _arguments(names, signature)
    try:
        bound = dict(signature.bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise InputError(str(error), where="example_inputs") from error
    states = {argument: buffers[name].detach().clone() for argument, name in arguments.items()}
    return _Functional(model, arguments), {**bound, **states}, arguments


def _arguments(names: Iterable[str], signature: inspect.Signature) -> dict[str, str]:
    """Returns a free argument's name for each buffer."""
    parameters = signature.parameters
    for name, parameter in parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            what = f"forward takes {parameter}, which cannot be passed by name"
            raise InputError(what, where=f"keeps, argument {name}", hint="name its arguments")
    arguments: dict[str, str] = {}
    for name in names:
        argument = PREFIX + name.replace(".", "_")
        while argument in arguments or argument in parameters:
            argument += "_"
        arguments[argument] = name
    return arguments


class _Functional(torch.nn.Module):
    """Calls a module with buffers that are arguments."""

    def __init__(self, model: torch.nn.Module, arguments: Mapping[str, str]) -> None:
        super().__init__()
        self.edgeopt_model = model  # a name that no model has
        self.arguments = dict(arguments)
        self.eval()

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns what the module returns, and its buffers after the call."""
        states = {name: inputs.pop(argument).clone() for argument, name in self.arguments.items()}
        returned = torch.func.functional_call(self.edgeopt_model, states, kwargs=inputs)
        after = {argument: states[name] for argument, name in self.arguments.items()}
        outputs = _by_name(returned)
        same = [name for name in outputs if name in after]
        if same:
            what = f"the model returns an output {same[0]}, as its buffer {self.arguments[same[0]]} is called"
            raise InputError(what, where="keeps", hint="give the output another name")
        return {**outputs, **after}


def _by_name(returned: Any) -> dict[str, torch.Tensor]:
    """Returns the tensors that a model returned, by the names that a program's outputs have."""
    if isinstance(returned, dict):
        return {str(key): value for key, value in returned.items()}
    leaves = pytree.tree_leaves(returned)
    if not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        kinds = ", ".join(type(leaf).__name__ for leaf in leaves)
        raise InputError(f"the model returns {kinds}", where="model", hint="return tensors")
    return {f"output_{place}": leaf for place, leaf in enumerate(leaves)}
