"""What tuning found out, kept: a database of trials that runs share, merge and take up again."""

from edgeopt.tuning.database import TuningDatabase, default_database, open_database
from edgeopt.tuning.exchange import export_records, read_records
from edgeopt.tuning.record import STATUSES, Key, Record

__all__ = [
    "STATUSES",
    "Key",
    "Record",
    "TuningDatabase",
    "default_database",
    "export_records",
    "open_database",
    "read_records",
]
