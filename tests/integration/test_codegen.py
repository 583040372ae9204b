"""`edgeopt codegen`: applications around real bundles are built here, and give the numbers of run.py."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import ai_edge_litert
import numpy as np
import openvino.utils
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import edgeopt
from edgeopt.bundles import read_bundle
from edgeopt.cli.main import app
from edgeopt.codegen import write_application
from edgeopt.errors import InputError
from edgeopt_tflite.device.edgeopt_tflite_ports import Port

pytestmark = pytest.mark.slow
LABELS = ["a", 'b"%s', "größe $x", "*/ d", "e"]
BUILDS = [("tvm", "c"), ("tvm", "cpp"), ("tflite", "cpp"), ("openvino", "cpp")]
INTERPRETER = """
package org.tensorflow.lite

import java.io.File
import java.nio.ByteBuffer

class Interpreter(val file: File, val options: Options) {
    class Options { fun setNumThreads(n: Int): Options { require(n > 0); return this } }

    fun runForMultipleInputsOutputs(inputs: Array<Any?>, outputs: Map<Int, Any>) {
        val from = inputs[0] as ByteBuffer
        File(file, "stored_in.bin").writeBytes(ByteArray(from.capacity()) { from.get(it) })
        (outputs[0] as ByteBuffer).put(File(file, "stored_out.bin").readBytes())
    }

    fun close() = Unit
}
"""
MAIN = """
package edgeopt.application

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

