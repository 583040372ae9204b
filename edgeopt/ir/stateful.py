"""A model that writes to its buffers, as a function of them: state in, state out."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.data.calls import as_call
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["with_buffers"]

PREFIX = "state_"


def with_buffers(
    model: torch.nn.Module, example_inputs: Any, names: Sequence[str]
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
    arguments = {PREFIX + name.replace(".", "_"): name for name in names}
    args, kwargs = as_call(example_inputs)
    signature = inspect.signature(model.forward)
    try:
        bound = dict(signature.bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise InputError(str(error), where="example_inputs") from error
    states = {argument: buffers[name].detach().clone() for argument, name in arguments.items()}
    return _Functional(model, arguments, signature), {**bound, **states}, arguments


class _Functional(torch.nn.Module):
    """Calls a module with buffers that are arguments."""

    def __init__(
        self, model: torch.nn.Module, arguments: Mapping[str, str], signature: inspect.Signature
    ) -> None:
        super().__init__()
        self.model = model
        self.arguments = dict(arguments)
        own = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values()]
        states = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in arguments]
        self._signature = signature.replace(parameters=[*own, *states])
        self.eval()

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns what the module returns, and its buffers after the call."""
        states = {name: inputs.pop(argument).clone() for argument, name in self.arguments.items()}
        returned = torch.func.functional_call(self.model, states, kwargs=inputs)
        after = {argument: states[name] for argument, name in self.arguments.items()}
        return {**_by_name(returned), **after}


def _by_name(returned: Any) -> dict[str, torch.Tensor]:
    """Returns the tensors that a model returned, by the names that a program's outputs have."""
    if isinstance(returned, dict):
        return {str(key): value for key, value in returned.items()}
    leaves = pytree.tree_leaves(returned)
    if not all(isinstance(leaf, torch.Tensor) for leaf in leaves):
        kinds = ", ".join(type(leaf).__name__ for leaf in leaves)
        raise InputError(f"the model returns {kinds}", where="model", hint="return tensors")
    return {f"output_{place}": leaf for place, leaf in enumerate(leaves)}
