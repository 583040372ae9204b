"""PyTorch's own operator database as the oracle: every operator, through every backend, beside torch.

`samples` makes models of the database's sample inputs, `bench` puts them through capture,
quantization and the backends, `verdict` judges what comes out, `isolation` does so in a process that may
crash, and `table` writes the rates down. ``make operators`` runs all of it (docs/operator_database.md).
"""

from edgeopt.testing.cheap_export import cheap_export
from edgeopt.testing.operator_database.bench import BACKENDS, PRECISIONS, Bench
from edgeopt.testing.operator_database.isolation import examine_isolated
from edgeopt.testing.operator_database.rates_table import document
from edgeopt.testing.operator_database.results import Done, Result
from edgeopt.testing.operator_database.samples import Case, cases_of, operators

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "Bench",
    "Case",
    "Done",
    "Result",
    "cases_of",
    "cheap_export",
    "document",
    "examine_isolated",
    "operators",
]
