"""Distillation: a student learns from its teacher's logits, features and attention."""

from edgeopt.distillation.distill import Distilled, distill_student

__all__ = ["Distilled", "distill_student"]
