"""Weights of 8, 4, 3 and 2 bits of a trained sentence encoder, beside NNCF's weight compression of the same model.

    python benchmarks/weight_bits.py [TEXTS]

all-MiniLM-L6-v2 for one text of 32 tokens: bytes of the program (as its archive stores it), bytes of the artefact, SNR of
the embeddings against float, recall@1 (WordNet's words, and the definition that is nearest), and the time of a call, all
runners in turn. edgeopt rounds to the nearest, and by 48 other definitions; NNCF compresses the float OpenVINO model, its
embeddings left as they are, as ours are: plain (``INT4_SYM``), and with GPTQ and scale estimation by the same definitions.
Everything runs in float32 on one thread; where weights have 4 bits OpenVINO rounds groups of the inputs to 8 bits where its
CPU is made for that, ours and NNCF's alike (one row is without), and TFLite rounds rows.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from _common import Report, likeness, option_parser

import edgeopt
from edgeopt.ir import save_program
from edgeopt.measure import interleave, ratio, summarize
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Artifact
    from edgeopt.ir import Program

TOKENS, CALIBRATED, TEXTS, ROUNDS = 32, 48, 100, 40
GROUP = 64
OURS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "float": ("openvino", {"precision": "float32"}, False),
    "8 bits": ("openvino", {"precision": "int8-dynamic"}, False),
    "4 bits, nearest": ("openvino", {}, False),
    "4 bits": ("openvino", {}, True),
    "4 bits, groups of 32": ("openvino", {"weight_group": 32}, True),
    "4 bits, zero points": ("openvino", {"weight_zeros": True}, True),
    "2 bits, groups of 32": ("openvino", {"weight_bits": 2, "weight_group": 32}, True),
    "float, tflite": ("tflite", {"precision": "float32"}, False),
    "8 bits, tflite": ("tflite", {"precision": "int8-dynamic"}, False),
    "4 bits a channel, tflite": ("tflite", {"weight_group": 0}, True),
}
"""Name to backend, settings, and whether calibration data is given."""
NNCF: dict[str, dict[str, Any]] = {
    "NNCF 4 bits": {},
    "NNCF 4 bits, GPTQ, scales": {"gptq": True, "scale_estimation": True},
}


def main() -> None:
    """Runs everything, prints it and writes it."""
    parser = option_parser(__doc__)
    parser.add_argument("texts", nargs="?", type=int, default=TEXTS, help="words, and definitions")
    options = parser.parse_args()
    report = Report("weight_bits")
    task = Task(options.texts)
    figures: dict[str, dict[str, Any]] = {}
    runners: dict[str, Callable[..., Any]] = {}
    artifacts = {}
    for name, (backend, settings, calibrated) in OURS.items():
        program = task.program(settings, calibrated=calibrated)
        plugin = find_backend(backend)
        artifact = plugin.compile(plugin.lower(program, find_target("host")), CompileOptions())
        artifacts[name] = artifact
        runners[name] = plugin.load(artifact, threads=1)
        figures[name] = {"program_bytes": _stored(program), "artifact_bytes": artifact.size_bytes}
    name, plain = "4 bits, float inputs", _with_float_inputs(artifacts["4 bits"])
    runners[name] = find_backend("openvino").load(plain, threads=1)
    figures[name] = {"artifact_bytes": plain.size_bytes}
    for name, settings in NNCF.items():
        config = artifacts["4 bits"].metadata["config"]
        runners[name], size = _nncf(artifacts["float"], config, task.calibration, settings)
        figures[name] = {"artifact_bytes": size}
    for name, runner in runners.items():
        figures[name] |= task.judged(runner)
    sample = task.inputs[0]
    calls = {name: (lambda r=runner: r(*sample)) for name, runner in runners.items()}
    times = interleave(calls, runs=ROUNDS)
    for name, samples in times.items():
        _tell(report, name, figures[name], samples, times)
    report.write()


def _tell(
    report: Report, name: str, figures: dict[str, Any], samples: Any, times: dict[str, Any]
) -> None:
    base = "float, tflite" if name.endswith("tflite") else "float"
    time = ratio(samples, times[base])
    value = {**figures, "ms": summarize(samples).median_ms, "to_float": time.value}
    value["interval_95"] = [time.low, time.high]
    told = f"{name:26} {figures['artifact_bytes'] / 1e6:6.1f} MB, {figures['snr_db']:5.1f} dB"
    told += f", recall {100 * figures['recall']:.0f} %, {value['ms']:.2f} ms, this / float {time}"
    report.add(name, value, told)


class Task:
    """The encoder, texts, and what it makes of them in float.

    Args:
        count: Words, and definitions.
    """

    def __init__(self, count: int) -> None:
        example = _example()
        model, tokenizer = example.encoder()
        tokenizer.enable_truncation(TOKENS)
        words, definitions = example.words_and_definitions(count)
        others = example.words_and_definitions(97)[1][:CALIBRATED]
        self.calibration = [example.tokens(tokenizer, text, TOKENS) for text in others]
        texts = [example.tokens(tokenizer, text, TOKENS) for text in (*words, *definitions)]
        self.inputs = [tuple(t.numpy() for t in text.values()) for text in texts]
        self.float = edgeopt.capture(model, self.calibration[0])
        with torch.no_grad():
            self.expected = np.concatenate([model(**text).numpy() for text in texts])
        self.count = count

    def program(self, settings: dict[str, Any], *, calibrated: bool) -> Program:
        """Returns the program, quantized."""
        config = QuantizationConfig(
            **{"precision": "int4-dynamic", "weight_group": None, **settings}
        )
        return quantize_program(self.float, self.calibration if calibrated else None, config)

    def judged(self, runner: Callable[..., Any]) -> dict[str, float]:
        """Returns SNR and recall@1 of what a runner makes of the texts."""
        made = np.concatenate([np.array(runner(*one)).reshape(1, -1) for one in self.inputs])
        nearest = (made[: self.count] @ made[self.count :].T).argmax(1)
        recall = float((nearest == np.arange(self.count)).mean())
        return {"snr_db": likeness(self.expected, made)["snr_db"], "recall": recall}


def _example() -> Any:
    path = Path(__file__).parents[1] / "examples" / "12_sentence_search.py"
    spec = importlib.util.spec_from_file_location("sentence_search", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stored(program: Program) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return save_program(program, Path(folder) / "program").stat().st_size


def _with_float_inputs(artifact: Artifact) -> Artifact:
    config = {**artifact.metadata["config"], "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    return msgspec.structs.replace(artifact, metadata={**artifact.metadata, "config": config})


def _nncf(
    artifact: Any, config: dict[str, str], calibration: list[Any], settings: dict[str, Any]
) -> tuple[Any, int]:
    """Returns a runner of the float model as NNCF compresses it, run as ``config`` says, and its bytes."""
    import nncf  # noqa: PLC0415 (a peer, slow to import)
    import openvino as ov  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        for name, content in artifact.files.items():
            (Path(folder) / name).write_bytes(content)
        core = ov.Core()
        core.set_property({"ENABLE_MMAP": False})
        model = core.read_model(Path(folder) / artifact.entry)
        rows = [[value.numpy() for value in one.values()] for one in calibration]
        model = nncf.compress_weights(
            model,
            mode=nncf.CompressWeightsMode.INT4_SYM,
            group_size=GROUP,
            ratio=1.0,
            all_layers=True,
            ignored_scope=nncf.IgnoredScope(types=["Gather"], validate=False),
            dataset=nncf.Dataset(rows) if settings else None,
            **settings,
        )
        ov.save_model(model, Path(folder) / "compressed.xml", compress_to_fp16=False)
        size = sum(one.stat().st_size for one in Path(folder).glob("compressed.*"))
    config = {**config, "INFERENCE_NUM_THREADS": "1"}
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return lambda *inputs: request.infer(list(inputs))[0], size


if __name__ == "__main__":
    main()
