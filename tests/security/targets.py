"""What is tried with damaged input: each reader, an honest input of its own, and how it is damaged."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mutate

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: What it reads.
        honest: An input that it takes.
        read: Takes an input; raises what it raises.
        damage: Takes a `random.Random` and the honest input; returns another.
    """

    name: str
    honest: bytes
    read: Callable[[bytes], Any]
    damage: Callable[[Any, bytes], bytes]


def targets(room):
    """Returns all readers; they work in the folder ``room``."""
    os.environ["XDG_CONFIG_HOME"] = str(room / "config")
    return [
        *texts(room),
        *answers(room),
        *arrays(room),
        *models(room),
        *folders(room),
        *described(room),
        *reports(),
    ]


def reports():
    from edgeopt.boundary import decode_json
    from edgeopt.reporting import gather, report_page, report_summary, search_points
    from edgeopt.testing.deep_report import deep_report

    def page(content):
        report = gather(decode_json(content, dict[str, Any], where="report.json"))
        return report_page(report), report_summary(report)

    def search(content):
        return search_points(decode_json(content, dict[str, Any], where="s.json"), where="s.json")

    measured = {"score": 0.9, "size_bytes": 1000, "latency_ms": 1.5, "low_ms": 1.4, "high_ms": 1.6}
    trial = {"number": 1, "configuration": {"backend": "tflite"}, "measured": measured}
    trials = {"trials": [trial], "front": [1], "best": 1}
    return [
        Target("report of a bundle", json.dumps(deep_report(12)).encode(), page, mutate.any_json),
        Target("trials of a search", json.dumps(trials).encode(), search, mutate.any_json),
    ]


def from_file(room, name, read):
    """Returns a reader of bytes that lays them into a file first."""

    def call(content):
        path = room / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return call


def texts(room):
    from importlib import resources

    import msgspec

    from edgeopt.boundary import convert, decode_json
    from edgeopt.devices.registry import known_devices
    from edgeopt.measure.history import changes, read_history
    from edgeopt.recipes import builtin_text
    from edgeopt.recipes.recipe import read_recipe
    from edgeopt.registry.descriptor import read_descriptor
    from edgeopt.searching.configuration import Configuration
    from edgeopt.searching.trials import Measured
    from edgeopt.tuning.exchange import HEADER, read_records
    from edgeopt.tuning.record import Key, Record

    board = (resources.files("edgeopt_targets") / "descriptors" / "rpi4.toml").read_bytes()
    known = b'[devices."kitchen pi"]\ndevice = "ssh://pi@host"\ntarget = "rpi4"\nnotes = "on the shelf"\n'
    key = Key("tvm", json.dumps({"arch": "x86_64", "cores": 2}), "1", "ab" * 32)
    trials = [Record(key, json.dumps({"tile": i}), "ok", 1e-3, 1.2, "conv") for i in range(4)]
    lines = [json.dumps(HEADER).encode(), *map(msgspec.json.encode, trials)]
    row = msgspec.json.encode({"one": Configuration("tflite", "int8"), "all": Measured(0.9, 10)})

    def study(content):
        plain = decode_json(content, dict[str, Any], where="a row")
        configuration = convert(plain.get("one"), Configuration, where="a row")
        return configuration.digest, convert(plain.get("all"), Measured, where="a row")

    def past(path):
        records, _ = read_history(path)
        return changes(records)

    devices = from_file(room, "config/edgeopt/devices.toml", lambda _: known_devices())
    record = msgspec.json.encode(history_record()) + b"\n"
    return [
        Target("target", board, from_file(room, "board.toml", read_descriptor), mutate.any_toml),
        Target(
            "recipe",
            builtin_text("cnn").encode(),
            from_file(room, "r.toml", read_recipe),
            mutate.any_toml,
        ),
        Target("device registry", known, devices, mutate.any_toml),
        Target("history", record * 3, from_file(room, "h.jsonl", past), mutate.text),
        Target(
            "tuning export",
            b"\n".join(lines),
            from_file(room, "t.jsonl", read_records),
            mutate.text,
        ),
        Target("study row", row, study, mutate.any_json),
    ]


def history_record():
    from edgeopt.measure.record import Record
    from edgeopt.measure.statistics import summarize

    latency = summarize([1_000_000 + i for i in range(30)])
    names = dict.fromkeys(("model", "target", "backend", "precision", "device"), "a")
    facts = {"digest": "d", "program": "p", "edgeopt": "0", "threads": 1, "stable": True}
    times = dict.fromkeys(("load_ms", "first_inference_ms", "peak_memory_mb", "energy_mj"), 1.0)
    return Record(**names, **facts, **times, latency=latency, unix_s=1)


def toy_bundle(room, name="toy"):
    from edgeopt.bundles import read_bundle, write_bundle
    from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

    path = room / name
    if path.exists():
        return read_bundle(path)
    artifact = toy_artifact()
    parts = {"golden": toy_golden(artifact), "report": {"latency_ms": 1.5}}
    return write_bundle(artifact, toy_runtime(), toy_target(), path=path, **parts)


