"""Distillation: a student learns from its teacher's logits, features and attention."""

from edgeopt.distillation.distill import Distilled, distill_student
from edgeopt.distillation.pair import Wishes

__all__ = ["Distilled", "Wishes", "distill_student"]
