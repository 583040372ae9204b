"""Files that are written whole or not at all, locks between processes, and the user's folders."""

from edgeopt.files.atomic import drafting, drafts, put, replacing, sweep, write_file
from edgeopt.files.folders import cache_folder, config_folder, data_folder, is_shut
from edgeopt.files.locks import Busy, locked
from edgeopt.files.temporary import make_temporary, remove_temporary, temporary_folder

__all__ = [
    "Busy",
    "cache_folder",
    "config_folder",
    "data_folder",
    "drafting",
    "drafts",
    "is_shut",
    "locked",
    "make_temporary",
    "put",
    "remove_temporary",
    "replacing",
    "sweep",
    "temporary_folder",
    "write_file",
]
