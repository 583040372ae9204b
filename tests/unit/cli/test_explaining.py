"""`edgeopt explain`, of a model and of a bundle, on the reference backend."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

MODEL = ("toy_models:make", "--target", "host", "--backend", "reference", "-p", "int8")


@pytest.fixture
def bundle(edgeopt, folder):
    done = edgeopt("deploy", *MODEL, "-o", "made")
    assert done.returncode == 0, done.stderr
    return "made"


def test_a_model_is_explained_within_80_columns(edgeopt, folder):
    done = edgeopt("explain", *MODEL, "--attributions", "1", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "Which inputs differ most from float?" in done.stdout
    assert "Does it still look at the same things?" in done.stdout
    assert "rank correlation" in done.stdout
    typed = [line for line in done.stdout.splitlines() if line.strip().startswith("--")]
    rest = [line for line in done.stdout.splitlines() if line not in typed]
    assert max(map(len, rest)) <= 80
    told = json.loads((folder / "out" / "explanation.json").read_text())
    assert told["precision"] == "int8"
    assert all((folder / "out" / name).is_file() for name in told["attributions"][0]["pictures"])
    assert all((folder / "out" / one["picture"]).is_file() for one in told["worst_samples"])


def test_json_is_what_the_explanation_holds(edgeopt, folder):
    from edgeopt.explaining import Explanation

    done = edgeopt("explain", *MODEL, "--attributions", "0", "--json")
    explanation = Explanation.from_dict(json.loads(done.stdout))
    assert explanation.backend == "reference"
    assert explanation.worst_samples
    assert explanation.attributions == ()


def test_a_bundle_alone_answers_from_what_it_holds(edgeopt, bundle):
    done = edgeopt("explain", bundle, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    kinds = {one["kind"] for one in told["findings"]}
    assert "input" in kinds
    assert any("--float" in note for note in told["notes"])
    assert told["attributions"] == []


def test_a_bundle_beside_its_model_answers_the_rest(edgeopt, bundle):
    args = ("--float", "toy_models:make", "--attributions", "1", "--json")
    golden = json.loads(edgeopt("explain", bundle, *args).stdout)
    assert golden["attributions"][0]["step"] == "int8"
    data = json.loads(edgeopt("explain", bundle, *args, "--input", "toy_models:data").stdout)
    assert len(data["worst_samples"]) >= len(golden["worst_samples"]) > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("toy_models:make",), "for which device"),
        (("toy_models:make", "-t", "host", "--float", "toy_models:make"), "for a bundle only"),
        (("toy_models:make", "-t", "host", "--method", "ablatio"), "ablation"),
    ],
)
def test_what_makes_no_sense_is_refused(edgeopt, folder, words, message):
    done = edgeopt("explain", *words)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_bundle_knows_its_target(edgeopt, bundle):
    done = edgeopt("explain", bundle, "-t", "host")
    assert done.returncode == 2
    assert "--target" in done.stderr
