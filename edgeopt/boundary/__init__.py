"""The boundary: bytes from outside become values here, or an error in our words. Runs nothing.

Every reader of files, device output and databases goes through these functions. Each has a cap on
what it reads, and raises nothing but errors of `edgeopt.errors`, with the file and the place.
"""

from edgeopt.boundary.arrays import decode_npy, decode_npz, read_arrays
from edgeopt.boundary.files import read_file
from edgeopt.boundary.literals import c_float, c_string, identifier, kotlin_string
from edgeopt.boundary.tensors import decode_tensors, read_tensors
from edgeopt.boundary.text import convert, decode_json, decode_toml, decode_yaml, refusing
from edgeopt.boundary.zips import stored_members

__all__ = [
    "c_float",
    "c_string",
    "convert",
    "decode_json",
    "decode_npy",
    "decode_npz",
    "decode_tensors",
    "decode_toml",
    "decode_yaml",
    "identifier",
    "kotlin_string",
    "read_arrays",
    "read_file",
    "read_tensors",
    "refusing",
    "stored_members",
]
