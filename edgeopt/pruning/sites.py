"""Where a model can be pruned: sets of channels that live and go together.

The dependency graph is Torch-Pruning's (Fang et al., "DepGraph", CVPR 2023, arXiv:2301.12900).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError, PluginError
from edgeopt.installation import install_command
from edgeopt.pruning.heads import Attention, find_attentions

if TYPE_CHECKING:
    from torch import nn

    from edgeopt.data.calls import Call

__all__ = ["Member", "Site", "find_sites"]


@dataclass(frozen=True, eq=False)
class Member:
    """One side of one layer that a site runs through.

    Attributes:
        name: The layer, or the parameter; empty for what is neither.
        layer: The layer itself, or a parameter.
        role: ``out`` or ``in``: which of its sides.
        indices: Channels of that side.
        roots: For each the channel of the site that it belongs to.
        dep: Torch-Pruning's edge to it: what takes channels out of that side.
    """

    name: str
    layer: Any
    role: str
    indices: list[int]
    roots: list[int]
    dep: Any


@dataclass(eq=False)
class Site:
    """Channels, or heads, that can go.

    Attributes:
        name: The first layer whose outputs they are.
        width: Channels in all.
        units: What can go alone: a channel, the same channel of each group, or a head.
        members: Every layer that they run through.
        group: Torch-Pruning's own group.
        attention: Where the units are heads.
        output_name: The linear layer behind the heads.
        has_joins: Whether it runs through views whose channels are followed by their places, so
            that only a run of the model without them shows that they were followed rightly.
        reason: Why it must stay as it is; empty where it can be pruned.
    """

    name: str
    width: int
    units: list[list[int]]
    members: list[Member]
    group: Any
    attention: Attention | None = None
    output_name: str = ""
    has_joins: bool = False
    reason: str = ""

    @property
    def kind(self) -> str:
        """``heads`` or ``channels``."""
        return "heads" if self.attention else "channels"

    def names(self) -> set[str]:
        """Names of the layers whose outputs it is."""
        return {m.name for m in self.members if m.role == "out"}

    def consumers(self) -> list[Member]:
        """The convolutions and linear layers that read it."""
        return [m for m in self.members if m.role == "in" and hasattr(m.layer, "weight")]


def find_sites(model: nn.Module, call: Call, *, residual_width: bool = False) -> list[Site]:
    """Returns every site of the model, also those that must stay, with the reason.

    Raises:
        PluginError: Torch-Pruning is not installed.
        InputError: The model cannot be traced.
    """
    graph = _trace(model, call)
    attentions = find_attentions(model)
    from edgeopt.pruning.tracing import whole_groups  # noqa: PLC0415

    sites = [_site(graph, group, attentions) for group in whole_groups(graph)]
    for site in sites:
        site.reason = site.reason or _reason(site, graph, attentions, residual_width=residual_width)
    return sites


def _trace(model: nn.Module, call: Call) -> Any:
    try:
        from edgeopt.pruning.tracing import dependency_graph  # noqa: PLC0415
    except ImportError as error:
        hint = install_command("prune")
        raise PluginError("Torch-Pruning is not installed", where="prune", hint=hint) from error
    try:
        return dependency_graph(model, call)
    except Exception as error:
        hint = "does the model run on example_inputs, in eval mode?"
        what = f"the model cannot be traced: {type(error).__name__}: {error}"
        raise InputError(what, where="prune", hint=hint) from error


def _site(graph: Any, group: Any, attentions: list[Attention]) -> Site:
    names = {module: name for name, module in graph.model.named_modules()}
    root = group[0].dep.target.module
    members = [_member(graph, item, names) for item in group.items]
    width = graph.get_out_channels(root)
    site = Site(_first_name(members, names), width, [[i] for i in range(width)], members, group)
    owner = next((a for a in attentions if any(root is p for p in a.projections)), None)
    site.has_joins = _has_joins(members)
    if owner is not None:
        _make_heads(site, owner)
    else:
        site.units = _units(site)
    return site


def _has_joins(members: list[Member]) -> bool:
    """An attention of torch's own scales by its width: there, the run would differ anyway."""
    from edgeopt.pruning.tracing import is_join  # noqa: PLC0415

    return any(is_join(m.layer) for m in members) and not any(_mixes_heads(m) for m in members)


def _mixes_heads(member: Member) -> bool:
    from torch import nn  # noqa: PLC0415

    return isinstance(member.layer, nn.MultiheadAttention)


def _first_name(members: list[Member], names: dict[Any, str]) -> str:
    """The first layer, in the model's own order, whose outputs they are."""
    producers = {m.name for m in members if m.role == "out"}
    heavy = {m.name for m in members if _side_count(m.layer)} & producers
    return next(name for name in names.values() if name in (heavy or producers))


def _side_count(layer: Any) -> int:
    return int(getattr(layer, "out_features", 0) or getattr(layer, "out_channels", 0) or 0)


