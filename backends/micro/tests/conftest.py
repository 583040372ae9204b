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
    """Returns what runs a case: apart, and with its output as far over its input as the kernel allows."""

    def result(library, case, core=HOST):
        call = convolution(core, case.geometry, case.weights)
        apart = called(library, call, case, case.expected.size + 16)
        lapped = called(library, call, case, max(call.overlaps[0], -case.input.size))
        np.testing.assert_array_equal(lapped, apart, f"lapped: {case.geometry}")
        return apart

    return result


@pytest.fixture(scope="session")
def call_on_host():
    return called


def called(library, call, case, distance):
    """Returns a kernel's output that starts ``distance`` bytes before its input, in memory with a margin."""
    place = max(distance, 0) + 1  # an odd address
    goal = place - distance
    memory = np.full(max(place + case.input.size, goal + case.expected.size + 16), 85, np.int8)
    memory[place : place + case.input.size] = case.input.reshape(-1)
    before = memory.copy()
    scratch = np.full(call.scratch_bytes + 16, 85, np.int8)
    parameters = struct_of(call)
    arrays = (memory[place:], memory[goal:], scratch)
    addresses = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    getattr(library, call.function)(ctypes.byref(parameters), *addresses)
    end = goal + case.expected.size
    output = memory[goal:end].reshape(case.expected.shape).copy()
    memory[goal:end] = before[goal:end]
    np.testing.assert_array_equal(memory, before)
    assert (scratch[call.scratch_bytes :] == 85).all()
    return output
