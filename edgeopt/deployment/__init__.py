"""From a model to a checked bundle: the plan, the work, and what came of it."""

from edgeopt.deployment.plan import ConsideredBackend, Plan, PlannedGate
from edgeopt.deployment.request import PRECISIONS, Request

__all__ = ["PRECISIONS", "ConsideredBackend", "Plan", "PlannedGate", "Request"]
