"""Weights that behave like learnt ones, as far as arithmetic goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.calls import as_call

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["build"]

SMALL = 1e-3
PASSES = 3


def build(entry: Entry) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Returns the model twice, in eval mode, with the same weights: one that has run, and one that never has.

    What has run may have remembered something: a mask, anchors. People pass the one as well as the other; the one
    that has not run is harder to capture.

    Initializations begin with zeros where training shall start gently: last gammas, layer scales, relative
    positions, heads. A model deployed so would compute little; they are drawn anew.
    """
    model = _seeded(entry)
    _wake(model)
    _settle(model, entry)
    fresh = _seeded(entry)
    fresh.load_state_dict(
        model.state_dict(), strict=False
    )  # buffers that came by running stay behind
    return model.eval(), fresh.eval()


def _seeded(entry: Entry) -> torch.nn.Module:
    torch.manual_seed(0)
    return entry.make().eval()


def _wake(model: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.is_floating_point() or not parameter.numel():
                continue
            if parameter.dim() == 1 and parameter.numel() > 1:
                _wake_vector(parameter)
            elif parameter.dim() > 1 and parameter.abs().max() < SMALL:
                parameter.normal_(0.0, 0.02)


def _wake_vector(parameter: torch.Tensor) -> None:
    """Biases become small, and factors that are all alike differ."""
    if parameter.max() != parameter.min():
        return
    value = float(parameter[0])
    if value == 1.0:
        parameter.uniform_(0.8, 1.4)
    elif 0.0 < abs(value) < SMALL:  # a layer scale
        parameter.uniform_(0.2, 0.5)
    elif value == 0.0:
        parameter.normal_(0.0, 0.05)


def _settle(model: torch.nn.Module, entry: Entry) -> None:
    """Lets batch norms see a few batches: without, the signal of deep networks grows or dies."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    if not norms:
        return
    for norm in norms:
        norm.train()
    for seed in range(PASSES):
        samples = entry.samples(4, 1000 + seed)
        try:
            _call(model, _batch(samples))
        except Exception:  # noqa: BLE001 (somebody else's model: it may take one sample only)
            _alone(model, norms, samples)


def _alone(model: torch.nn.Module, norms: list[Any], samples: list[Any]) -> None:
    try:
        for sample in samples:
            _call(model, sample)
    except ValueError:  # one value a channel has no variance
        for norm in norms:
            norm.eval()


def _call(model: torch.nn.Module, sample: Any) -> None:
    args, kwargs = as_call(sample)
    with torch.no_grad():
        model(*args, **kwargs)


def _batch(samples: list[Any]) -> Any:
    if isinstance(samples[0], dict):
        return {name: torch.cat([s[name] for s in samples]) for name in samples[0]}
    return tuple(torch.cat(parts) for parts in zip(*samples, strict=True))