def _member(graph: Any, item: Any, names: dict[Any, str]) -> Member:
    dep, layer = item.dep, item.dep.target.module
    role = "out" if graph.is_out_channel_pruning_fn(dep.handler) else "in"
    is_in = graph.is_in_channel_pruning_fn(dep.handler)
    role = role if role == "out" or is_in else "other"
    names = names if hasattr(layer, "parameters") else graph._param_to_name  # noqa: SLF001
    roots = list(item.root_idxs or item.idxs)
    return Member(names.get(layer, ""), layer, role, list(item.idxs), roots, dep)


def _make_heads(site: Site, attention: Attention) -> None:
    site.attention = attention
    size = site.width // attention.heads
    site.units = [list(range(h * size, (h + 1) * size)) for h in range(attention.heads)]
    inside = [m.layer for m in site.members if m.role == "out"]
    outputs = {m.name: m.layer for m in site.consumers() if _is_linear(m.layer)}
    if not all(any(p is layer for layer in inside) for p in attention.projections):
        site.reason = "query, key and value could not be traced together"
    elif len(outputs) != 1 or next(iter(outputs.values())).in_features != site.width:
        site.reason = "the layer behind the heads was not found"
    else:
        site.output_name = next(iter(outputs))


def _is_linear(layer: Any) -> bool:
    from torch import nn  # noqa: PLC0415

    return isinstance(layer, nn.Linear)


def _groups(member: Member) -> int:
    from torch import nn  # noqa: PLC0415

    layer = member.layer
    if isinstance(layer, nn.GroupNorm):
        return layer.num_groups
    if isinstance(layer, nn.MultiheadAttention):
        return int(layer.num_heads)
    count = int(getattr(layer, "groups", 1)) if hasattr(layer, "weight") else 1
    return 1 if count == getattr(layer, "out_channels", 0) else count


def _units(site: Site) -> list[list[int]]:
    """What goes together: the same place of each group, of each head, of each piece of a cut."""
    groups = max((_groups(m) for m in site.members), default=1)
    pieces = _pieces(site)
    if len(pieces) > 1:
        if groups > 1 or len({len(piece) for piece in pieces}) > 1:
            site.reason = "it is cut into pieces of unlike widths"
            return [list(range(site.width))]
        return [list(unit) for unit in zip(*pieces, strict=True)]
    if groups == 1 or site.width % groups:
        return [[i] for i in range(site.width)]
    size = site.width // groups
    return [[i + g * size for g in range(groups)] for i in range(size)]


def _pieces(site: Site) -> list[list[int]]:
    """The channels of each piece that the site is cut into, in order; what no layer reads too."""
    from edgeopt.pruning.tracing import is_slice  # noqa: PLC0415

    slices = [m.roots for m in site.members if is_slice(m.layer)]
    pieces = {tuple(sorted(set(roots))) for roots in slices if len(set(roots)) < site.width}
    rest = sorted(set(range(site.width)).difference(*pieces))
    size = min((len(piece) for piece in pieces), default=site.width)
    parts = [*map(list, pieces), *(rest[i : i + size] for i in range(0, len(rest), size))]
    overlap = sum(map(len, parts)) > site.width
    return [list(range(site.width)), []] if overlap else sorted(parts)


def _reason(  # noqa: PLR0911 (one answer a return)
    site: Site, graph: Any, attentions: list[Attention], *, residual_width: bool
) -> str:
    projections = {id(p) for a in attentions for p in a.projections}
    if any(_multiplies(m.layer) for m in site.members):
        return "runs through a depthwise convolution with a multiplier"
    if any(_is_output(item) for item in site.group.items):
        return "it is an output of the model"
    if not site.consumers():
        return "no layer reads it"
    if any(set(m.roots) - set(range(site.width)) for m in site.members):
        return "its channels could not be followed"
    part = next((m.name for m in site.members if _is_part(m)), "")
    if part:
        return f'its channels are only a part of those of "{part}"'
    if not residual_width and (
        any(id(m.layer) in projections for m in site.consumers())
        or any(_mixes_heads(m) for m in site.members)
    ):
        return "residual width of a transformer; residual_width=True prunes it too"
    if site.attention is not None and len(site.units) == 1:
        return "a single head"
    return (
        ""
        if graph.check_pruning_group(
            graph.get_pruning_group(site.group[0].dep.target.module, site.group[0].dep.handler, [0])
        )
        else "a single channel"
    )


def _is_part(member: Member) -> bool:
    return member.role == "out" and 0 < len(set(member.indices)) < _side_count(member.layer)


def _multiplies(layer: Any) -> bool:
    groups = int(getattr(layer, "groups", 1)) if hasattr(layer, "weight") else 1
    return groups > 1 and groups == getattr(layer, "in_channels", 0) != layer.out_channels


def _is_output(item: Any) -> bool:
    target, handler = item.dep.target, getattr(item.dep.handler, "__name__", "")
    return not target.outputs and "in_channels" not in handler and not _is_parameter(target)


def _is_parameter(node: Any) -> bool:
    import torch  # noqa: PLC0415

    return isinstance(node.module, torch.nn.Parameter)
