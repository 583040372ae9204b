"""What cannot be compiled or linked is refused in words, before a tool trips over it."""

from __future__ import annotations

import dataclasses
import re
from importlib import util

import numpy as np
import pytest

from edgeopt.errors import CompileError, PluginError, TargetError
from edgeopt.installation import install_command
from edgeopt.lowering import zig
from edgeopt_tvm.executable import Buffer, Step
from edgeopt_tvm.library import build_library
from edgeopt_tvm.linking import Parts, link_library, zig_target


def changed(executable, **fields):
    return dataclasses.replace(executable, **fields)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((Step("nope", (0, 1)),), "no such kernel"),
        ((Step("k", (0,), outputs=0),), "1 arguments for 2"),
        ((Step("k", (1, 2)),), "before a step has written it"),
        ((Step("k", (0, 0)),), "to what it reads"),
        ((Step("k", (0, 1)), Step("k", (1, 0))), "it writes to v0"),
        ((Step("k", (0, 1)),), "no step writes this output"),
    ],
)
def test_steps_that_make_no_sense(chain, machine, steps, said):
    with pytest.raises(CompileError, match=said):
        build_library(changed(chain(2), steps=steps), machine)


@pytest.mark.parametrize(
    ("buffer", "said"),
    [
        (Buffer("v1", (63,), "int32", "temporary"), r"v1 is int32\[63\], it takes int32\[64\]"),
        (Buffer("v1", (64,), "float32", "temporary"), r"it takes int32\[64\]"),
        (Buffer("v1", (64,), "int32", "constant"), "a constant without content"),
        (Buffer("v1", (8, 7), "int32", "temporary", alias=0), "cannot be a view of v0"),
    ],
)
def test_buffers_that_do_not_fit(chain, machine, buffer, said):
    made = chain(2)
    with pytest.raises(CompileError, match=said):
        build_library(changed(made, buffers=(made.buffers[0], buffer, made.buffers[2])), machine)


def test_constants_of_another_shape(perceptron, machine):
    constants = {**perceptron.executable.constants, 1: np.zeros((3, 3), np.float32)}
    with pytest.raises(CompileError, match=r"float32\[3, 3\], not float32\[24, 32\]"):
        build_library(changed(perceptron.executable, constants=constants), machine)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"arch": "sparc", "triple": "sparc-linux-gnu"}, "no compiler for sparc-linux-gnu"),
        ({"triple": "aarch64-apple-darwin"}, "no compiler for aarch64-apple-darwin"),
        ({"glibc": "2.5"}, r"glibc 2\.5 is older"),
    ],
)
def test_machines_without_a_compiler(chain, machine, fields, said):
    with pytest.raises(TargetError, match=said):
        build_library(chain(1), dataclasses.replace(machine, **fields))


def test_which_c_library_is_linked(machine):
    def name(**fields):
        return zig_target(dataclasses.replace(machine, **fields))

    assert name(glibc="2.36") == "x86_64-linux-gnu.2.36"
    assert name(glibc="2.99") == "x86_64-linux-gnu.2.41"
    assert name(glibc="") == "x86_64-linux-musl"
    assert name(arch="armv7", triple="arm-linux-gnueabihf", glibc="2.31.5").endswith("hf.2.31")
    assert zig_target(machine, static=True) == "x86_64-linux-musl"


def test_without_zig_it_says_what_to_type(machine, monkeypatch):
    monkeypatch.setattr(
        zig, "find_spec", lambda name: None if name == "ziglang" else util.find_spec(name)
    )
    with pytest.raises(PluginError, match=re.escape(install_command("micro"))):
        link_library(Parts({}, (), {}), machine)


def test_what_the_linker_says_comes_through(machine):
    with pytest.raises(CompileError, match="kernels"):
        link_library(Parts({"kernels": b"not an object"}, ("int TABLE;",), {}), machine)


def test_what_tvm_says_comes_through(chain, machine):
    broken = dataclasses.replace(machine, triple="x86_64-linux-gnu", mcpu="", features=("+nope",))

    def schedule(function, held):
        raise CompileError("no schedule", where=held.triple)

    with pytest.raises(CompileError, match="no schedule"):
        build_library(chain(1), broken, schedule=schedule)
