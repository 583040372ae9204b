"""From a model to a checked bundle: the plan, the work, and what came of it."""

from edgeopt.deployment.plan import Candidate, Plan, PlannedGate
from edgeopt.deployment.request import PRECISIONS, Request

__all__ = ["PRECISIONS", "Candidate", "Plan", "PlannedGate", "Request"]
