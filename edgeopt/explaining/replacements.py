"""What runs on integers and may stand in place of an operator that has no integer kernel."""

from __future__ import annotations

__all__ = ["replacement"]

_INSTEAD = {
    "softmax": "where it makes the model's output, return what it reads: the order is the same",
    "log_softmax": "where it makes the model's output, return what it reads: the order is the same",
    "layer_norm": "nn.BatchNorm1d or 2d, trained anew, is folded into the layer before it",
    "group_norm": "nn.BatchNorm2d, trained anew, is folded into the layer before it",
    "abs": "torch.relu(x) + torch.relu(-1.0 * x)",
    "neg": "-1.0 * x",
    "maximum": "torch.relu(x - y) + y",
    "minimum": "y - torch.relu(y - x)",
    "sum": "x.mean(dim) * count",
    "amax": "torch.nn.functional.max_pool2d over all places",
    "upsample_bilinear2d": 'mode="nearest"',
}
"""Short name of an operator to what may be written instead; `tests/unit/explaining` applies each."""


def replacement(operator: str) -> str:
    """Returns what to write instead of an operator, by its short name; empty where nothing is known."""
    return _INSTEAD.get(operator, "")