def answers(room):
    """What devices say."""
    import msgspec
    import numpy as np

    from edgeopt.bundles.npy import write_npz
    from edgeopt.devices.lock import _busy
    from edgeopt.measure.operators import OperatorProfile
    from edgeopt.measure.outputs import by_sample, check_outputs, read_outputs
    from edgeopt.measure.profile import Profile
    from edgeopt.measure.record import Saved, load_saved

    bundle = toy_bundle(room)
    command = [sys.executable, str(bundle.path / "run.py"), "--benchmark", "--runs", "20"]
    said = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    plain = json.loads(said)
    told = {k: plain[k] for k in ("inputs", "threads", "runtime", "device", "before", "after")}
    steps = [{"name": "q", "kind": "Quantize", "layers": ["c"]}, {"name": "c", "kind": "Conv"}]
    times = {"steps_ns": [[1.0, 2.0]] * 2, "model_ns": [10, 11], "statistic": "mean"}
    times |= {"profiled_ns": [3.0, 3.1], "profiled_sum_ns": [2.9, 3.0]}
    profile = {"bundle": "toy", "digest": bundle.digest, "steps": steps, **told, **times}
    made = Profile.from_json(said, device="pi", emulated=False)
    saved = msgspec.json.encode(Saved(history_record(), made))
    specs = bundle.manifest.signature.outputs
    outputs = write_npz({s.name: np.zeros((3, *s.shape), s.dtype) for s in specs})

    def operators(content):
        return str(OperatorProfile.from_json(content, device="pi", bundle=bundle).to_dict())

    def benchmark(content):
        found = Profile.from_json(content, device="pi", emulated=False)
        return str(found), found.to_dict()

    def returned(path):
        found = read_outputs(path, specs, [np.zeros(3)])
        for sample in by_sample(found, 3):
            check_outputs(sample, specs, "outputs")

    holder = b'{"user": "a", "host": "b", "pid": 1, "since": "now"}\n'
    return [
        Target("benchmark of a device", said, benchmark, mutate.any_json),
        Target("operators of a device", json.dumps(profile).encode(), operators, mutate.any_json),
        Target("saved profile", saved, from_file(room, "s.json", load_saved), mutate.any_json),
        Target("outputs of a device", outputs, from_file(room, "o.npz", returned), mutate.any_zip),
        Target(
            "lock of a device",
            holder,
            lambda c: _busy("pi", c.decode("latin-1"), 1.0),
            mutate.any_json,
        ),
    ]


def arrays(room):
    import io

    import numpy as np

    from edgeopt.bundles.npy import read_npy, write_npy, write_npz
    from edgeopt.cli.running import _arrays
    from edgeopt.cli.sources import load_data

    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    packed = io.BytesIO()
    np.savez_compressed(packed, a=array, b=array > 1)
    data = lambda path: list(load_data(str(path)))  # noqa: E731
    return [
        Target("golden array", write_npy(array), lambda c: read_npy(c, "golden"), mutate.binary),
        Target("npy of a user", write_npy(array), from_file(room, "a.npy", data), mutate.binary),
        Target(
            "npz of a user", write_npz({"a": array}), from_file(room, "a.npz", data), mutate.any_zip
        ),
        Target(
            "packed npz",
            packed.getvalue(),
            from_file(room, "p.npz", lambda p: _arrays(p, "x")),
            mutate.binary,
        ),
    ]


def models(room):
    import torch

    from edgeopt.bundles import read_bundle
    from edgeopt.bundles.manifest import decode_manifest
    from edgeopt.cli.sources import load_model
    from edgeopt.ir import capture_module, decode_program, save_program
    from edgeopt.sources.checkpoint import read_state

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).eval()
    x = torch.randn(1, 4)
    torch.export.save(torch.export.export(model, (x,)), room / "honest.pt2")
    archive = save_program(capture_module(model, x), room / "honest.zip").read_bytes()
    bundle = toy_bundle(room)
    manifest = (bundle.path / "manifest.json").read_bytes()

    def sealed(random, content):
        """Damages a manifest and makes its digest fit."""
        try:
            plain = {**json.loads(mutate.tree(random, content)), "digest": ""}
            plain["digest"] = hashlib.sha256(canonical(plain)).hexdigest()
            return canonical(plain)
        except (TypeError, ValueError):
            return mutate.text(random, content)

    def saved(zipped):
        path = room / "honest.pt"
        kept = {"model": model, "names": {0: "a"}, "epoch": 3}
        torch.save(kept, path, _use_new_zipfile_serialization=zipped)
        return path.read_bytes()

    return [
        Target("saved module", saved(True), from_file(room, "w.pt", read_state), mutate.any_zip),
        Target(
            "old saved module", saved(False), from_file(room, "o.pt", read_state), mutate.binary
        ),
        Target("manifest", manifest, decode_manifest, sealed),
        Target("bundle", bundle.pack(), from_file(room, "b.zip", read_bundle), mutate.any_zip),
        Target("program", archive, lambda c: decode_program(c, where="program"), mutate.any_zip),
        Target(
            "pt2",
            (room / "honest.pt2").read_bytes(),
            from_file(room, "m.pt2", lambda p: load_model(str(p))),
            mutate.any_zip,
        ),
    ]


