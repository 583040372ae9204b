"""How much a channel matters. A score a unit, higher is more; scores of a site average to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.errors import CalibrationError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from edgeopt.data.calls import Call
    from edgeopt.data.dataset import Dataset
    from edgeopt.pruning.sites import Site

__all__ = ["consumer_inputs", "score_sites"]


def score_sites(
    model: nn.Module,
    sites: list[Site],
    data: Dataset,
    kind: str,
    *,
    seed: int = 0,
    loss: Callable[..., Any] | None = None,
) -> list[torch.Tensor]:
    """Returns for each site one score a unit, float32.

    Args:
        model: The model.
        sites: What to score.
        data: Samples; ``activation`` and ``taylor`` need them.
        kind: ``importance`` of `edgeopt.options.PruningOptions`.
        seed: For ``random``.
        loss: For ``taylor``: ``loss(model, item)`` of one item of the data.

    Raises:
        CalibrationError: Samples are needed and missing.
        InputError: A score is not finite, or ``loss`` is missing.
    """
    channels = _channel_scores(model, sites, data, kind, seed, loss)
    return [_per_unit(site, one, kind) for site, one in zip(sites, channels, strict=True)]


def _channel_scores(
    model: nn.Module, sites: list[Site], data: Dataset, kind: str, seed: int, loss: Any
) -> list[torch.Tensor]:
    import torch  # noqa: PLC0415
    import torch_pruning as tp  # noqa: PLC0415

    if kind == "activation":
        inputs = consumer_inputs(model, sites, data)
        return [_activation(site, inputs) for site in sites]
    if kind == "random":
        source = torch.Generator().manual_seed(seed)
        return [torch.rand(site.width, generator=source) for site in sites]
    if kind == "taylor":
        _backward(model, data, loss)
    measures = {
        "l1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
        "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
        "taylor": tp.importance.GroupTaylorImportance,
        "bn_scale": tp.importance.BNScaleImportance,
    }
    measure = measures[kind]()
    scores = [measure(site.group) for site in sites]
    model.zero_grad(set_to_none=True)
    if kind == "bn_scale" and all(score is None for score in scores):
        raise InputError("the model has no batch norm", where="importance", hint="use another one")
    plain = tp.importance.GroupMagnitudeImportance(p=1)
    return [plain(s.group) if one is None else one for s, one in zip(sites, scores, strict=True)]


def consumer_inputs(model: nn.Module, sites: list[Site], data: Dataset) -> dict[str, torch.Tensor]:
    """Returns for each layer that reads a site Σ|w·x| of each of its input channels.

    For channel c: the sum over samples, positions, outputs o and kernel taps k of
    ``|w[o, c, k] · x[c, p + k]|``, stride and padding as the layer has them. It is what the channel
    puts into its consumers before anything cancels. The L1 kin of Wanda's |w|·‖x‖ (Sun et al., 2023,
    arXiv:2306.11695), summed over a channel.

    Raises:
        CalibrationError: There is no sample, or one does not fit.
    """
    import torch  # noqa: PLC0415

    layers = {m.name: m.layer for site in sites for m in site.consumers()}
    sums: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def add(layer: Any, inputs: Any) -> None:
            flow = _flow(layer, inputs[0].detach().abs().float())
            sums[name] = sums[name] + flow if name in sums else flow

        return add

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        with torch.no_grad():
            for index, call in enumerate(data.required().calls()):
                _run(model, call, index)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def _run(model: nn.Module, call: Call, index: int) -> None:
    try:
        args, kwargs = call
        model(*args, **kwargs)
    except (RuntimeError, TypeError, ValueError) as error:
        where = f"calibration_data, item {index}"
        raise CalibrationError(f"the model does not take it: {error}", where=where) from error


def _flow(layer: Any, x: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional  # noqa: PLC0415

    weight: torch.Tensor = layer.weight.detach().abs().float()
    if not hasattr(layer, "in_channels"):
        flow: torch.Tensor = x.reshape(-1, x.shape[-1]).sum(0) * weight.sum(0)
        return flow
    spatial = weight.dim() - 2
    if layer.transposed:
        return x.transpose(0, 1).flatten(1).sum(1) * weight.flatten(1).sum(1)
    x = x if x.dim() == spatial + 2 else x.unsqueeze(0)
    grouped = weight.reshape(layer.groups, -1, *weight.shape[1:]).sum(1)
    kernel = grouped.reshape(layer.in_channels, 1, *weight.shape[2:])
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[spatial - 1]
    out = convolve(
        x,
        kernel,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.in_channels,
    )
    return out.transpose(0, 1).flatten(1).sum(1)


def _activation(site: Site, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    import torch  # noqa: PLC0415

    total = torch.zeros(site.width)
    for member in site.consumers():
        flow = inputs.get(member.name)
        if flow is None or not len(member.indices):
            continue
        part = flow.cpu()[torch.tensor(member.indices)] / flow.sum().cpu().clamp_min(1e-30)
        total.scatter_add_(0, torch.tensor(member.roots), part)
    return total


def _backward(model: nn.Module, data: Dataset, loss: Callable[..., Any] | None) -> None:
    if loss is None:
        hint = "pass loss=lambda model, item: ...; items come from calibration_data"
        raise InputError("taylor needs a loss", where="loss", hint=hint)
    model.zero_grad(set_to_none=True)
    for item in data.required().items:
        loss(model, item).backward()


def _per_unit(site: Site, channels: torch.Tensor, kind: str) -> torch.Tensor:
    import torch  # noqa: PLC0415

    scores = torch.stack([channels[unit].sum() for unit in site.units]).detach().float()
    if not bool(torch.isfinite(scores).all()):
        hint = "are weights and calibration data finite?"
        raise InputError(f"its {kind} importance is not finite", where=site.name, hint=hint)
    return scores / scores.mean().clamp_min(1e-30)
