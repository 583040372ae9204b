"""Does a compressed model look at the same things as float? Attributions of both, and how alike they are.

    python benchmarks/attribution_agreement.py [--only lite0|minilm|dna] [--pictures FOLDER] [--fresh]

EfficientNet-Lite0 on photographs that nobody calibrated on, all-MiniLM-L6-v2 on WordNet's definitions, and the network of
examples/07 on DNA. Each part of an input (a patch, a token, a nucleotide) is left out, and by how much the answer falls is
the part's attribution. Reported, as means over inputs with 95 % intervals: Spearman's correlation of float's and the
compressed model's attributions, and which share of the most important parts both name. Beside it the same for the float
model and itself under a change that means nothing (the floor), and for two different inputs (chance).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from _common import Report, option_parser
from _lite0 import lite0
from _ours import int8_program
from photographs import calibration_set, held_out_set

import edgeopt
from edgeopt.explaining.compare import Comparer, tuple_of
from edgeopt.explaining.pictures import write_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

    import numpy as np

INPUTS = {"dna": 100, "minilm": 32, "lite0": 8}
BACKEND = "tflite"
MASK, UNKNOWN = 103, 100
"""BERT's tokens that say nothing: one for what is left out, one for the floor."""
LENGTH = 32


def main() -> None:
    """Asks every model, prints the table and writes it."""
    parser = option_parser(__doc__, fresh=True)
    parser.add_argument("--only", choices=sorted(INPUTS))
    parser.add_argument("--pictures", type=Path, help="write maps side by side there")
    options = parser.parse_args()
    report = Report("attribution_agreement")
    cases = {"dna": nucleotides, "minilm": sentences, "lite0": photographs}
    for name, case in cases.items():
        if options.only in (None, name):
            comparer, steps = case()
            asked(report, name, comparer, steps, options.pictures)
            report.write(update=True)


def asked(
    report: Report,
    name: str,
    comparer: Comparer,
    steps: Iterator[tuple[str, Callable[..., Any]]],
    pictures: Path | None,
) -> None:
    """Asks each step's model, and adds what it says to the report."""
    every: dict[str, Sequence[np.ndarray]] = {"float": [one.map for one in comparer.looked]}
    for step, runner in steps:
        done = comparer.attributed(step, tuple_of(runner))
        agreement = msgspec.to_builtins(done.agreement)
        line = f"{name:7} {step:30} {done.agreement.rank_correlation}  {done.agreement.top_overlap}"
        report.add(f"{name}, {step}", agreement, line)
        every[step] = done.maps
    last = done.agreement
    chance = f"chance {last.chance_rank_correlation:.3f}"
    line = (
        f"{name:7} {'floor':30} {last.floor_rank_correlation}  {last.floor_top_overlap}  {chance}"
    )
    print(f"  {line}\n  {'':7} {last.floor}; {last.samples} inputs, {last.top} of {last.regions}")
    if pictures is not None:
        drawn(pictures / name, comparer, every)