def canonical(plain):
    text = json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return (text + "\n").encode()


def folders(room):
    """Folders that edgeopt wrote and takes up again; digests fit where there are some."""
    import readers
    import torch

    from edgeopt.pruning.structure import load_pruned, save_module
    from edgeopt.recipes.work import _Done, _Run
    from edgeopt.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint

    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    pruned = save_module(model, {"0": {"out_features": [3, 3]}}, room / "pruned")
    structure, weights = (
        (pruned / n).read_bytes() for n in ("structure.json", "weights.safetensors")
    )
    state = {"epoch": 1, "step": 3, "history": {"epochs": []}, "identity": {"a": 1}, "sums": {}}
    check = room / "checkpoint"
    check.mkdir(exist_ok=True)
    write_checkpoint(check, "3", Checkpoint(state, {"model": dict(model.state_dict())}))
    latest = (check / "latest.json").read_bytes()

    whole_state = (check / "step-3" / "state.json").read_bytes()

    def changed_pointer(content):
        (check / "step-3" / "state.json").write_bytes(whole_state)
        (check / "latest.json").write_bytes(content)
        return read_checkpoint(check)

    def changed_state(content):
        (check / "step-3" / "state.json").write_bytes(content)
        pointer = json.loads(latest)
        pointer["sha256"]["state.json"] = hashlib.sha256(content).hexdigest()
        (check / "latest.json").write_text(json.dumps(pointer))
        return read_checkpoint(check)

    def reading(file, other, content_of_other):
        def call(content):
            (pruned / other).write_bytes(content_of_other)
            (pruned / file).write_bytes(content)
            return load_pruned(pruned, model)

        return call

    work = readers.work_folder(room / "work")
    run = json.dumps(
        {"format": 1, "model": "a", "target": "", "teacher": "", "steps": [{"step": "quantize"}]}
    ).encode()
    figures = {"size_bytes": 1, "macs": 1, "parameters": 1, "score": None}
    record = {"name": "q", "settings": {}, "before": figures, "after": figures, "seconds": 1.0}
    done = json.dumps({"record": record, "sha256": {"program.zip": "ab"}}).encode()
    return [
        Target(
            "checkpoint",
            latest,
            changed_pointer,
            mutate.any_json,
        ),
        Target("checkpoint state", json.dumps(state).encode(), changed_state, mutate.any_json),
        Target(
            "pruned structure",
            structure,
            reading("structure.json", "weights.safetensors", weights),
            mutate.any_json,
        ),
        Target(
            "pruned weights",
            weights,
            reading("weights.safetensors", "structure.json", structure),
            mutate.binary,
        ),
        Target(
            "run.json",
            run,
            from_file(room, "run.json", lambda p: work._read(p, _Run)),
            mutate.any_json,
        ),
        Target(
            "record.json",
            done,
            from_file(room, "record.json", lambda p: work._read(p, _Done)),
            mutate.any_json,
        ),
    ]


def described(room):
    """What describes the inputs and outputs of a bundle, and what is sent to one."""
    import io
    import wave

    import numpy as np
    from PIL import Image

    import edgeopt
    from edgeopt.bundles.application import _picture, _told
    from edgeopt.bundles.device.edgeopt_runner.audio import read_wave
    from edgeopt.bundles.preprocess import tokenizer_size
    from edgeopt.cli.read import described as read_described
    from edgeopt.options import BundleOptions

    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    head = b'kind = "detection"\nnms = true\n[boxes]\nstart = 0\ncount = 4\n[scores]\nstart = 4\n'
    words = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "c"}]}
    picture, sound = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint32).astype(np.uint8).reshape(16, 16, 3)).save(
        picture, "PNG"
    )
    with wave.open(sound, "wb") as stream:
        stream.setparams((1, 2, 8000, 0, "NONE", ""))
        stream.writeframes(bytes(400))

    def postprocess(path):
        return BundleOptions(postprocess=read_described(str(path), ()))

    def seen(path):
        with _told():
            return _picture(path, grey=False).size

    def heard(path):
        with _told():
            return read_wave(str(path))[1]

    return [
        Target(
            "image processor",
            json.dumps(processor).encode(),
            from_file(room, "preprocessor_config.json", edgeopt.Preprocess.of),
            mutate.any_json,
        ),
        Target("postprocess", head, from_file(room, "post.toml", postprocess), mutate.any_toml),
        Target("tokenizer", json.dumps(words).encode(), tokenizer_size, mutate.any_json),
        Target("picture", picture.getvalue(), from_file(room, "a.png", seen), mutate.binary),
        Target("sound", sound.getvalue(), from_file(room, "a.wav", heard), mutate.binary),
    ]
