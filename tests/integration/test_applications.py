"""The code on the pages of docs/application is that of examples/application, and runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path

import ai_edge_litert
import numpy as np
import openvino.utils
import pytest
import torch
from PIL import Image

import edgeopt
from edgeopt.bundles.application import Interpreter
from edgeopt.codegen import write_application

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CODE = ROOT / "examples" / "application"
PAGES = sorted((ROOT / "docs" / "application").glob("*.md"))
STANDINS = """
package android.content
class Assets { fun open(name: String): java.io.InputStream = java.io.File("/assets", name).inputStream() }
class Context { val filesDir = java.io.File("/data"); val assets = Assets() }
"""
BITMAP = """
package android.graphics
class Bitmap(val width: Int, val height: Int, val packed: IntArray) {
    fun getPixels(to: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        require(offset == 0 && stride == width && x == 0 && y == 0 && height == this.height)
        packed.copyInto(to)
    }
}
"""
INTERPRETER = """
package org.tensorflow.lite
class Interpreter(val file: java.io.File, val options: Options) {
    class Options { fun setNumThreads(n: Int): Options { require(n > 0); return this } }
    fun runForMultipleInputsOutputs(inputs: Array<Any?>, outputs: Map<Int, Any>) {
        require(inputs.size == 1 && outputs.size == 1)
    }
    fun close() = Unit
}
"""


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory):
    bundles = {}

    def made(backend):
        if backend not in bundles:
            torch.manual_seed(0)
            layers = (
                torch.nn.Conv2d(3, 8, 3, 2, 1),
                torch.nn.ReLU(),
                torch.nn.AdaptiveAvgPool2d(1),
            )
            model = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8, 4)).eval()
            data = [torch.rand(1, 3, 32, 32) for _ in range(8)]
            bundles[backend] = edgeopt.deploy(
                model, "host", backend=backend, precision="int8", example_inputs=(data[0],),
                calibration_data=data, output=tmp_path_factory.mktemp(backend) / "bundle",
                checks=edgeopt.Checks(speed=False), quantization={"rounding": "nearest"},
                bundle=edgeopt.BundleOptions(
                    preprocess=edgeopt.Preprocess(resize=(32, 32)),
                    postprocess=edgeopt.Classification(top=2), labels=["a", "b", "c", "d"],
                ),
            ).bundle  # fmt: skip
        return bundles[backend]

    return made


@pytest.fixture(scope="module")
def python_application(bundle_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("python") / "application"
    write_application(bundle_of("tvm"), "python", folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(3):
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        small.resize((64, 48), 3).save(folder / f"{n}.png")
    return sorted(folder.iterdir())


def done(*command, cwd=None, env=None):
    result = subprocess.run(
        list(map(str, command)), check=False, capture_output=True, text=True, cwd=cwd, env=env, timeout=300
    )  # fmt: skip
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


def told(bundle, path):
    interpreter = Interpreter(bundle)
    prepared = interpreter.prepare(path)
    (outputs,) = [edgeopt.load(bundle)(*prepared.arrays)]
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return interpreter.tell([np.asarray(one) for one in outputs], prepared)


def test_pages_hold_the_code_that_is_tested():
    shown = [
        text
        for page in PAGES
        for text in re.findall(r"```\w+\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    files = {path.name: path.read_text() for path in CODE.iterdir() if path.is_file()}
    assert sorted(shown) == sorted(files.values())


def test_pages_link_to_what_there_is():
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert (page.parent / link).exists(), (page.name, link)


@pytest.mark.parametrize(
    ("backend", "language"), [("tvm", "c"), ("tflite", "cpp"), ("openvino", "cpp")]
)
def test_pixels_in_memory_are_classified(backend, language, bundle_of, tmp_path):
    bundle = bundle_of(backend)
    folder = tmp_path / "application"
    write_application(bundle, language, folder)
    source = f"classify.{language}"
    (folder / "src" / source).write_text((CODE / source).read_text())
    with (folder / "CMakeLists.txt").open("a") as build:
        build.write(f"add_executable(own src/{source})\ntarget_link_libraries(own application)\n")
    runtimes = (
        f"-DOpenVINO_DIR={openvino.utils.get_cmake_path()}",
        f"-DLITERT_DIR={Path(ai_edge_litert.__path__[0])}",
    )
    done("cmake", "-S", folder, "-B", folder / "build", *runtimes, "--no-warn-unused-cli")
    done("cmake", "--build", folder / "build", "--target", "own")
    pixels = (np.arange(48 * 64 * 3) * 37 % 251).astype(np.uint8).reshape(48, 64, 3)
    Image.fromarray(pixels).save(tmp_path / "pixels.png")
    rows = [line.split() for line in done(folder / "build/own", folder / "model").splitlines()]
    wanted = told(bundle, tmp_path / "pixels.png").classes
    assert [int(number) for _, number in rows] == [number for number, _ in wanted]
    np.testing.assert_allclose([float(p) for p, _ in rows], [p for _, p in wanted], atol=2e-4)


def test_the_service_answers_pictures_and_refuses_the_rest(python_application, bundle_of, pictures):
    command = [sys.executable, str(CODE / "service.py"), str(python_application), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            for path in pictures:
                with urllib.request.urlopen(address, path.read_bytes(), timeout=60) as reply:  # noqa: S310 (the loopback)
                    assert json.load(reply) == told(bundle_of("tvm"), path).to_dict()
            health = address.replace("/predict", "/health")
            assert json.load(urllib.request.urlopen(health, timeout=60)) == {"ok": True}  # noqa: S310 (the loopback)
            for url, body, status in ((address, b"no picture", 400), (address + "x", b"", 404)):
                with pytest.raises(urllib.error.HTTPError) as error:
                    urllib.request.urlopen(url, body, timeout=60)  # noqa: S310 (the loopback)
                assert error.value.code == status
                error.value.close()
        finally:
            server.terminate()


def test_the_camera_loop_looks_at_a_folder_and_at_a_device(
    python_application, bundle_of, pictures, tmp_path
):
    program = [sys.executable, CODE / "camera.py", python_application]
    said = done(*program, pictures[0].parent).splitlines()
    for n, path in enumerate(pictures):
        best = told(bundle_of("tvm"), path).classes[0]
        assert said[n].startswith(f"{n + 1}: 1")
        assert f"  {best[0]}  {'abcd'[best[0]]}" in said[n]
    raw = tmp_path / "raw"
    raw.write_bytes(b"".join(np.asarray(Image.open(path)).tobytes() for path in pictures))
    (tmp_path / "bin").mkdir()
    ffmpeg = tmp_path / "bin" / "ffmpeg"
    ffmpeg.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexec cat {raw}\n')
    ffmpeg.chmod(0o755)
    env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    assert done(*program, "/dev/video0", "--size", "64x48", env=env).splitlines() == said
    assert "-f v4l2 -video_size 64x48 -i /dev/video0" in (tmp_path / "words").read_text()


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = tmp_path / "edgeopt-app.service"
    unit.write_text((CODE / "edgeopt-app.service").read_text())
    result = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", "--man=no", str(unit)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    own = [line for line in result.stderr.splitlines() if "edgeopt-app" in line]
    assert (result.returncode, own) == (0, [])
    unit.write_text(unit.read_text().replace("RestartSec=2", "RestartSecs=two"))
    again = subprocess.run(
        ["/usr/bin/systemd-analyze", "verify", "--man=no", str(unit)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "RestartSecs" in again.stderr


class Ros:
    """Stand-ins for rclpy and its messages."""

    def __init__(self, folder):
        self.published, self.errors, self.callback = [], [], None
        outer = self

        class Node:
            def __init__(self, name):
                assert name == "edgeopt"

            def declare_parameter(self, name, value):
                return types.SimpleNamespace(value=str(folder))

            def create_publisher(self, kind, topic, depth):
                assert (topic, depth) == ("answers", 10)
                return types.SimpleNamespace(publish=outer.published.append)

            def create_subscription(self, kind, topic, callback, profile):
                assert (topic, profile) == ("image", "sensor data")
                outer.callback = callback

            def get_logger(self):
                return types.SimpleNamespace(error=outer.errors.append)

            def destroy_node(self):
                outer.callback = None

        self.modules = {
            "rclpy": {"init": lambda: None, "spin": lambda node: None, "shutdown": lambda: None},
            "rclpy.node": {"Node": Node},
            "rclpy.qos": {"qos_profile_sensor_data": "sensor data"},
            "sensor_msgs": {},
            "sensor_msgs.msg": {"Image": types.SimpleNamespace},
            "std_msgs": {},
            "std_msgs.msg": {"String": types.SimpleNamespace},
        }

    def install(self, monkeypatch):
        for name, parts in self.modules.items():
            module = types.ModuleType(name)
            vars(module).update(parts)
            monkeypatch.setitem(sys.modules, name, module)


def test_the_ros_node_answers_images(python_application, bundle_of, pictures, monkeypatch):
    ros = Ros(python_application)
    ros.install(monkeypatch)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in filter(_is_of_bundle, list(sys.modules)):  # of another bundle, by an earlier test
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    try:
        code = compile((CODE / "ros2_node.py").read_text(), "ros2_node.py", "exec")
        parts = {"__name__": "node"}
        exec(code, parts)  # noqa: S102 (the page's code)
        parts["Answers"]()
        pixels = np.asarray(Image.open(pictures[0]))
        padded = np.concatenate([pixels.reshape(48, -1), np.zeros((48, 7), np.uint8)], 1)
        facts = {"height": 48, "width": 64}
        rgb = types.SimpleNamespace(**facts, encoding="rgb8", step=192 + 7, data=padded.tobytes())
        bgr = pixels[..., ::-1].tobytes()
        for message in (rgb, types.SimpleNamespace(**facts, encoding="bgr8", step=192, data=bgr)):
            ros.callback(message)
        wanted = told(bundle_of("tvm"), pictures[0]).to_dict()
        assert [json.loads(one.data) for one in ros.published] == [wanted, wanted]
        ros.callback(types.SimpleNamespace(**facts, encoding="mono8", step=64, data=b""))
        assert ros.errors == ["mono8: expected rgb8 or bgr8"]
    finally:
        for name in filter(_is_of_bundle, set(sys.modules) - before):
            del sys.modules[name]


def _is_of_bundle(module):
    return module in {"application", "runtime"} or module.startswith("edgeopt_runner")


def test_the_android_classifier_is_built(bundle_of, tmp_path):
    folder = tmp_path / "application"
    write_application(bundle_of("tflite"), "kotlin", folder)
    parts = {"Context.kt": STANDINS, "Bitmap.kt": BITMAP, "Interpreter.kt": INTERPRETER}
    parts["Classifier.kt"] = (CODE / "Classifier.kt").read_text()
    for name, text in parts.items():
        (folder / name).write_text(text)
    done("kotlinc", *sorted(folder.rglob("*.kt")), "-d", folder / "app.jar")


def test_swift_calls_functions_that_there_are(bundle_of, tmp_path):
    project = write_application(bundle_of("tflite"), "cpp", tmp_path / "application")
    headers = b"".join(
        project.files[f"src/{n}.h"] for n in ("model", "picture", "answer", "placement")
    )
    swift = (CODE / "Classifier.swift").read_text()
    names = set(
        re.findall(r"\b(?:model|picture|answer)_\w+|\b[A-Z]+_[A-Z]+\b|\bplacement\b", swift)
    )
    assert {"model_open", "picture_prepare", "answer_classes", "PICTURE_CELLS"} <= names
    for name in names:
        assert re.search(rf"\b{name}\b", headers.decode()), name
