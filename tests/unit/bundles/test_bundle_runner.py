"""The device-side runner, as a program of its own, with this Python and with 3.9 where it exists."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeopt.bundles.device
from edgeopt.bundles import Preprocess, read_bundle
from edgeopt.bundles.device.edgeopt_runner.main import main
from edgeopt.contracts import Wheel
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime

pytestmark = pytest.mark.slow

DEVICE = Path(edgeopt.bundles.device.__file__).parent


def old_python() -> str | None:
    """Returns a Python 3.9: on the path, or one of pyenv's."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    candidates = [
        shutil.which("python3.9"),
        *sorted(Path(root).glob("versions/3.9.*/bin/python3.9")),
    ]
    for candidate in filter(None, candidates):
        done = subprocess.run([str(candidate), "-V"], check=False, capture_output=True, text=True)
        if done.stdout.startswith("Python 3.9"):
            return str(candidate)
    return None


@pytest.fixture(scope="session")
def python39(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python 3.9 with numpy 1.21, the oldest that the runner promises to work with."""
    found = old_python()
    if found is None:
        pytest.skip("no Python 3.9 here")
    folder = tmp_path_factory.mktemp("py39")
    subprocess.run([found, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin/python")
    pip = [python, "-m", "pip", "install", "-q", "numpy==1.21.6"]
    if subprocess.run(pip, check=False, capture_output=True).returncode:
        pytest.skip("numpy 1.21 cannot be installed here")
    return python


@pytest.fixture(params=["this", pytest.param("3.9", marks=pytest.mark.slow)])
def python(request: pytest.FixtureRequest) -> str:
    return sys.executable if request.param == "this" else request.getfixturevalue("python39")


def run(bundle, *words, python=sys.executable, code=0, cwd=None, env=None) -> str:
    """Returns what it printed; the exit status must be ``code``."""
    done = subprocess.run(
        [python, str(bundle.path / "run.py"), *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd or "/",
        env=env,
        timeout=60,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code:
        assert done.stderr.count("run.py:") == 1 or code == 1 or "usage:" in done.stderr
    return done.stdout + done.stderr


def refused(bundle, *words, code, capsys) -> str:
    """As `run`, but within this process: for what ends before a runtime is loaded."""
    try:
        status = main([str(word) for word in words], root=str(bundle.path))
    except SystemExit as end:  # argparse
        status = end.code
    assert status == code
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.fixture
def save(tmp_path):
    def saved(name, *arrays, **named):
        path = tmp_path / name
        if named:
            np.savez(path, **named)
        elif name.endswith(".npz"):
            np.savez(path, *arrays)
        else:
            np.save(path, arrays[0])
        return path

    return saved


X = np.array([[1, 2, 3, 4]], np.float32)


@pytest.mark.parametrize("file", sorted(DEVICE.rglob("*.py")), ids=lambda file: file.name)
def test_source_is_python_3_9_and_imports_only_numpy(file):
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            top = name.partition(".")[0]
            known = {"numpy", "PIL", "tokenizers", "edgeopt_runner"}
            assert top in known or top in sys.stdlib_module_names, (file, name)


def test_one_in_one_out(make, save, tmp_path, python):
    bundle = make()
    out = tmp_path / "y.npy"
    run(bundle, "--input", save("x.npy", X), "--output", out, python=python)
    got = np.load(out)
    np.testing.assert_array_equal(got, X * 2)
    assert got.dtype == np.float32
    read_bundle(bundle.path)  # no bytecode or anything else was left beside the files
    run(bundle, "--verify", python=python)


def test_outputs_as_npz(make, save, tmp_path, python):
    bundle, out = make(outputs=2), tmp_path / "y.npz"
    run(bundle, "--input", save("x.npy", X), "--output", out, python=python)
    with np.load(out) as held:
        np.testing.assert_array_equal(held["y0"], X * 2)
        np.testing.assert_array_equal(held["y1"], [[10]])
    text = run(bundle, "--input", save("x.npy", X), "--output", tmp_path / "y.npy", code=2)
    assert "several outputs need .npz" in text


def test_several_inputs_in_every_way(make, save, tmp_path, python):
    bundle, out = make(inputs=2), tmp_path / "y.npy"
    a, b = save("a.npy", X), save("b.npy", X + 10)
    ways = [
        ["--input", a, "--input", b],
        ["--input", f"x0={a}", "--input", f"x1={b}"],
        ["--input", f"x1={b}", "--input", f"x0={a}"],
        ["--input", f"x1={b}", "--input", a],
        ["--input", save("both.npz", x1=X + 10, x0=X)],
        ["--input", save("plain.npz", X, X + 10)],
    ]
    for words in ways:
        run(bundle, *words, "--output", out, python=python)
        np.testing.assert_array_equal(np.load(out), X * 2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "0 inputs given, 2 needed"),
        (["x0={a}"], "1 inputs given, 2 needed"),
        (["{a}", "{a}", "{a}"], "3 inputs given, 2 needed"),
        (["x0={a}", "x0={a}"], "input 'x0' is unknown, or given twice"),
        (["{odd}"], "input 'z' is unknown"),
        (["nope.npy", "{a}"], "nope.npy: not a .npy or .npz file"),
        (["{text}", "{a}"], "not a .npy or .npz file"),
        (["{pickle}", "{a}"], "not a .npy or .npz file"),
        (["{giant}", "{a}"], "not a .npy or .npz file"),
        (["{flat}", "{a}"], r"input x0: shape (4,), expected (1, 4)"),
        (["{flat}", "{a}"], "add the batch axis: x[None]"),
        (["{long}", "{a}"], r"input x0: shape (1, 5), expected (1, 4)"),
        (["{double}", "{a}"], "input x0: dtype float64, expected float32"),
        (["{double}", "{a}"], "--cast converts it to float32"),
        (["{complex}", "{a}"], "save it as float32"),
    ],
)
def test_inputs_that_do_not_fit(make, save, tmp_path, words, text, capsys):
    bundle = make(inputs=2)
    files = {
        "a": save("a.npy", X),
        "odd": save("odd.npz", z=X),
        "flat": save("flat.npy", X[0]),
        "long": save("long.npy", np.zeros((1, 5), np.float32)),
        "double": save("double.npy", X.astype(np.float64)),
        "complex": save("complex.npy", X.astype(np.complex64)),
        "pickle": save("pickle.npy", np.array([{}], dtype=object)),
        "text": tmp_path / "text.npy",
        "giant": tmp_path / "giant.npy",
    }
    files["text"].write_text("hello")
    files["giant"].write_bytes(files["a"].read_bytes().replace(b"(1, 4), ", b"(1<<60,)"[:8]))
    given = [word for name in words for word in ("--input", name.format(**files))]
    out = tmp_path / "y.npy"
    assert text in refused(bundle, *given, "--output", out, code=2, capsys=capsys)
    assert not out.exists()


def test_a_header_that_claims_more_than_there_is(make, save, tmp_path):
    path = save("x.npy", X)
    path.write_bytes(path.read_bytes().replace(b"(1, 4), ", b"(9, 10**12), "[:8]))
    text = run(make(), "--input", path, "--output", tmp_path / "y.npy", code=2)
    assert "not a .npy" in text or "shape" in text


def test_cast_converts_and_says_so(make, save, tmp_path, python):
    out = tmp_path / "y.npy"
    words = ["--input", save("x.npy", X.astype(np.float64)), "--output", out, "--cast"]
    text = run(make(), *words, python=python)
    assert text == "input x0: float64 converted to float32\n"
    assert np.load(out).dtype == np.float32


@pytest.mark.parametrize("order", ["F", ">f4"])
def test_memory_order_does_not_matter(make, save, tmp_path, order):
    x, out = np.asfortranarray(X), tmp_path / "y.npy"
    words = ["--input", save("x.npy", x if order == "F" else X.astype(order)), "--output", out]
    run(make(), *words, *(["--cast"] if order != "F" else []))
    np.testing.assert_array_equal(np.load(out), X * 2)


def test_each_sample_on_axis_0(make, save, tmp_path, python):
    bundle, out = make(inputs=2, outputs=2), tmp_path / "y.npz"
    many = np.arange(12, dtype=np.float32).reshape(3, 1, 4)
    words = ["--each", "--input", save("a.npy", many), "--input", save("b.npy", many)]
    run(bundle, *words, "--output", out, python=python)
    with np.load(out) as held:
        np.testing.assert_array_equal(held["y0"], many * 2)
        np.testing.assert_array_equal(held["y1"][:, 0, 0], many.sum((1, 2)))
    words = ["--each", "--input", save("a.npy", many), "--input", save("b.npy", many[:2])]
    assert "same number of samples" in run(bundle, *words, "--output", out, code=2)


def test_top_classes(make, save, tmp_path, python):
    bundle = make(labels=["a", "b", "c", "d e"])
    words = ["--input", save("x.npy", np.array([[3, -1, 9, 5]], np.float32)), "--top", 2]
    assert run(bundle, *words, python=python).splitlines() == [
        "  1            18  2  c",
        "  2            10  3  d e",
    ]
    labels = tmp_path / "mine.txt"
    labels.write_text("w\nx\ny\nz\n")
    assert run(bundle, *words, "--labels", labels).splitlines()[0].endswith("2  y")
    labels.write_text("w\n")
    assert "1 labels for 4 classes" in run(bundle, *words, "--labels", labels, code=2)
    assert "cannot be read" in run(bundle, *words, "--labels", tmp_path / "no", code=2)
    without = make("plain")
    assert run(without, *words).splitlines()[1] == "  2            10  3"


def test_benchmark(make, tmp_path, python):
    bundle, file = make(), tmp_path / "times.json"
    held = json.loads(run(bundle, "--benchmark", "--runs", 70, "--threads", 2, python=python))
    assert len(held["samples_ns"]) == 70
    assert all(isinstance(n, int) and n > 0 for n in held["samples_ns"])
    assert 10 <= len(held["warmup_ns"]) <= 200
    assert held["inputs"] == "golden"
    assert held["digest"] == bundle.digest
    assert held["runtime"] == {"name": "toy", "version": "1.0", "threads": 2}
    assert held["first_inference_ns"] > 0
    assert held["load_ns"] > 0
    assert held["device"]["cores"] >= 1
    assert held["device"]["cpu"]
    assert held["device"]["numpy"]
    assert set(held["before"]) == set(held["after"]) >= {"governor", "temperature_c", "throttled"}
    text = run(bundle, "--benchmark", "--runs", 5, "--warmup", 0, "--json", file, python=python)
    assert text.startswith("median ")
    held = json.loads(file.read_text())
    assert (len(held["samples_ns"]), held["warmup_ns"]) == (5, [])


def test_benchmark_inputs(make, save):
    bundle = make(golden=None)
    words = ["--benchmark", "--runs", 3, "--warmup", 1]
    assert json.loads(run(bundle, *words))["inputs"] == "noise"
    given = json.loads(run(bundle, *words, "--input", save("x.npy", X)))
    assert given["inputs"] == "given"


def test_benchmark_ends_in_time(make):
    slow = TOY_RUNTIME.replace("return [", "__import__('time').sleep(0.05); return [")
    bundle = make(runtime=toy_runtime(source=slow))
    held = json.loads(
        run(bundle, "--benchmark", "--runs", 10_000, "--warmup", 1, "--max-seconds", 0.5)
    )
    assert 3 <= len(held["samples_ns"]) <= 12
    assert min(held["samples_ns"]) >= 50e6


def test_peak_memory_is_the_runners_own(make):
    """On Linux ``ru_maxrss`` starts from the parent's; a large parent must not show."""
    bundle = make()
    command = [sys.executable, str(bundle.path / "run.py"), "--benchmark", "--runs", "3"]
    code = (
        "import os, sys; ballast = bytearray(400 << 20); ballast[::4096] = b'x' * (100 << 10)\n"
        f"pid = os.fork()\nif pid == 0: os.execv({sys.executable!r}, {command!r})\n"
        "os.waitpid(pid, 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    held = json.loads(done.stdout)
    assert 5_000 < held["memory_before_kb"] <= held["peak_memory_kb"] < 200_000


def test_peak_memory_shows_what_the_model_takes(make):
    heavy = TOY_RUNTIME.replace(
        "self.threads =", "self.ballast = np.ones(25_000_000); self.threads ="
    )
    light, large = make("a"), make("b", runtime=toy_runtime(source=heavy))
    words = ["--benchmark", "--runs", 3]
    difference = [json.loads(run(b, *words))["peak_memory_kb"] for b in (large, light)]
    assert 180_000 < difference[0] - difference[1] < 220_000


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_verify_runs_the_golden_samples(make, wrong, python):
    artifact = toy_artifact()
    bundle = make(artifact=artifact, golden=toy_golden(artifact, samples=3, wrong=wrong))
    text = run(bundle, "--verify", python=python, code=int(wrong > 0))
    if wrong:
        assert "golden sample 0, output 0: 100.00% of the values are out of tolerance" in text
        assert "golden samples: 3 run, 3 outputs out of tolerance" in text
    else:
        assert "golden samples: 3 run, 0 outputs out of tolerance" in text


def test_verify_without_samples(make):
    assert "holds none" in run(make(golden=None), "--verify")


def test_a_changed_byte_is_found_before_the_runtime_sees_it(make, save, tmp_path, capsys):
    bundle, out = make(report={}), tmp_path / "y.npy"
    words = ["--input", save("x.npy", X), "--output", out]
    for name in ["manifest.json", *bundle.manifest.files]:
        file = bundle.path / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"x")
        said = refused(bundle, "--verify", code=1, capsys=capsys)
        assert f"{name}: " in said
        if not name.startswith("golden/") and name not in {"report.json", "origins.json"}:
            assert f"{name}: " in refused(bundle, *words, code=1, capsys=capsys)
            assert not out.exists()
        file.write_bytes(whole)


def test_a_damaged_model_in_the_shell(make, save, tmp_path, python):
    bundle, words = make(), ["--input", save("x.npy", X), "--output", tmp_path / "y.npy"]
    (bundle.path / "model/weights/part.bin").write_bytes(b"")
    assert "0 bytes, expected 256" in run(bundle, *words, code=1, python=python)
    run(bundle, *words, "--no-check", python=python)
    (bundle.path / "model/weights/part.bin").unlink()
    assert "missing or not readable" in run(bundle, *words, code=1, python=python)


def test_verify_finds_what_does_not_belong(make):
    bundle = make()
    (bundle.path / "sitecustomize.py").write_text("")
    assert "sitecustomize.py: not in the manifest" in run(bundle, "--verify", code=1)


def test_stray_modules_do_not_stand_in_for_installed_ones(make, save, tmp_path):
    bundle = make()
    (bundle.path / "numpy.py").write_text("raise SystemExit(99)")
    (bundle.path / "json.py").write_text("raise SystemExit(99)")
    run(bundle, "--input", save("x.npy", X), "--output", tmp_path / "y.npy")


def test_unknown_version(make):
    bundle = make()
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["schema_version"] = 8
    (bundle.path / "manifest.json").write_text(json.dumps(manifest))
    assert "schema version 8; run.py reads 1" in run(bundle, "--info", code=1)


def test_missing_runtime_says_what_to_type(make, save, tmp_path, python):
    late = TOY_RUNTIME.replace("with open", "import not_there_at_all\n        with open")
    for number, source in enumerate(("import not_there_at_all\n" + TOY_RUNTIME, late)):
        wheels = (Wheel("not-there-at-all", "1.0", ("3.77",)),)
        bundle = make(f"b{number}", runtime=toy_runtime(source=source, wheels=wheels))
        words = ["--input", save("x.npy", X), "--output", tmp_path / "y.npy"]
        text = run(bundle, *words, code=3, python=python)
        assert "No module named 'not_there_at_all'" in text
        assert "pip install -r requirements.txt" in text
        assert "wheels exist for Python 3.77" in text


def test_missing_numpy_says_what_to_type(make, save, tmp_path):
    bundle = make()
    python = [sys.executable, "-S"]  # without site-packages
    words = [str(bundle.path / "run.py"), "--input", str(save("x.npy", X)), "--top", "1"]
    done = subprocess.run([*python, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert "numpy is not installed" in done.stderr
    info = [*python, words[0], "--info"]
    assert subprocess.run(info, check=False, capture_output=True).returncode == 0


def test_a_model_that_cannot_be_loaded_or_fails(make, save, tmp_path):
    words = ["--input", save("x.npy", X), "--output", tmp_path / "y.npy"]
    sources = {
        "the runtime cannot load it: ValueError('broken')": TOY_RUNTIME.replace(
            "self.threads =", "raise ValueError('broken'); self.threads ="
        ),
        "the model failed: ValueError('broken')": TOY_RUNTIME.replace(
            "return [", "raise ValueError('broken'); return ["
        ),
        "the model returned [((1, 3), 'float32')], expected [((1, 4), 'float32')]": (
            TOY_RUNTIME.replace("return [", "x = x[:, :3]; return [")
        ),
    }
    for number, (text, source) in enumerate(sources.items()):
        assert text in run(make(f"b{number}", runtime=toy_runtime(source=source)), *words, code=1)


def test_helper_files_of_the_runtime_are_importable(make, save, tmp_path):
    runtime = toy_runtime(source="import toyhelp\n" + TOY_RUNTIME)
    runtime = type(runtime)(runtime.name, (), runtime.runner, {"toyhelp.py": b"X = 1\n"})
    bundle = make(runtime=runtime)
    run(bundle, "--input", save("x.npy", X), "--output", tmp_path / "y.npy")
    read_bundle(bundle.path)


def test_info(make, tmp_path, python):
    bundle = make()
    text = run(bundle, "--info", python=python)
    for part in ("toy-board (Toy Board)", "x0 float32[1, 4]", "y0 float32[1, 4]", bundle.digest):
        assert part in text
    run(bundle, "--info", "--json", tmp_path / "m.json")
    assert (tmp_path / "m.json").read_bytes() == (bundle.path / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "nothing to do"),
        (["--top", "0"], "one or more expected"),
        (["--threads", "-1"], "zero or more expected"),
        (["--runs", "many"], "invalid"),
        (["--output", "y.txt"], ".npy or .npz expected"),
        (["--output", "/nope/y.npy"], "the folder /nope does not exist"),
        (["--image", "a.png", "--top", "1"], "does not say how a picture is prepared"),
        (["--nope"], "unrecognized arguments"),
    ],
)
def test_usage(make, words, text, capsys):
    assert text in refused(make(), *words, code=2, capsys=capsys)


def test_output_that_cannot_be_written(make, save, tmp_path):
    (tmp_path / "y.npy").mkdir()
    words = ["--input", save("x.npy", X), "--output", tmp_path / "y.npy"]
    assert "cannot be written" in run(make(), *words, code=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy", "x.npy", "y.npy"]


# --- pictures ------------------------------------------------------------------------------------


def picture_bundle(make, **options):
    from edgeopt.contracts import Signature, TensorSpec

    spec = Preprocess(input="x0", **options)
    size = spec.crop or (8, 8)
    channels = 1 if spec.color == "L" else 3
    shape = (1, channels, *size) if spec.layout == "NCHW" else (1, *size, channels)
    artifact = toy_artifact()
    tensor = TensorSpec("x0", shape, "float32")
    signature = Signature((tensor,), (TensorSpec("y0", shape, "float32"),))
    artifact = type(artifact)(
        **{f: getattr(artifact, f) for f in artifact.__struct_fields__ if f != "signature"},
        signature=signature,
    )
    return make(artifact=artifact, golden=None, preprocess=spec)


@pytest.mark.parametrize(
    "options",
    [
        {"resize": (8,), "crop": (4, 6), "interpolation": "bicubic"},
        {"resize": (9, 10), "crop": (8, 8), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)},
        {"crop": (4, 4), "scale": 1.0, "mean": (127.0,), "std": (128.0,), "layout": "NHWC"},
        {"crop": (4, 4), "color": "BGR"},
        {"resize": (8, 8), "color": "L", "interpolation": "nearest"},
    ],
)
def test_pictures_are_prepared_as_in_training(make, tmp_path, options):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    image.fromarray(pixels).save(tmp_path / "p.png")
    bundle = picture_bundle(make, **options)
    run(bundle, "--image", tmp_path / "p.png", "--output", tmp_path / "y.npy")
    spec = bundle.manifest.preprocess
    held = image.open(tmp_path / "p.png").convert("L" if spec.color == "L" else "RGB")
    method = {"nearest": 0, "bilinear": 2, "bicubic": 3}[spec.interpolation]
    if len(spec.resize) == 1:  # torchvision: the shorter side, the longer one rounded down
        held = held.resize((int(spec.resize[0] * 17 / 13), spec.resize[0]), method)
    elif spec.resize:
        held = held.resize(spec.resize[::-1], method)
    array = np.asarray(held, np.float32)
    array = array[..., None] if array.ndim == 2 else array
    if spec.crop:
        top = round((array.shape[0] - spec.crop[0]) / 2)
        left = round((array.shape[1] - spec.crop[1]) / 2)
        array = array[top : top + spec.crop[0], left : left + spec.crop[1]]
    array = array[..., ::-1] if spec.color == "BGR" else array
    array = (array * spec.scale - np.array(spec.mean)) / np.array(spec.std)
    array = array.transpose(2, 0, 1) if spec.layout == "NCHW" else array
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), 2 * array[None], atol=2e-6)


