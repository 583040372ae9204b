"""Kernels as a library of this machine."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from edgeopt_micro.core import Core
from edgeopt_micro.testing.bare import NATIVE
from edgeopt_micro.weighted import convolution

HOST = Core(triple="", cpu="", fpu=True, dsp=False, mve=False)


def compiled(folder, name, sources, *flags):
    """Returns a shared library of C files, with all checks for undefined behaviour that trap."""
    path = folder / f"{name}.so"
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-O2", "-std=c11", "-Wall"),
        *("-Wextra", "-Werror", "-ffp-contract=off", "-fsanitize=undefined"),
        *("-fsanitize-trap=undefined", f"-I{NATIVE}", *flags, "-o", str(path), *map(str, sources)),
    ]
    subprocess.run(command, check=True, timeout=120)
    return ctypes.CDLL(str(path))


@pytest.fixture(scope="session")
def compile_library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("libraries")
    return lambda name, sources, *flags: compiled(folder, name, sources, *flags)


def struct_of(call):
    """Returns a call's struct as the C library reads it; it keeps its arrays alive."""
    kinds = [
        (k, ctypes.c_void_p if isinstance(v, np.ndarray) else ctypes.c_int32)
        for k, v in call.fields.items()
    ]
    values = [v.ctypes.data if isinstance(v, np.ndarray) else int(v) for v in call.fields.values()]
    result = type("Parameters", (ctypes.Structure,), {"_fields_": kinds})(*values)
    result.arrays = call.fields
    return result


@pytest.fixture(scope="session")
def run_on_host():
    def result(library, case, core=HOST):
        call = convolution(core, case.geometry, case.weights)
        output = np.full(case.expected.size + 16, 85, np.int8)
        scratch = np.full(call.scratch_bytes + 16, 85, np.int8)
        # A copy with nothing behind it, at an odd address.
        memory = np.zeros(case.input.size + 1, np.int8)
        memory[1:] = case.input.reshape(-1)
        parameters = struct_of(call)
        addresses = [ctypes.c_void_p(a.ctypes.data) for a in (memory[1:], output, scratch)]
        getattr(library, call.function)(ctypes.byref(parameters), *addresses)
        assert (output[case.expected.size :] == 85).all()
        assert (scratch[call.scratch_bytes :] == 85).all()
        return output[: case.expected.size].reshape(case.expected.shape)

    return result
