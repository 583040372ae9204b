"""The boundary: bytes from outside become values here, or an error in our words. Runs nothing.

Every reader of files, device output and network answers goes through these functions. Each has a
cap on what it reads, and never raises anything but `edgeopt.errors`.
"""

from edgeopt.boundary.files import read_file
from edgeopt.boundary.text import decode_json
from edgeopt.boundary.zips import stored_members

__all__ = ["decode_json", "read_file", "stored_members"]