def test_not_a_picture(make, tmp_path):
    pytest.importorskip("PIL.Image")
    (tmp_path / "p.png").write_text("hello")
    bundle = picture_bundle(make, crop=(4, 4))
    assert "not a picture" in run(bundle, "--image", tmp_path / "p.png", "--top", 1, code=2)


@pytest.mark.slow
def test_without_pillow(make, tmp_path, python39):
    bundle = picture_bundle(make, crop=(4, 4))
    text = run(bundle, "--image", tmp_path / "p.png", "--top", 1, code=3, python=python39)
    assert "pip install pillow" in text


def test_a_stray_module_in_lib_is_refused_before_it_can_run(make, save, tmp_path):
    bundle = make()
    (bundle.path / "lib").mkdir(exist_ok=True)
    (bundle.path / "lib" / "numpy.py").write_text("raise SystemExit(99)")
    for words in (["--output", tmp_path / "y.npy"], ["--no-check", "--output", tmp_path / "y.npy"]):
        text = run(bundle, "--input", save("x.npy", X), *words, code=1)
        assert "lib/numpy.py: not in the manifest" in text


@pytest.mark.parametrize("kind", ["pipe", "link", "giant", "device"])
@pytest.mark.parametrize("name", ["manifest.json", "model/model.json", "runtime.py"])
def test_special_files_are_refused_at_once(make, save, tmp_path, kind, name):
    bundle = make()
    place, aside = bundle.path / name, tmp_path / "aside"
    place.rename(aside)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to(aside)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        with place.open("wb") as stream:
            stream.truncate(20 << 30)  # sparse: it takes no room
    text = run(bundle, "--input", save("x.npy", X), "--output", tmp_path / "y.npy", code=1)
    assert name in text