fun main(words: Array<String>) {
    val folder = File(words[0])
    val input = ByteBuffer.wrap(File(folder, "in.bin").readBytes()).order(ByteOrder.nativeOrder())
    Model(folder).use { model ->
        val output = model.run(listOf(input))[0]
        File(folder, "out.bin").writeBytes(ByteArray(output.capacity()) { output.get(it) })
    }
}
"""


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(64, 5),
        )

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory):
    """Returns a bundle of one network for this machine, by a backend; each is made once."""
    bundles = {}

    def made(backend):
        if backend not in bundles:
            torch.manual_seed(0)
            model, data = Network().eval(), [torch.rand(1, 3, 32, 32) * 4 - 2 for _ in range(16)]
            options = edgeopt.BundleOptions(
                preprocess=edgeopt.Preprocess(
                    resize=(40,), crop=(32, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25)
                ),
                postprocess=edgeopt.Classification(top=3),
                labels=LABELS,
            )
            bundles[backend] = edgeopt.deploy(
                model,
                "host",
                backend=backend,
                precision="int8",
                example_inputs=(data[0],),
                calibration_data=data,
                output=tmp_path_factory.mktemp(backend) / "bundle",
                bundle=options,
            ).bundle
        return bundles[backend]

    return made


@pytest.fixture
def picture(tmp_path):
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (8, 11, 3), np.uint8))
    small.resize((97, 71), 3).save(tmp_path / "photo.ppm")
    return tmp_path / "photo.ppm"


def done(*command, cwd=None):
    result = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, cwd=cwd, timeout=300
    )
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


@pytest.mark.parametrize(("backend", "language"), BUILDS)
def test_an_application_is_built_and_says_what_run_py_says(
    backend, language, bundle_of, picture, tmp_path
):
    bundle = bundle_of(backend)
    folder = tmp_path / "application"
    write_application(bundle, language, folder)
    build = folder / "build"
    runtimes = (
        f"-DOpenVINO_DIR={openvino.utils.get_cmake_path()}",
        f"-DLITERT_DIR={Path(ai_edge_litert.__path__[0])}",
        "-DCMAKE_C_FLAGS=-Werror",
        "-DCMAKE_CXX_FLAGS=-Werror",
    )
    done("cmake", "-S", folder, "-B", build, *runtimes, "--no-warn-unused-cli")
    done("cmake", "--build", build)
    said = done("ctest", "--test-dir", build, "--verbose")
    count = len(bundle.manifest.golden.samples)
    assert f"{count} of {count} golden samples" in said
    wanted = done(sys.executable, bundle.path / "run.py", "--image", picture)
    assert done(build / "app", folder / "model", picture).split() == wanted.split()


@pytest.mark.parametrize("backend", ["tvm", "tflite", "openvino"])
def test_a_python_application_says_what_run_py_says(backend, bundle_of, picture, tmp_path):
    bundle = bundle_of(backend)
    folder = tmp_path / "application"
    write_application(bundle, "python", folder)
    count = len(bundle.manifest.golden.samples)
    assert f"{count} of {count} golden" in done(sys.executable, folder / "check.py", cwd="/")
    wanted = done(sys.executable, bundle.path / "run.py", "--image", picture)
    assert done(sys.executable, folder / "application.py", picture, cwd="/") == wanted


def test_a_wrong_answer_fails_the_applications_own_check(bundle_of, tmp_path):
    folder = tmp_path / "application"
    write_application(bundle_of("tvm"), "python", folder)
    file = next((folder / "golden").glob("output_*.npy"))
    np.save(file, np.load(file) + 5)
    result = subprocess.run([sys.executable, str(folder / "check.py")], check=False)
    assert result.returncode == 1


def test_kotlin_stores_inputs_and_reads_outputs_as_run_py_does(bundle_of, tmp_path):
    bundle = bundle_of("tflite")
    folder = tmp_path / "application"
    write_application(bundle, "kotlin", folder)
    (folder / "Interpreter.kt").write_text(INTERPRETER)
    (folder / "Main.kt").write_text(MAIN)
    sources = sorted(folder.rglob("*.kt"))
    done("kotlinc", *sources, "-include-runtime", "-d", folder / "app.jar")
    rng = np.random.default_rng(1)
    array = rng.normal(0, 1, (1, 3, 32, 32)).astype(np.float32)
    array.tofile(tmp_path / "in.bin")
    stored = rng.integers(-128, 128, (1, 5)).astype(np.int8)
    stored.tofile(tmp_path / "stored_out.bin")
    done("java", "-cp", folder / "app.jar", "edgeopt.application.MainKt", tmp_path)
    notes = bundle.manifest.metadata
    memory = np.zeros((1, 32, 32, 3), np.int8)
    Port(notes["inputs"][0], 0).fill(memory, array)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "stored_in.bin", np.int8), memory.ravel())
    wanted = Port(notes["outputs"][0], 0).read(stored)
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.bin", np.float32), wanted.ravel())


def test_a_language_that_the_backend_lacks_is_refused_with_those_it_has(bundle_of, tmp_path):
    with pytest.raises(InputError, match="--lang python or cpp or kotlin"):
        write_application(bundle_of("tflite"), "c", tmp_path / "application")
    assert not (tmp_path / "application").exists()


def test_the_command_line_writes_and_overwrites_nothing(bundle_of, tmp_path):
    bundle = bundle_of("tvm")
    words = ["codegen", str(bundle.path), "--lang", "c", "-o", str(tmp_path / "out")]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    assert "src/picture.c" in first.output
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "there is something already" in again.output
    wrong = CliRunner().invoke(app, [*words[:3], "rust", "-o", str(tmp_path / "rust")])
    assert wrong.exit_code == 2
    assert "c, cpp, python, kotlin" in wrong.output
    far = CliRunner().invoke(app, [*words[:4], "--program", "2", "-o", str(tmp_path / "far")])
    assert far.exit_code == 2


def test_the_same_bundle_gives_the_same_bytes(bundle_of, tmp_path):
    bundle = read_bundle(bundle_of("tvm").path)
    first = write_application(bundle, "c", tmp_path / "a").files
    assert first == write_application(bundle, "c", tmp_path / "b").files
    assert b"*/ d" not in first["src/labels.c"]  # a label ends no comment


@pytest.mark.parametrize("backend", ["tflite", "openvino"])
def test_the_page_tells_what_the_backend_notes(backend, bundle_of):
    page = (Path(__file__).parents[2] / "docs" / "bundle-format.md").read_text()

    def told(title):
        (table,) = re.findall(
            rf"^\| {title}, {backend} \|.*\n\| --- .*\n((?:\|.*\n)+)", page, re.MULTILINE
        )
        return set(re.findall(r"`(\w+)`", "".join(r.split("|")[1] for r in table.splitlines())))

    metadata = bundle_of(backend).manifest.metadata
    assert set(metadata) == told("field of `metadata`")
    notes = {name for side in ("inputs", "outputs") for note in metadata[side] for name in note}
    assert notes == told("field of a note")
