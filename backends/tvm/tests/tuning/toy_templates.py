"""Templates for tests: a matrix product, and candidates that misbehave in every way there is."""

# ruff: noqa: N806, N812 (TVMScript writes it so)
from __future__ import annotations

import os
import time
from functools import cache

import numpy as np
import tvm
from tvm import te
from tvm.s_tir import Schedule, TensorIntrin
from tvm.script import tirx as T

VERSION = 1
GOOD = [{"rows": r, "columns": c} for r in (1, 2, 4, 8) for c in (4, 8, 16, 32)]
BAD = [
    {"rows": 1, "columns": 16, "do": what} for what in ("raise", "abort", "hang", "hoard", "lie")
]


def product(rows=32, inner=64, columns=64, *, offset=0):
    """Returns a PrimFunc: uint8 times int8 to int32, plus a constant."""
    a = te.placeholder((rows, inner), "uint8", name="A")
    w = te.placeholder((inner // 4, columns, 4), "int8", name="W")
    k = te.reduce_axis((0, inner), name="k")

    def at(m, n):
        return te.sum(a[m, k].astype("int32") * w[k // 4, n, k % 4].astype("int32"), axis=k)

    c = te.compute((rows, columns), at, name="C")
    d = te.compute((rows, columns), lambda m, n: c[m, n] + offset, name="D")
    return te.create_prim_func([a, w, d])


def float_product(rows=16, inner=32, columns=32):
    a = te.placeholder((rows, inner), "float32", name="A")
    w = te.placeholder((inner, columns), "float32", name="W")
    k = te.reduce_axis((0, inner), name="k")
    c = te.compute((rows, columns), lambda m, n: te.sum(a[m, k] * w[k, n], axis=k), name="C")
    d = te.compute((rows, columns), lambda m, n: tvm.tirx.max(c[m, n], 0.0), name="D")
    return te.create_prim_func([a, w, d])


def tunable(function):
    return "C" in function.script()


def configurations(function, machine):
    bad = [p for p in BAD if p["do"] in os.environ.get("TOY_BAD", "").split(",")]
    return (*GOOD, *bad)


def scheduled(function, machine, config=None):
    config = config or GOOD[0]
    misbehave = {"raise": _raise, "abort": os.abort, "hang": _hang, "hoard": _hoard}
    misbehave.get(config.get("do"), int)()
    sch = Schedule(function)
    c, d = sch.get_sblock("C"), sch.get_sblock("D")
    m, n, k = sch.get_loops(c)
    mo, mi = sch.split(m, [None, config["rows"]])
    no, ni = sch.split(n, [None, config["columns"]])
    lie = config.get("do") == "lie"
    ko, ki = sch.split(k, [None, 4])
    sch.reorder(mo, no, ko, mi, ni, ki)
    sch.reverse_compute_at(d, no)
    sch.parallel(mo)
    sch.decompose_reduction(c, ko)
    if lie:
        sch.tensorize(ni, wrong_intrinsic())
    else:
        sch.unroll(ki)
    return sch.mod["main"]


def _raise():
    raise ValueError("this candidate cannot be made")


def _hang():
    time.sleep(3600)


def _hoard():
    np.ones(1 << 37, np.uint8)


@cache
def wrong_intrinsic():
    """Returns the name of an intrinsic that leaves out the last of each four products."""

    @T.prim_func(s_tir=True)
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), "uint8", offset_factor=1)
        B = T.match_buffer(b, (16, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (16,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:16], A[0:4], B[0:16, 0:4])
            T.writes(C[0:16])
            for i in T.serial(16):
                for k in T.serial(4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        C[vi] = C[vi] + T.Cast("int32", A[vk]) * T.Cast("int32", B[vi, vk])

    @T.prim_func(s_tir=True)
    def emission(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), "uint8", offset_factor=1)
        B = T.match_buffer(b, (16, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (16,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:16], A[0:4], B[0:16, 0:4])
            T.writes(C[0:16])
            for i in T.serial(16):
                for k in T.serial(3):
                    C[i] = C[i] + T.Cast("int32", A[k]) * T.Cast("int32", B[i, k])

    TensorIntrin.register("edgeopt.test.wrong", meaning, emission, override=True)
    return "edgeopt.test.wrong"
