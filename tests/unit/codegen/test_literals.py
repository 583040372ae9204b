"""Names from outside are values in generated source, whatever they hold."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from edgeopt.boundary import c_float, c_string, identifier, kotlin_string

HOSTILE = (
    "",
    'a"); system("true"); //',
    "??/\n*/ int x; /*",
    "${System.exit(1)} $x",
    "größe 猫 😀",
    "\\\r\n\t\x00\x7f",
    "%s%n",
    "\\u0022",
    "7\x018",
)


def test_c_says_what_python_said(tmp_path):
    rows = "\n".join(
        f"  fwrite({c_string(text)}, 1, sizeof {c_string(text)}, stdout);" for text in HOSTILE
    )
    for compiler, name in (("gcc", "a.c"), ("g++", "a.cpp")):
        source = tmp_path / name
        source.write_text(f"#include <stdio.h>\nint main(void) {{\n{rows}\n  return 0;\n}}\n")
        program = tmp_path / f"{name}.out"
        subprocess.run(
            [compiler, "-trigraphs", "-Wall", "-Werror", str(source), "-o", str(program)],
            check=True,
        )
        said = subprocess.run([str(program)], check=True, capture_output=True).stdout
        assert said == b"".join(text.encode() + b"\0" for text in HOSTILE)


@pytest.mark.slow
def test_kotlin_says_what_python_said(tmp_path):
    assert shutil.which("kotlinc"), "make system"
    rows = ", ".join(map(kotlin_string, HOSTILE))
    code = f'fun main() {{ print(listOf({rows}).joinToString("|") {{ it.map {{ c -> c.toInt() }}.toString() }}) }}'
    (tmp_path / "a.kt").write_text(code)
    jar = tmp_path / "a.jar"
    command = ["kotlinc", str(tmp_path / "a.kt"), "-include-runtime", "-d", str(jar)]
    subprocess.run(command, check=True, capture_output=True)
    said = subprocess.run(
        [shutil.which("java"), "-jar", str(jar)], check=True, capture_output=True, text=True
    )
    units = [np.frombuffer(text.encode("utf-16-le"), np.uint16).tolist() for text in HOSTILE]
    assert said.stdout == "|".join(map(str, units))


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1 / 255, 1e-9, 3.4e38, 0.485, 16777217.0])
def test_a_number_is_the_same_single(value):
    text = c_float(value)
    assert text.endswith("f")
    assert np.float32(text[:-1]) == np.float32(value)
    assert "." in text or "e" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_an_identifier_is_one(text):
    name = identifier(text)
    assert name.isascii()
    assert name.isidentifier()
    assert len(name) <= 66
    assert not name.startswith("_")


def test_an_identifier_keeps_what_it_can():
    assert identifier("host-tvm-int8") == "host_tvm_int8"
    assert identifier("8 bits") == "model_8_bits"
