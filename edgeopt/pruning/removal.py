"""Channels taken out of a model, and the check that only they went.

A model without some channels must say what the whole model says when every layer that reads them
reads zeros there (and a norm over channels does without them). Where a join was followed wrongly it
does not, and the channels stay.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.pruning.heads import find_attentions, remove_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from torch import nn

    from edgeopt.data.calls import Call
    from edgeopt.pruning.sites import Member, Site

__all__ = ["Cut", "Fault", "UntiedError", "find_faults", "mute", "remove"]

_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Cut:
    """Units of a site that go.

    Attributes:
        site: The site.
        units: Their numbers.
    """

    site: Site
    units: list[int]

    def channels(self) -> set[int]:
        """Returns the channels of the site that go."""
        return {channel for unit in self.units for channel in self.site.units[unit]}

    def indices(self, member: Member) -> list[int]:
        """Returns which channels of one side of a layer go with them."""
        channels = self.channels()
        return [i for i, r in zip(member.indices, member.roots, strict=True) if r in channels]


@dataclass(frozen=True)
class Fault:
    """Why a model cannot do without some channels.

    Attributes:
        what: What happens without them.
        runs: Whether the model runs without them, though to another result.
    """

    what: str
    runs: bool = False


def remove(model: nn.Module, cuts: Sequence[Cut]) -> None:
    """Takes the units of all ``cuts`` out of ``model``, or of a copy of it.

    All at once, each side of each layer in one step: indices are those before any went.

    Raises:
        UntiedError: A weight that two layers share would not be the same in both.
    """
    tied = list(_tied(model))
    gone: dict[tuple[str, Any], tuple[Any, set[int]]] = {}
    for cut in cuts:
        if cut.site.attention is not None:
            _remove_heads(model, cut)
            continue
        for member in cut.site.members:
            if member.name:
                key = (member.name, member.dep.handler)
                gone.setdefault(key, (member.dep, set()))[1].update(cut.indices(member))
    for (name, handler), (dependency, indices) in gone.items():
        if indices:
            _apply(model, name, handler, dependency.target.pruning_dim, sorted(indices))
    for names in tied:
        _tie(model, names)


def _remove_heads(model: nn.Module, cut: Cut) -> None:
    attention, output = cut.site.attention, cut.site.output_name
    one = next(a for a in find_attentions(model) if attention and a.name == attention.name)
    remove_heads(one, model.get_submodule(output), cut.units)  # type: ignore[arg-type]


def _apply(model: nn.Module, name: str, handler: Any, axis: int, indices: list[int]) -> None:
    owner, _, leaf = name.rpartition(".")
    module = model.get_submodule(owner)
    handler.__self__.pruning_dim = axis
    if leaf in module._parameters:  # noqa: SLF001
        setattr(module, leaf, handler(getattr(module, leaf), indices))
    else:
        handler(getattr(module, leaf), indices)


class UntiedError(ValueError):
    """A weight that two layers share would not be the same in both."""


def _tied(model: nn.Module) -> Iterator[list[str]]:
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    yield from (group for group in names.values() if len(group) > 1)


def _tie(model: nn.Module, names: list[str]) -> None:
    import torch  # noqa: PLC0415

    first = model.get_parameter(names[0])
    for name in names[1:]:
        owner, _, leaf = name.rpartition(".")
        other = model.get_parameter(name)
        if first.shape != other.shape or not torch.equal(first, other):
            raise UntiedError(f'"{names[0]}" and "{name}" are one weight, and it would go in one')
        setattr(model.get_submodule(owner), leaf, first)


def find_faults(model: nn.Module, call: Call, cuts: Sequence[Cut]) -> dict[str, Fault]:
    """Returns names of sites whose units cannot go, with the reason; ``model`` stays as it is.

    Where all cuts together are right, none is tried alone. Where they are not and no site alone is
    to blame, the fault has the empty name.
    """
    together = _fault(model, call, cuts)
    if together is None:
        return {}
    suspects = [c for c in cuts if not together.runs or c.site.has_joins]
    faults = {c.site.name: _fault(model, call, [c]) for c in suspects}
    blamed = {name: fault for name, fault in faults.items() if fault is not None}
    return blamed or ({} if together.runs else {"": together})


def _fault(model: nn.Module, call: Call, cuts: Sequence[Cut]) -> Fault | None:
    smaller = copy.deepcopy(model)
    try:
        remove(smaller, cuts)
    except (UntiedError, AssertionError, IndexError, RuntimeError) as error:
        return Fault(str(error) or "a layer cannot do without them")
    try:
        got = _run(smaller, call)
    except _StepError as error:
        return Fault(str(error))
    expected = _without(model, call, cuts)
    if [t.shape for t in got] != [t.shape for t in expected]:
        return Fault("the model's outputs would have other shapes")
    return None if _close(got, expected) else Fault("its channels could not be followed", runs=True)


class _StepError(RuntimeError):
    """A layer does not run; says which."""


def _run(model: nn.Module, call: Call) -> list[torch.Tensor]:
    import torch  # noqa: PLC0415

    running: list[str] = []
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, n=name: running.append(n)))
        handles.append(module.register_forward_hook(lambda *_: running.pop() and None))
    try:
        with torch.no_grad():
            args, kwargs = call
            return _tensors(model(*args, **kwargs))
    except Exception as error:
        where = f'"{running[-1]}"' if running and running[-1] else "the model's own forward"
        raise _StepError(f"{where} would not run: {type(error).__name__}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()


def _tensors(tree: Any) -> list[torch.Tensor]:
    import torch  # noqa: PLC0415

    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [t for one in tree for t in _tensors(one)] if isinstance(tree, (tuple, list)) else []


def _close(got: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return all(
        bool((a.float() - b.float()).norm() <= _TOLERANCE * b.float().norm() + 1e-12)
        for a, b in zip(got, expected, strict=True)
    )


def _without(model: nn.Module, call: Call, cuts: Sequence[Cut]) -> list[torch.Tensor]:
    """What the whole model says when nothing reads what the cuts take."""
    from torch import nn  # noqa: PLC0415

    modules, lost = dict(model.named_modules()), _lost(cuts)
    handles = []
    for (name, role), indices in lost.items():
        layer: Any = modules.get(name)
        if role == "in" and hasattr(layer, "weight"):
            handles.append(layer.register_forward_pre_hook(mute(layer, indices)))
        elif isinstance(layer, (nn.LayerNorm, nn.GroupNorm)):
            handles.append(layer.register_forward_hook(_norm_without(indices)))
    try:
        return _run(model, call)
    finally:
        for handle in handles:
            handle.remove()


def _lost(cuts: Sequence[Cut]) -> dict[tuple[str, str], list[int]]:
    lost: dict[tuple[str, str], set[int]] = {}
    for cut in cuts:
        for member in cut.site.members:
            lost.setdefault((member.name, member.role), set()).update(cut.indices(member))
    return {key: sorted(indices) for key, indices in lost.items() if indices}


def mute(layer: Any, channels: Sequence[int]) -> Any:
    """Returns a hook before ``layer`` that puts zeros where it reads ``channels``."""
    axis = 1 if hasattr(layer, "in_channels") else -1

    def hook(_layer: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        import torch  # noqa: PLC0415

        gone = torch.tensor(list(channels), device=inputs[0].device)
        return (inputs[0].index_fill(axis, gone, 0.0), *inputs[1:])

    return hook


def _norm_without(channels: Sequence[int]) -> Any:
    def hook(layer: Any, inputs: tuple[torch.Tensor, ...], _output: Any) -> torch.Tensor:
        import torch  # noqa: PLC0415
        from torch.nn import functional  # noqa: PLC0415

        axis = 1 if hasattr(layer, "num_groups") else -1
        rest = [i for i in range(inputs[0].shape[axis]) if i not in set(channels)]
        index = torch.tensor(rest, device=inputs[0].device)
        weight, bias = (None if p is None else p[index] for p in (layer.weight, layer.bias))
        x = inputs[0].index_select(axis, index)
        if axis == 1:
            y = functional.group_norm(x, layer.num_groups, weight, bias, layer.eps)
        else:
            y = functional.layer_norm(x, (len(rest),), weight, bias, layer.eps)
        return torch.zeros_like(inputs[0]).index_copy(axis, index, y.to(inputs[0].dtype))

    return hook
