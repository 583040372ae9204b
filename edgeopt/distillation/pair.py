"""A student beside its teacher: one batch becomes the losses of distillation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.batches import split_batch
from edgeopt.data.calls import call_model
from edgeopt.distillation.logits import class_axis, find_logits
from edgeopt.distillation.losses import attention_loss, feature_loss, fit_size, hinton_loss
from edgeopt.distillation.taps import Projection, Taps, first_tensor
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.options import Distillation

__all__ = ["Learner", "Pair"]

MAPS = 4


class Learner(torch.nn.Module):
    """The student and the projections that are trained with it, and thrown away afterwards."""

    def __init__(self, student: torch.nn.Module, projections: dict[str, Projection]) -> None:
        super().__init__()
        self.student = student
        self.projections = torch.nn.ModuleList(projections.values())
        self.names = tuple(projections)

    def forward(self, call: Callable[[torch.nn.Module], Any], taps: Taps) -> tuple[Any, list[Any]]:
        """Returns what the student puts out, and its projected features."""
        output = call(self.student)
        features = [
            projection(first_tensor(taps.values[name], name))
            for name, projection in zip(self.names, self.projections, strict=True)
        ]
        return output, features


class Pair:
    """Student and teacher, with hooks; `close` takes them off.

    Args:
        student: What learns.
        teacher: What is learned from; it is not changed.
        options: What to learn.
        batch: A first batch, to see shapes by.
        task_loss: ``task_loss(output, target)``; None takes the one that a Hugging Face model
            returns, or none.
    """

    def __init__(
        self,
        student: torch.nn.Module,
        teacher: torch.nn.Module,
        options: Distillation,
        batch: Any,
        task_loss: Callable[[Any, Any], torch.Tensor] | None = None,
    ) -> None:
        self.student, self.teacher, self.options = student, teacher, options
        self.task_loss = task_loss
        self._taps = Taps(student, options.modules(teacher=False), "student")
        self._teacher_taps = Taps(teacher, options.modules(teacher=True), "teacher")
        self.learner = Learner(student, self._probe(batch))

    def close(self) -> None:
        """Takes the hooks off both models."""
        self._taps.close()
        self._teacher_taps.close()

    def losses(self, model: Any, batch: Any) -> dict[str, torch.Tensor]:
        """Returns the weighted losses of one batch by name."""
        w, (inputs, target) = self.options, split_batch(batch)
        flags = _asked(w)

        def call(student: torch.nn.Module) -> Any:
            return _in_float32(call_model(student, inputs, named=student, **flags))

        output, features = model(call, self._taps)
        taught = self._taught(inputs) if self._needs_teacher else None
        mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
        terms: dict[str, torch.Tensor] = {}
        if w.logits_weight:
            terms["logits"] = w.logits_weight * self._logits(output, taught, mask)
        if w.features:
            terms["features"] = w.features_weight * self._features(features, mask)
        if w.attention:
            terms["attention"] = w.attention_weight * self._attention(output, taught)
        task = self._task(output, target, batch)
        if task is not None:
            terms["task"] = w.task_weight * task
        if not terms:
            raise InputError(
                "nothing to learn from", where="distill", hint="give one weight above 0"
            )
        return terms

    @property
    def _needs_teacher(self) -> bool:
        w = self.options
        return bool(w.logits_weight or w.features or w.attention)

    def _taught(self, inputs: Any) -> Any:
        flags = _asked(self.options)
        with torch.no_grad():
            return _in_float32(call_model(self.teacher, inputs, named=self.teacher, **flags))

    def _logits(self, output: Any, taught: Any, mask: torch.Tensor | None) -> torch.Tensor:
        student, teacher = find_logits(output, "student"), find_logits(taught, "teacher")
        _require_same_classes(student, teacher)
        axis = class_axis(student)
        return hinton_loss(student, teacher, self.options.temperature, axis=axis, mask=mask)

    def _features(self, features: list[torch.Tensor], mask: torch.Tensor | None) -> torch.Tensor:
        each = []
        for value, name in zip(features, self.options.features.values(), strict=True):
            target = first_tensor(self._teacher_taps.values[name], name)
            each.append(feature_loss(value.float(), fit_size(target, value).float(), mask))
        return torch.stack(each).mean()

    def _attention(self, output: Any, taught: Any) -> torch.Tensor:
        each = []
        for ours, theirs in self.options.attention.items():
            student, maps = _attended(self._taps, output, ours, "student")
            teacher, _ = _attended(self._teacher_taps, taught, theirs, "teacher")
            teacher = teacher if maps else fit_size(teacher, student)
            each.append(attention_loss(student, teacher, maps=maps))
        return torch.stack(each).mean()

    def _task(self, output: Any, target: Any, batch: Any) -> torch.Tensor | None:
        w = self.options
        if not w.task_weight:
            return None
        if self.task_loss is not None:
            return self.task_loss(output, target if target is not None else batch)
        loss = getattr(output, "loss", None)
        return loss if isinstance(loss, torch.Tensor) else None

    def _probe(self, batch: Any) -> dict[str, Projection]:
        """Runs both models once: classes must be the same, widths say what is projected."""
        inputs, _ = split_batch(batch)
        was = self.student.training
        self.student.eval()
        flags = _asked(self.options)
        with torch.no_grad():
            output = call_model(self.student, inputs, named=self.student, **flags)
        self.student.train(was)
        if self._needs_teacher:
            taught = self._taught(inputs)
            if self.options.logits_weight:
                _require_same_classes(
                    find_logits(output, "student"), find_logits(taught, "teacher")
                )
        projections = {}
        for ours, theirs in self.options.features.items():
            student = first_tensor(self._taps.values[ours], ours)
            teacher = first_tensor(self._teacher_taps.values[theirs], theirs)
            _require_alike(student, teacher, f"features[{ours!r}]")
            projections[ours] = Projection(student, teacher)
        return projections


def _asked(options: Distillation) -> dict[str, bool]:
    """Returns what both models are asked for besides: Hugging Face models give maps on demand."""
    return {"output_attentions": True} if options.by_layer else {}


def _in_float32(output: Any) -> Any:
    """Returns a model's output for losses: what autocast made bfloat16 is float32 again."""
    if not torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda"):
        return output
    from accelerate.utils.operations import convert_to_fp32  # noqa: PLC0415 (an extra)

    return convert_to_fp32(output)


