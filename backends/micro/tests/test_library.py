"""The library as its users build it: with other compilers, through CMake, in C++; and what it needs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from edgeopt.options import CompileOptions
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.specimens import program_of

pytestmark = pytest.mark.slow

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter")
ARM = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with the artefact of a small network for a Cortex-M4."""
    backend = find_backend("micro")
    lowered = backend.lower(program_of("residual", "int8"), find_target("generic-cortex-m4f"))
    artifact = backend.compile(lowered, CompileOptions())
    path = tmp_path_factory.mktemp("library")
    for name, content in artifact.files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def installed(program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: scripts/system.sh installs it")
    return program


def run(*words, cwd):
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_needs_memcpy_and_memset_and_no_data(folder, tmp_path):
    installed("arm-none-eabi-gcc")
    sources = sorted((folder / "src").glob("*.c"))
    words = ("-std=c11", "-O2", "-ffreestanding", "-ffp-contract=off", *WARNINGS)
    for source in sources:
        run("arm-none-eabi-gcc", *ARM, *words, "-c", source, cwd=tmp_path)
    objects = sorted(tmp_path.glob("*.o"))
    run("arm-none-eabi-ld", "-r", "-o", "all.o", *objects, cwd=tmp_path)
    needed = {
        line.split()[-1]
        for line in run("arm-none-eabi-nm", "-u", "all.o", cwd=tmp_path).splitlines()
    }
    assert needed <= {"memcpy", "memset"}
    sizes = run("arm-none-eabi-size", "-A", "all.o", cwd=tmp_path).splitlines()
    data = {
        words[0]: int(words[1])
        for words in map(str.split, sizes)
        if len(words) == 3 and words[1].isdigit()
    }
    assert sum(size for name, size in data.items() if name.startswith((".data", ".bss"))) == 0


def test_cmake_builds_it(folder, tmp_path):
    installed("cmake")
    installed("arm-none-eabi-gcc")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app C)\n"
        f"add_subdirectory({folder} model)\nadd_executable(app {folder}/example/main.c)\n"
        "target_link_libraries(app model)\n"
    )
    flags = " ".join((*ARM, "-ffreestanding"))
    run(
        "cmake", "-S", ".", "-B", "build", "-DCMAKE_SYSTEM_NAME=Generic",
        "-DCMAKE_C_COMPILER=arm-none-eabi-gcc", f"-DCMAKE_C_FLAGS={flags}",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY", cwd=tmp_path,
    )  # fmt: skip
    run("cmake", "--build", "build", "--target", "model", cwd=tmp_path)
    assert list((tmp_path / "build").rglob("libmodel.a"))


def test_cplusplus_takes_the_headers(folder, tmp_path):
    (tmp_path / "app.cpp").write_text(
        '#include "model.h"\n#include "model_selftest.h"\n'
        "alignas(16) static uint8_t arena[MODEL_ARENA_BYTES];\n"
        "int main() { return edgeopt_invoke(&model_model, arena, nullptr, nullptr); }\n"
    )
    zig = (sys.executable, "-m", "ziglang", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror")
    run(*zig, f"-I{folder}/src", "-c", "app.cpp", "-o", "app.o", cwd=tmp_path)


def test_packages_name_files_that_are_there(folder):
    library = json.loads((folder / "library.json").read_text())
    assert (folder / library["build"]["srcDir"] / library["headers"]).is_file()
    lines = (folder / "library.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines)
    assert (folder / "src" / properties["includes"]).is_file()
    module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix in {".txt", ".json", ".properties", ".yml", ".c", ".h"}:
            assert b"@name@" not in file.read_bytes(), file


def test_the_example_compiles(folder, tmp_path):
    zig = (sys.executable, "-m", "ziglang", "cc", "-std=c11", "-Wall", "-Wextra", "-Werror")
    run(*zig, f"-I{folder}/src", "-c", folder / "example/main.c", "-o", "main.o", cwd=tmp_path)


def test_a_compiler_for_another_core_stops(folder, tmp_path):
    words = ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m3", "-std=c11", "-c")
    command = [sys.executable, "-m", "ziglang", "cc", *words, str(folder / "src/model.c")]
    done = subprocess.run(
        [*command, "-o", "model.o"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "packed for another core" in done.stderr


@pytest.mark.parametrize("core", ["m0plus", "m4f", "m55"])
def test_what_is_foreseen_of_flash_is_enough(core):
    backend = find_backend("micro")
    target = find_target(f"generic-cortex-{core}")
    for name in ("perceptron", "residual", "squeeze", "branches", "signal"):
        lowered = backend.lower(program_of(name, "int8"), target)
        foreseen = backend.memory(lowered).flash_bytes
        backend.compile(lowered, CompileOptions())
        linked = backend.memory(lowered).flash_bytes
        assert linked <= foreseen <= 2 * linked, name


@pytest.mark.parametrize(
    ("cpu", "file"), [("cortex_m3", "count_dwt.c"), ("cortex_m0", "count_systick.c")]
)
def test_counters_of_real_boards_compile(folder, tmp_path, cpu, file):
    words = (
        "-target",
        "thumb-freestanding-eabi",
        f"-mcpu={cpu}",
        "-std=c11",
        "-Wall",
        "-Werror",
        "-c",
    )
    zig = (sys.executable, "-m", "ziglang", "cc", *words)
    run(*zig, folder / "firmware" / file, "-o", "count.o", cwd=tmp_path)