def drawn(folder: Path, comparer: Comparer, maps: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Writes the maps of the first inputs side by side."""
    for index, looked in enumerate(comparer.looked[:4]):
        array = comparer.samples[index][looked.regions.place]
        panels = [(step, each[index]) for step, each in maps.items()]
        write_maps(folder / f"{index}.png", array, looked.regions, panels)


def photographs() -> tuple[Comparer, Iterator[tuple[str, Callable[..., Any]]]]:
    """Returns EfficientNet-Lite0 on photographs, and what it is compressed to."""
    calibration, model = calibration_set(), lite0()
    samples = [(x[None],) for x in held_out_set(INPUTS["lite0"])]
    program = edgeopt.capture(model, torch.from_numpy(calibration[:1]))
    comparer = Comparer(program.signature, samples, compiled(program))

    def steps() -> Iterator[tuple[str, Callable[..., Any]]]:
        yield "int8", compiled(int8_program(calibration))
        yield "int8-dynamic", compiled(edgeopt.quantize(program, precision="int8-dynamic"))
        data = [torch.from_numpy(x[None]) for x in calibration]
        student = smaller(model, data)
        yield "pruned and distilled", compiled(edgeopt.capture(student, data[0]))

    return comparer, steps()


def smaller(model: torch.nn.Module, data: Sequence[torch.Tensor]) -> torch.nn.Module:
    """Returns the model with three quarters of its multiply-adds, taught by it on the calibration photographs."""
    pruned = edgeopt.prune(model, data[0], macs=0.75, calibration_data=data[:32])
    batches = [torch.cat(list(data[i : i + 10])) for i in range(0, len(data), 10)]
    taught = edgeopt.distill(pruned.module, model, batches, epochs=3, learning_rate=1e-3)
    return taught.student.eval()


def sentences() -> tuple[Comparer, Iterator[tuple[str, Callable[..., Any]]]]:
    """Returns all-MiniLM-L6-v2 on definitions of words, and what it is compressed to."""
    example = _example("12_sentence_search")
    model, tokenizer = example.encoder()
    _, texts = example.words_and_definitions(1000)
    inputs = [example.tokens(tokenizer, text, LENGTH) for text in texts]
    inputs = [one for one in inputs if one["input_ids"].shape[1] == LENGTH]
    program = edgeopt.capture(model, inputs[0])
    chosen = inputs[-INPUTS["minilm"] :]
    samples = [tuple(tensor.numpy() for tensor in one.values()) for one in chosen]
    comparer = Comparer(
        program.signature, samples, compiled(program), by_class=False, tokens=(MASK, UNKNOWN)
    )

    def steps() -> Iterator[tuple[str, Callable[..., Any]]]:
        yield "int8", compiled(edgeopt.quantize(program, inputs[:100]))
        yield "int8-dynamic", compiled(edgeopt.quantize(program, precision="int8-dynamic"))

    return comparer, steps()


def nucleotides() -> tuple[Comparer, Iterator[tuple[str, Callable[..., Any]]]]:
    """Returns the network of examples/07 on stretches of DNA, and the steps that it goes through."""
    example = _example("07_splice_junctions")
    torch.manual_seed(0)
    inputs, labels = example.stretches()
    order = torch.randperm(len(labels))
    train, test = order[: example.TRAIN], order[example.TRAIN :]
    dataset = torch.utils.data.TensorDataset(inputs[train], labels[train])
    data = torch.utils.data.DataLoader(dataset, 64, shuffle=True)
    some = inputs[train][:128].split(1)
    teacher = example.trained(example.network(64), data, epochs=15).eval()
    program = edgeopt.capture(teacher, inputs[:1])
    places = [i for i in test.tolist() if labels[i] != example.CLASSES.index("n")]  # junctions
    samples = [(inputs[i : i + 1].numpy(),) for i in places[: INPUTS["dna"]]]
    comparer = Comparer(program.signature, samples, compiled(program))

    def steps() -> Iterator[tuple[str, Callable[..., Any]]]:
        yield "int8", compiled(edgeopt.quantize(program, some))
        again = example.trained(example.network(64), data, epochs=15).eval()
        yield "float, another training", compiled(edgeopt.capture(again, inputs[:1]))
        pruned = edgeopt.prune(
            teacher, inputs[:1], macs=0.15, calibration_data=some, scope="global"
        )
        yield "pruned", compiled(edgeopt.capture(pruned.module.eval(), inputs[:1]))
        student = example.trained(pruned.module, data, 15, teacher).eval()
        small = edgeopt.capture(student, inputs[:1])
        yield "pruned, distilled", compiled(small)
        yield "pruned, distilled, int8", compiled(edgeopt.quantize(small, some))

    return comparer, steps()


def compiled(program: Any) -> Callable[..., Any]:
    """Returns a program's artefact, which is what a device runs."""
    return edgeopt.load(edgeopt.compile(program, "host", backend=BACKEND), threads=1)


def _example(name: str) -> ModuleType:
    """Returns an example as a module."""
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
