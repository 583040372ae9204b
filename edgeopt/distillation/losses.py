"""What a student is told about its teacher.

Sources: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015 (logits with
temperature, T² so that the gradient's size does not depend on it); Romero et al., "FitNets", 2015
(hidden features behind a learned projection); Zagoruyko & Komodakis, "Paying More Attention to
Attention", 2017 (where a convolutional network looks); Jiao et al., "TinyBERT", 2020 (attention
maps of transformers).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)

__all__ = ["attention_loss", "feature_loss", "fit_size", "hinton_loss"]

MAPS = 4


def hinton_loss(
    student: torch.Tensor,
    teacher: torch.Tensor,
    temperature: float,
    *,
    axis: int = -1,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Returns T² · KL(teacher ‖ student) of the softened classes, a mean over all positions.

    Args:
        student: Logits.
        teacher: Logits of the same shape.
        temperature: T: the higher, the more the unlikely classes count.
        axis: The axis of classes.
        mask: 1 for positions that count (batch, positions), 0 for padding.
    """
    p = F.log_softmax(student.float() / temperature, dim=axis)
    q = F.log_softmax(teacher.float() / temperature, dim=axis)
    each = (q.exp() * (q - p)).sum(dim=axis)
    return _mean(each, mask) * temperature**2


def feature_loss(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Returns the mean squared error over the teacher's mean square: 1 says nothing was learned."""
    error = (student.float() - teacher.float()).square()
    size = teacher.float().square()
    if mask is not None and error.ndim == mask.ndim + 1:
        error, size = error.mean(dim=-1), size.mean(dim=-1)
    return _mean(error, mask) / _mean(size, mask).clamp_min(1e-12)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor, *, maps: bool) -> torch.Tensor:
    """Returns how differently two layers attend.

    Args:
        student: (batch, heads, to, from) of a transformer, or (batch, channels, height, width).
        teacher: The same, with as many heads or channels as it likes.
        maps: Whether these are a transformer's attention maps.
    """
    student, teacher = student.float(), teacher.float()
    if maps:
        if student.shape[1] != teacher.shape[1]:
            student, teacher = student.mean(dim=1), teacher.mean(dim=1)
        return (student - teacher).square().sum(dim=-1).mean()
    return (_where(student) - _where(teacher)).square().sum(dim=1).mean()


def fit_size(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Returns a teacher's feature map averaged down (or spread) to the student's height and width."""
    if teacher.ndim != MAPS or teacher.shape[2:] == student.shape[2:]:
        return teacher
    return F.adaptive_avg_pool2d(teacher, (int(student.shape[2]), int(student.shape[3])))


def _where(features: torch.Tensor) -> torch.Tensor:
    return F.normalize(features.square().mean(dim=1).flatten(1), dim=1)


def _mean(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None or mask.shape != values.shape:
        return values.mean()
    weight = mask.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(1)
