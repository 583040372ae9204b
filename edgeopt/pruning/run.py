"""`edgeopt.prune`."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol

from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.errors import InputError
from edgeopt.ir.record import record_step
from edgeopt.pruning.choose import PARAMETER_SIZES, Chooser
from edgeopt.pruning.cost import arena_kb, layer_costs, parameter_count, roofline_ms
from edgeopt.pruning.importance import score_sites
from edgeopt.pruning.pruned import Pruned
from edgeopt.pruning.removal import Cut, Fault, find_faults, remove
from edgeopt.pruning.report import LayerReport, PruningReport
from edgeopt.pruning.sensitivity import too_sensitive
from edgeopt.pruning.sites import Site, find_sites
from edgeopt.pruning.structure import changes
from edgeopt.registry import find_target
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from torch import nn

    from edgeopt.contracts.target import Target
    from edgeopt.options import PruningOptions

__all__ = ["Rounds", "prune"]


class Rounds(Protocol):
    """What a run of several steps leaves behind, so that it can go on after a kill."""

    def start(self) -> tuple[int, nn.Module] | None:
        """Returns how many steps are done, and the module after them; None at the beginning."""

    def keep(self, module: nn.Module, step: int) -> None:
        """Keeps the module after ``step``."""


def prune(  # noqa: PLR0913 (what is pruned, with what, beside the options)
    model: nn.Module,
    example_inputs: Any,
    options: PruningOptions,
    *,
    calibration_data: Iterable[Any] | None = None,
    target: str | Path | Target | None = None,
    finetune: Callable[[nn.Module, int], Any] | None = None,
    loss: Callable[[nn.Module, Any], Any] | None = None,
    rounds: Rounds | None = None,
) -> Pruned:
    """Returns a smaller copy of ``model``; `edgeopt.prune` documents the arguments.

    ``rounds`` keeps the module after each of several steps, and says where a killed run was.
    """
    device = None if target is None else find_target(target)
    if options.goal == "latency_ms" and device is None:
        raise InputError("a latency needs a target", where="latency_ms", hint='target="rpi4"')
    if options.multiple is None:
        multiple = device.quantization.channel_multiple if device else 1
        options = options.replace(multiple=multiple)
    data = _read(model, example_inputs, calibration_data, options)
    return _Run(model, data, options, device, loss).all(finetune, rounds)


def _read(
    model: nn.Module, example_inputs: Any, data: Iterable[Any] | None, options: PruningOptions
) -> Dataset:
    binder = Binder.of_example(example_inputs, model)
    if data is None:
        empty = Dataset(binder)
        return empty.required() if options.importance == "activation" else empty
    return Dataset.read(data, binder, limit=options.samples, whole=True)


class _Run:
    def __init__(
        self,
        model: nn.Module,
        data: Dataset,
        options: PruningOptions,
        target: Target | None,
        loss: Any,
    ) -> None:
        self.before, self.data, self.call = model, data, data.binder.example()
        self.options = options
        self.target, self.loss = target, loss
        self.model = copy.deepcopy(model).eval()
        self.first: dict[str, int] = {}
        self.kinds: dict[str, tuple[str, str]] = {}
        self.held: dict[str, str] = {}
        self.shares: dict[str, float] = {}

    def all(
        self, finetune: Callable[[nn.Module, int], Any] | None, rounds: Rounds | None = None
    ) -> Pruned:
        steps = self.options.steps
        costs = (layer_costs(self.model, self.call), parameter_count(self.model))
        done = self._begun(rounds)
        for step in range(done + 1, steps + 1):
            self._step(step / steps, *costs)
            if finetune is not None:
                self.model.train()
                finetune(self.model, step)
                self.model.eval()
            if rounds is not None:
                rounds.keep(self.model, step)
        for (_, old), (_, new) in zip(
            self.before.named_parameters(), self.model.named_parameters(), strict=True
        ):
            new.requires_grad_(old.requires_grad)
        unit_counts = {site.name: len(site.units) for site in self._sites()}
        report = self._report(costs, unit_counts)
        record_step(self.model, report.as_step())
        return Pruned(self.model, report, changes(self.before, self.model))

    def _begun(self, rounds: Rounds | None) -> int:
        """Returns how many steps an earlier run has done; goes on with its module."""
        checkpoint = None if rounds is None else rounds.start()
        if checkpoint is None:
            return 0
        self._begin(self._sites())
        done, self.model = checkpoint
        return done

    def _sites(self) -> list[Site]:
        return find_sites(self.model, self.call, residual_width=self.options.residual_width)

    def _step(self, share: float, costs0: Any, parameters0: int) -> None:
        while True:
            cuts = self._cuts(self._sites(), share, costs0, parameters0)
            faults = find_faults(self.model, self.call, cuts)
            if not faults:
                remove(self.model, cuts)
                return
            self._keep_whole(faults)

    def _cuts(self, sites: list[Site], share: float, costs0: Any, parameters0: int) -> list[Cut]:
        if not self.first:
            self._begin(sites)
        free = [s for s in sites if not self.held[s.name]]
        options = self.options
        scores = score_sites(
            self.model, free, self.data, options.importance, seed=options.seed, loss=self.loss
        )
        now = layer_costs(self.model, self.call)
        chooser = Chooser(free, scores, self.first, now, parameter_count(self.model), options)
        gone = self._choose(chooser, share, costs0, parameters0)
        return [Cut(site, units) for site, units in zip(free, gone, strict=True) if units]

    def _keep_whole(self, faults: dict[str, Fault]) -> None:
        """Leaves the sites that cannot be pruned as they are, each with its reason."""
        for name, fault in faults.items():
            why = f"without some of its channels: {fault.what}"
            if not name or name in self.shares:
                hint = "leave it out of ratio" if name else "keep the module that it names: keep=[]"
                where = name or "prune"
                raise InputError(f"cannot be pruned: {why}", where=where, hint=hint)
            self.held[name] = why
        self._require_free()

    def _require_free(self) -> None:
        if all(self.held.values()):
            reasons = "; ".join(f"{n}: {r}" for n, r in list(self.held.items())[:5])
            raise InputError("no layer can be pruned", where="prune", hint=reasons or None)

    def _choose(
        self, chooser: Chooser, share: float, costs0: Any, parameters0: int
    ) -> list[list[int]]:
        goal, value = self.options.goal, getattr(self.options, self.options.goal)
        if goal == "ratio":
            layers = {n: r * share for n, r in self.shares.items()} or None
            return chooser.by_ratio(0.0 if layers else value * share, layers)
        if goal == "latency_ms":
            whole = roofline_ms(costs0, self.target) if self.target else 0.0
        elif goal == "macs":
            whole = sum(c.macs for c in costs0.values())
        elif goal == "max_ram_kb":
            whole = arena_kb(costs0)
        else:
            whole = parameters0 * PARAMETER_SIZES[goal]
        relative = goal in {"macs", "parameters"} and value <= 1
        end = value * whole if relative else value
        return chooser.by_budget(goal, whole + (end - whole) * share, self.target)

    def _begin(self, sites: list[Site]) -> None:
        self.first = {s.name: len(s.units) for s in sites}
        self.kinds = {s.name: (s.kind, s.reason) for s in sites}
        self.held = {s.name: s.reason or self._kept(s) for s in sites}
        self._check_names(sites)
        limit = self.options.sensitivity
        if limit is not None:
            free = [s for s in sites if not self.held[s.name]]
            self.held.update(too_sensitive(self.model, free, self.data, limit))
        self._require_free()

    def _kept(self, site: Site) -> str:
        for name in self.options.keep:
            if any(n == name or n.startswith(f"{name}.") for n in site.names()):
                return f'kept: "{name}"'
        return ""

    def _check_names(self, sites: list[Site]) -> None:
        modules = dict(self.model.named_modules())
        layers = self.options.ratio if isinstance(self.options.ratio, dict) else {}
        for name in (*self.options.keep, *layers):
            if name not in modules:
                hint = did_you_mean(name, list(modules))
                raise InputError(f'the model has no layer "{name}"', where="prune", hint=hint)
        self.shares = {}
        for name, share in layers.items():
            site = next((s for s in sites if name in {s.name, *s.names()}), None)
            why = "no channels start there" if site is None else self.held[site.name]
            if site is None or why:
                hint = "leave it out of ratio"
                raise InputError(f"cannot be pruned: {why}", where=name, hint=hint)
            if self.shares.setdefault(site.name, share) != share:
                what = (
                    f'its channels live and go with those of "{site.name}", which has another ratio'
                )
                raise InputError(what, where=name, hint="give one ratio to both")

    def _report(self, costs: Any, left: dict[str, int]) -> PruningReport:
        after = layer_costs(self.model, self.call)
        macs = tuple(round(sum(c.macs for c in x.values())) for x in (costs[0], after))
        estimate = None
        if self.target is not None and self.target.rates:
            estimate = (roofline_ms(costs[0], self.target), roofline_ms(after, self.target))
        return PruningReport(
            importance=self.options.importance,
            goal={self.options.goal: getattr(self.options, self.options.goal)},
            layers=tuple(
                LayerReport(n, self.kinds[n][0], units, left.get(n, units), self.held[n])
                for n, units in self.first.items()
            ),
            macs=(macs[0], macs[1]),
            parameters=(costs[1], parameter_count(self.model)),
            estimated_ms=estimate,
            multiple=self.options.multiple or 1,
            steps=self.options.steps,
        )