def _require_same_classes(student: torch.Tensor, teacher: torch.Tensor) -> None:
    if student.shape == teacher.shape:
        return
    axis = class_axis(student)
    ours, theirs = int(student.shape[axis]), int(teacher.shape[class_axis(teacher)])
    what = (
        f"the student tells {ours} classes apart, the teacher {theirs}"
        if ours != theirs
        else f"the student's logits are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}"
    )
    raise InputError(
        what,
        where="distill",
        hint="give the student the teacher's head, or pass logits_weight=0 and learn from features",
    )


def _require_alike(student: torch.Tensor, teacher: torch.Tensor, where: str) -> None:
    both_maps = student.ndim == teacher.ndim == MAPS
    if student.ndim == teacher.ndim and (both_maps or student.shape[:-1] == teacher.shape[:-1]):
        return
    raise InputError(
        f"the student's are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: "
        "only width, and height and width of pictures, may differ",
        where=where,
        hint="pair modules that see the same positions",
    )


def _attended(taps: Taps, output: Any, key: str | int, whose: str) -> tuple[torch.Tensor, bool]:
    """Returns what a layer attends to, and whether it is a transformer's attention map."""
    if isinstance(key, int):
        maps = getattr(output, "attentions", None)
        if not maps or maps[key] is None:
            raise InputError(
                f"the {whose} returns no attention maps",
                where="attention",
                hint='load it with attn_implementation="eager", or name modules',
            )
        return maps[key], True
    value = taps.values[key]
    if isinstance(value, (tuple, list)) and len(value) > 1 and isinstance(value[1], torch.Tensor):
        return value[1], True
    tensor = first_tensor(value, key)
    if tensor.ndim != MAPS:
        raise InputError(
            f"{key} of the {whose} puts out neither attention maps nor feature maps",
            where="attention",
            hint='for Hugging Face models load with attn_implementation="eager"',
        )
    return tensor, False
