"""Errors of descriptors, word for word."""

from __future__ import annotations

import copy
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import edgeopt_targets
from edgeopt.errors import TargetError
from edgeopt.registry import find_target
from edgeopt.registry.descriptor import parse_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RPI4 = tomllib.loads((edgeopt_targets.descriptors() / "rpi4.toml").read_text(encoding="utf-8"))
ATOM = tomllib.loads((edgeopt_targets.descriptors() / "atom-x6425e.toml").read_text("utf-8"))

FIELDS = (
    "name, title, soc, cpu, os, memory_mb, backends, aliases, quantization, rates, sources, notes,"
    " microcontroller, npu"
)
CPU_FIELDS = "arch, model, cores, isa, mcpu, triple, vector_bits, max_mhz, fast_cores"


def _set(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def change(table: Any) -> None:
        for step in path[:-1]:
            table = table[step]
        table[path[-1]] = to

    return change


def _drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(table: Any) -> None:
        for step in path[:-1]:
            table = table[step]
        del table[path[-1]]

    return change


GOLDEN = [
    (_set("cpu", "isa", to=3), "rpi4.toml: cpu.isa: expected a list of strings, got 3"),
    (
        _set("cpu", "isa", to=["neon", 3]),
        "rpi4.toml: cpu.isa[1]: expected a string, got 3",
    ),
    (
        _set("cpu", "cores", to="four"),
        'rpi4.toml: cpu.cores: expected a whole number, got "four"',
    ),
    (_set("cpu", "cores", to=True), "rpi4.toml: cpu.cores: expected a whole number, got true"),
    (_set("cpu", "cores", to=4.0), "rpi4.toml: cpu.cores: expected a whole number, got 4.0"),
    (_set("cpu", to=["x"]), 'rpi4.toml: cpu: expected a table, got ["x"]'),
    (_drop("cpu", "isa"), "rpi4.toml: cpu.isa: expected a list of strings, got nothing"),
    (_drop("os"), "rpi4.toml: os: expected a table, got nothing"),
    (
        _set("cpu", "arch", to="aarch46"),
        (
            'rpi4.toml: cpu.arch: expected one of "aarch64", "armv7", "cortex-m", "riscv32",'
            ' "riscv64", "x86_64",'
            ' got "aarch46"\n  -> did you mean "aarch64"?'
        ),
    ),
    (
        _set("quantization", "weight_bits", to=4),
        "rpi4.toml: quantization.weight_bits: expected one of 7, 8, got 4",
    ),
    (
        _set("cpu", "max_mzh", to=1500),
        (
            f'rpi4.toml: cpu.max_mzh: expected one of the fields {CPU_FIELDS}, got "max_mzh"\n'
            '  -> did you mean "max_mhz"?'
        ),
    ),
    (
        _set("colour", to="green"),
        f'rpi4.toml: colour: expected one of the fields {FIELDS}, got "colour"',
    ),
    (
        _set("rates", 0, "value", to="fast"),
        'rpi4.toml: rates[0].value: expected a number, got "fast"',
    ),
    (_set("rates", to={}), "rpi4.toml: rates: expected a list of tables, got a table"),
    (
        _set("sources", "cpu", to={"cores": "a brief"}),
        (
            'rpi4.toml: sources."cpu": expected a string, got a table\n'
            '  -> put the key in quotes: "cpu.cores" = …'
        ),
    ),
    (
        _set("sources", "cpu.core", to="a brief"),
        (
            'rpi4.toml: sources."cpu.core": expected the path of a field, such as cpu.max_mhz,'
            ' got "cpu.core"\n  -> did you mean "cpu.cores"?'
        ),
    ),
    (
        _set("sources", "cpu.cores", to=" "),
        'rpi4.toml: sources."cpu.cores": expected the title of a document, got ""',
    ),
    (_set("cpu", "cores", to=0), "rpi4.toml: cpu.cores: expected 1 or more, got 0"),
    (
        _set("cpu", "fast_cores", to=5),
        "rpi4.toml: cpu.fast_cores: expected at most cpu.cores (4), got 5",
    ),
    (
        _set("cpu", "triple", to="x86_64-linux-gnu"),
        'rpi4.toml: cpu.triple: expected a triple of aarch64 (aarch64-…), got "x86_64-linux-gnu"',
    ),
    (
        _set("cpu", "isa", to=["neon", "asimddp"]),
        (
            'rpi4.toml: cpu.isa[1]: expected a feature of aarch64, got "asimddp"\n'
            '  -> did you mean "dotprod"?'
        ),
    ),
    (
        _set("cpu", "isa", to=["neon", "avx2"]),
        (
            'rpi4.toml: cpu.isa[1]: expected a feature of aarch64, got "avx2"\n'
            "  -> that is a feature of x86_64"
        ),
    ),
    (
        _set("os", "python", to="3.x"),
        'rpi4.toml: os.python: expected a version like "3.11", or "", got "3.x"',
    ),
    (_set("backends", to=[]), "rpi4.toml: backends: expected at least one backend, got []"),
    (
        _set("name", to="RPi 4"),
        'rpi4.toml: name: expected lower-case words joined by hyphens, got "RPi 4"',
    ),
    (
        _set("aliases", to=["RPI_4"]),
        (
            'rpi4.toml: aliases[0]: expected a name that differs from the others, got "RPI_4"\n'
            "  -> case and punctuation make no difference"
        ),
    ),
    (
        _set("rates", 0, "value", to=float("nan")),
        "rpi4.toml: rates[0].value: expected a number, got nan",
    ),
    (
        _set("rates", 1, "what", to="fp32_gflops"),
        'rpi4.toml: rates[1].what: expected each rate once, got "fp32_gflops" again',
    ),
]


@pytest.mark.parametrize(("change", "text"), GOLDEN, ids=[text[:60] for _, text in GOLDEN])
def test_a_wrong_field_is_named(change: Callable[[dict[str, Any]], None], text: str) -> None:
    table = copy.deepcopy(RPI4)
    change(table)
    with pytest.raises(TargetError) as caught:
        parse_descriptor(table, file="rpi4.toml")
    assert str(caught.value) == text


def test_8_bit_weights_are_refused_where_products_saturate() -> None:
    table = copy.deepcopy(ATOM)
    table["quantization"]["weight_bits"] = 8
    with pytest.raises(TargetError) as caught:
        parse_descriptor(table, file="atom.toml")
    assert str(caught.value) == (
        "atom.toml: quantization.weight_bits: expected 7, got 8\n"
        "  -> 8-bit products saturate on x86 without avx_vnni, avx512_vnni or amx_int8"
    )


def test_all_wrong_fields_are_named_at_once() -> None:
    table = copy.deepcopy(RPI4)
    table["cpu"]["isa"] = 3
    table["cpu"]["archh"] = "aarch64"
    table["memory_mb"] = "1 GB"
    with pytest.raises(TargetError) as caught:
        parse_descriptor(table, file="rpi4.toml")
    assert str(caught.value).splitlines() == [
        "rpi4.toml: cpu.isa: expected a list of strings, got 3",
        f'rpi4.toml: cpu.archh: expected one of the fields {CPU_FIELDS}, got "archh"',
        '  -> did you mean "arch"?',
        'rpi4.toml: memory_mb: expected a whole number, got "1 GB"',
    ]
    assert caught.value.where == "rpi4.toml: cpu.isa"


def test_a_feature_of_tomorrow_is_taken_as_it_is() -> None:
    table = copy.deepcopy(RPI4)
    table["cpu"]["isa"] = ["neon", "hyperdot"]
    assert parse_descriptor(table, file="rpi4.toml").cpu.isa == ("neon", "hyperdot")


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ncores: 4\n')
    with pytest.raises(TargetError, match=r"^mine\.toml: is not valid TOML: .*line 2") as caught:
        find_target(path)
    assert caught.value.hint == f"see {path}"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match=r"^mine\.toml: is not valid TOML: .*utf-8"):
        find_target(path)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(TargetError) as caught:
        find_target(str(path))
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"