def test_a_giant_part_of_the_runner_is_refused_before_python_reads_it(make):
    bundle = make()
    with (bundle.path / "edgeopt_runner" / "__init__.py").open("wb") as stream:
        stream.truncate(20 << 30)
    assert "edgeopt_runner/__init__.py: too large" in run(bundle, "--info", code=1)


def test_a_folder_that_is_a_link_is_refused(make, save, tmp_path):
    bundle = make()
    (bundle.path / "model").rename(tmp_path / "aside")
    (bundle.path / "model").symlink_to(tmp_path / "aside")
    assert "its folder is a link" in run(bundle, "--verify", code=1)


@pytest.mark.parametrize("option", ["--input", "--labels"])
def test_a_pipe_or_device_given_as_a_file_is_refused(make, save, tmp_path, option):
    bundle = make()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        given = ["--input", path] if option == "--input" else ["--input", save("x.npy", X)]
        given += ["--labels", path] if option == "--labels" else []
        assert "not a plain file" in run(bundle, *given, "--top", "1", code=2)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {}},
        {"files": []},
        {"entry": "model/none"},
        {"entry": 3},
        {"signature": {"inputs": [{}], "outputs": []}},
        {"signature": None},
        {"target": {}},
        {"requirements": None},
        {"golden": {"samples": [{}], "tolerances": []}},
        {"golden": 3},
        {"labels": "../../etc/passwd"},
        {"files": {"../../etc/passwd": {"size_bytes": 1, "sha256": ""}}},
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_a_message(make, change):
    """Its digests fit: whoever wrote it could compute them."""
    bundle = make()
    place = bundle.path / "manifest.json"
    plain = {**json.loads(place.read_text()), **change, "digest": ""}
    plain["digest"] = hashlib.sha256(canonical(plain)).hexdigest()
    place.write_bytes(canonical(plain))
    for words in (["--info"], ["--verify"]):
        assert "breaks the schema" in run(bundle, *words, code=1)


def canonical(plain):
    text = json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=True)
    return (text + "\n").encode()


def test_labels_are_shown_in_any_terminal_and_none_steers_it(make, save):
    bundle = make(labels=["größe", "\x1b[2J\x1b]0;title\x07", "日本", "d"])
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    text = run(bundle, "--input", save("x.npy", X), "--top", "4", env=env)
    assert "\\x1b[2J" in text
    assert "\x1b" not in text
    assert "gr\\xf6\\xdfe" in text


def test_a_reader_that_goes_away_is_no_error(make):
    bundle = make()
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, str(bundle.path / "run.py"), "--info"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_an_int8_bundle(make, save, value):
    artifact = msgspec.structs.replace(toy_artifact(), precision="int8")
    bundle, x = make(artifact=artifact), X.copy()
    x[0, 1] = value
    words = ["--input", save("bad.npy", x), "--top", 1]
    assert "1 of 4 values are NaN or infinite" in run(bundle, *words, code=2)


def test_scores_that_are_nan_name_no_class(make, save):
    words = ["--input", save("bad.npy", X * np.float32(np.nan)), "--top", 1]
    assert "scores are NaN" in run(make(), *words, code=1)
