"""From a model to a checked bundle: the plan, the work, and what came of it."""

from edgeopt.deployment.plan import Candidate, Plan, PlannedGate
from edgeopt.deployment.request import Request

__all__ = ["Candidate", "Plan", "PlannedGate", "Request"]
