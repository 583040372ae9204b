"""From a model to a checked bundle: the plan, the work, and what came of it."""

from edgeopt.deployment.plan import ConsideredBackend, Plan, PlannedGate
from edgeopt.deployment.request import Request

__all__ = ["ConsideredBackend", "Plan", "PlannedGate", "Request"]
