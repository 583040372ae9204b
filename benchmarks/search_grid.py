"""Search against a grid: the same space, the same number of trials, three models; and what a second run repeats.

Both try configurations of one small CNN (inverted residual blocks) that reads scikit-learn's digits (32 x 32 pixels),
compiled for TFLite, and look for the best score in at most `BUDGET` of the bytes of the float32 artefact. The score is
the mean log-likelihood of 597 held-out digits. Weights have 3 bits, since with 8 nothing is lost on digits and every
choice is as good as any other. Score and size do not depend on the clock, so the figures say something of the
proposals and nothing of the machine; on a device the search measures latency as well.

The search is `edgeopt.search` as it is. The grid tries the points of the full grid in random order, as Optuna's
GridSampler does; it knows the order of harmful values, too.

    python benchmarks/search_grid.py [--trials 14] [--seeds 0 1 2]

Every trial is kept: what is killed goes on where it was.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING, Any

import torch
from _common import Report, option_parser
from sklearn.datasets import load_digits
from torch import nn

import edgeopt
from edgeopt.errors import BudgetError
from edgeopt.files import cache_folder
from edgeopt.searching import run as searching
from edgeopt.searching.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edgeopt.searching import Configuration, SearchResult, Trial

BUDGET = 0.7
TARGET = "rpi4"
TAUGHT, CALIBRATED, EPOCHS, BATCH, RATE = 1200, 16, 5, 40, 3e-3
OPTIONS: dict[str, Any] = {
    "backends": ["tflite"],
    "precisions": ["int8", "float32"],
    "quantization": {"weight_bits": 3, "max_samples": CALIBRATED},
    "checks": {"samples": 16},
    "prefer": "score",
}


def main() -> None:
    """Runs all seeds, prints and writes the figures."""
    parser = option_parser(__doc__)
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = Report("search_grid")
    rows = [_of_seed(seed, options.trials) for seed in options.seeds]
    for row in rows:
        report.add(f"seed {row['seed']}", row, _told(row))
    report.add("trials", options.trials, f"{options.trials} trials each")
    for name in ("best", "hypervolume"):
        pairs = [(row["search"][name], row["grid"][name]) for row in rows]
        report.add(f"{name} wins", *_wins(name, pairs))
        for at, way in enumerate(("search", "grid")):
            report.add(f"{name} {way}", *_spread(f"{name}, {way}", [p[at] for p in pairs]))
    repeated = sum(row["repeated"] for row in rows)
    text = f"a second run of each search repeated {repeated} of {options.trials * len(rows)} trials"
    report.add("repeated by a second run", repeated, text)
    report.write()


def _of_seed(seed: int, trials: int) -> dict[str, Any]:
    bench = _Bench(seed, cache_folder() / "search_grid" / f"seed-{seed}")
    limit = BUDGET * bench.float_mb()
    found = bench.run("search", limit, trials)
    again = bench.run("search", limit, trials)
    grid = bench.run("grid", limit, trials)
    bounds = _bounds([*found.trials, *grid.trials])
    digests = [t.configuration.digest for t in again.trials]
    return {
        "seed": seed,
        "float_score": found.budget.float_score,
        "float_mb": limit / BUDGET,
        "budget_mb": limit,
        "search": _figures(found, bounds),
        "grid": _figures(grid, bounds),
        "repeated": again.new + len(digests) - len(set(digests)),
    }


class _Bench:
    """One model, its data, and where its trials are kept."""

    def __init__(self, seed: int, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._seed = folder, seed
        pixels, labels = _digits(seed)
        self._model = _model(folder / "model.pt", seed, pixels[:TAUGHT], labels[:TAUGHT])
        self._pixels, self._test = pixels, (pixels[TAUGHT:], labels[TAUGHT:])

    def evaluate(self, function: Callable[..., torch.Tensor]) -> float:
        """Returns the mean log-likelihood of the held-out digits."""
        pixels, labels = self._test
        return -float(nn.functional.cross_entropy(function(pixels), labels))

    def float_mb(self) -> float:
        """Returns the size of the float32 artefact, in millions of bytes."""
        found = self._search("float", trials=1, precisions=["float32"])
        return found.trials[0].measured.size_bytes / 1e6

    def run(self, way: str, limit: float, trials: int) -> SearchResult:
        """Returns what ``way`` finds in so many trials."""
        searching.Space = Space if way == "search" else _shuffled(self._seed)
        try:
            return self._search(way, max_size_mb=limit, trials=trials, seed=self._seed)
        finally:
            searching.Space = Space

    def _search(self, name: str, **options: Any) -> SearchResult:
        calibration = [one[None] for one in self._pixels[:CALIBRATED]]
        try:
            return edgeopt.search(
                self._model,
                TARGET,
                example_inputs=self._pixels[:1],
                calibration_data=calibration,
                evaluate=self.evaluate,
                study=self._folder / f"{name}.sqlite",
                **{**OPTIONS, **options},
            )
        except BudgetError as error:
            return error.result


def _shuffled(seed: int) -> type[Space]:
    """Returns a space of which every configuration is tried in random order."""

    class Grid(Space, frozen=True):
        def first(self, fastest: str = "") -> Iterator[Configuration]:
            del fastest
            every = list(self.all())
            random.Random(seed).shuffle(every)  # noqa: S311 (no secret)
            yield from every

    return Grid


def _figures(found: SearchResult, bounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    best = found.best
    return {
        "best": None if best is None else best.measured.score,
        "best_mb": None if best is None else best.measured.size_bytes / 1e6,
        "best_configuration": None if best is None else str(best.configuration),
        "within_budget": sum(found.budget.within(t.measured) for t in found.trials if t.measured),
        "hypervolume": _hypervolume(found.trials, bounds),
        "failed": len(found.failed),
    }


def _bounds(trials: Sequence[Trial]) -> list[tuple[float, float]]:
    """Returns the best and the worst score and size of all trials, of both ways."""
    held = [t.measured for t in trials if t.measured is not None]
    scores, sizes = [m.score for m in held], [m.size_bytes for m in held]
    return [(max(scores), min(scores)), (min(sizes), max(sizes))]


def _hypervolume(trials: Sequence[Trial], bounds: Sequence[tuple[float, float]]) -> float:
    """Returns the share of the plane between the best and the worst figures that is dominated."""
    (high, low), (small, large) = bounds
    points = [
        ((t.measured.score - low) / (high - low), (large - t.measured.size_bytes) / (large - small))
        for t in trials
        if t.measured is not None
    ]
    area, reached = 0.0, 0.0
    for score, room in sorted(points, reverse=True):
        area += score * max(0.0, room - reached)
        reached = max(reached, room)
    return area


def _told(row: dict[str, Any]) -> str:
    parts = [
        f"seed {row['seed']}: budget {row['budget_mb']:.3f} MB, float {row['float_score']:.4f}"
    ]
    for way in ("search", "grid"):
        held = row[way]
        best = (
            "nothing" if held["best"] is None else f"{held['best']:.4f} ({held['best_mb']:.3f} MB)"
        )
        parts.append(f"{way} {best}, hypervolume {held['hypervolume']:.3f}")
    return "; ".join(parts)


def _wins(name: str, pairs: Sequence[tuple[float | None, float | None]]) -> tuple[int, str]:
    worst = float("-inf")
    won = sum((worst if a is None else a) > (worst if b is None else b) for a, b in pairs)
    return won, f"{name}: search is ahead with {won} of {len(pairs)} seeds"


def _spread(name: str, values: Sequence[float | None]) -> tuple[dict[str, Any], str]:
    known = [v for v in values if v is not None]
    if not known:
        return {
            "mean": None,
            "spread": None,
            "values": values,
        }, f"{name}: nothing within the budget"
    mean, spread = statistics.mean(known), statistics.pstdev(known)
    held = {"mean": mean, "spread": spread, "values": list(values)}
    return held, f"{name}: {mean:.4f} ± {spread:.4f} ({len(known)} of {len(values)} seeds)"


def _digits(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    held = load_digits()
    pixels = torch.tensor(held.images, dtype=torch.float32)[:, None] / 16
    pixels = nn.functional.interpolate(pixels, size=(32, 32), mode="bilinear", align_corners=False)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(seed))
    return pixels[order], torch.tensor(held.target)[order]


class _Block(nn.Module):
    """An inverted residual block, as MobileNetV2 has them."""

    def __init__(self, wide: int, out: int, stride: int) -> None:
        super().__init__()
        inner = 4 * wide
        self.body = nn.Sequential(
            *_convolution(wide, inner, 1, 1),
            nn.ReLU6(),
            *_convolution(inner, inner, 3, stride, groups=inner),
            nn.ReLU6(),
            *_convolution(inner, out, 1, 1),
        )
        self.skips = stride == 1 and wide == out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns features of shape (batch, out, height, width)."""
        made: torch.Tensor = self.body(x)
        return x + made if self.skips else made


def _convolution(wide: int, out: int, side: int, stride: int, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(wide, out, side, stride, side // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(out)]


def _network() -> nn.Module:
    blocks = [(16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 40, 2), (40, 40, 1)]
    stem = [*_convolution(1, 16, 3, 2), nn.ReLU6()]
    body = [_Block(*each) for each in blocks]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 10))


def _model(path: Path, seed: int, pixels: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    torch.manual_seed(seed)
    model = _network()
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.02)
    steps = EPOCHS * (len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2 * RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(pixels)).split(BATCH):
            noisy = pixels[chosen] + 0.1 * torch.randn_like(pixels[chosen])
            loss = nn.functional.cross_entropy(model(noisy), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    torch.save(model.state_dict(), path)
    return model.eval()


if __name__ == "__main__":
    main()
