"""Which layers the output depends on most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.pruning.importance import score_sites
from edgeopt.pruning.removal import Cut, mute

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgeopt.data.dataset import Dataset
    from edgeopt.pruning.sites import Site

__all__ = ["too_sensitive"]

_SHARE = 0.25
_CALLS = 4


def too_sensitive(
    model: nn.Module, sites: list[Site], data: Dataset, limit: float
) -> dict[str, str]:
    """Returns site name to the reason why it is protected: with its least important quarter of
    units muted, the model's output moves by more than ``limit``, relative (L2).

    Raises:
        CalibrationError: There is no sample.
    """
    import torch  # noqa: PLC0415

    calls = list(data.required().head(_CALLS).calls())
    scores = score_sites(model, sites, data, "activation")
    reasons = {}
    with torch.no_grad():
        plain = [_flat(model(*args, **kwargs)) for args, kwargs in calls]
        for site, score in zip(sites, scores, strict=True):
            moved = _moved(model, site, score, calls, plain)
            if moved > limit:
                reasons[site.name] = f"sensitive: a quarter muted moves the output by {moved:.0%}"
    return reasons


def _moved(
    model: nn.Module,
    site: Site,
    score: torch.Tensor,
    calls: list[Any],
    plain: list[Any],
) -> float:
    quiet = score.argsort()[: max(1, int(_SHARE * len(score)))].tolist()
    cut = Cut(site, quiet)
    handles = [
        m.layer.register_forward_pre_hook(mute(m.layer, cut.indices(m))) for m in site.consumers()
    ]
    try:
        outputs = [_flat(model(*args, **kwargs)) for args, kwargs in calls]
    finally:
        for handle in handles:
            handle.remove()
    parts = [
        float((a - b).norm() / b.norm().clamp_min(1e-30))
        for a, b in zip(outputs, plain, strict=True)
    ]
    return sum(parts) / len(parts)


def _flat(found: Any) -> torch.Tensor:
    import torch  # noqa: PLC0415

    if isinstance(found, torch.Tensor):
        return found.flatten()
    values = list(found.values()) if isinstance(found, dict) else list(found)
    return torch.cat([_flat(v) for v in values if v is not None])
