"""PyTorch's own operator database as the oracle: every operator, through every backend, beside torch.

`samples` makes models of the database's sample inputs, `examine` puts one of them through capture,
quantization and the backends and judges what comes out, `isolation` does so in a process that may
crash, and `table` writes the rates down. ``make operators`` runs all of it (docs/operator_database.md).
"""

from edgeopt.testing.operator_database.examine import Bench, Result
from edgeopt.testing.operator_database.isolation import Done, examine_isolated
from edgeopt.testing.operator_database.samples import Case, cases_of, operators
from edgeopt.testing.operator_database.table import document

__all__ = [
    "Bench",
    "Case",
    "Done",
    "Result",
    "cases_of",
    "document",
    "examine_isolated",
    "operators",
]
