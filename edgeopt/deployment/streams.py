"""How far a bundle with state is off when it runs on by itself, call after call."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.deployment.methods import play
from edgeopt.gate.metrics import MAX_SNR_DB, LikenessMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgeopt.deployment.methods import Call, MethodProgram, Sessions

__all__ = ["StreamResult", "check_streams"]

MOST_CALLS = 400
PARITY_DB = 30.0
"""What rounding errors of runtimes may add up to, as the gate allows of one call."""


class StreamResult(msgspec.Struct, frozen=True):
    """Sessions that the float model, the reference and the artefact each played with their own state.

    Attributes:
        sessions: How many.
        calls: How many calls in all; the longest session has ``longest``.
        longest: Calls of the longest session.
        snr_db: Signal-to-noise ratio of the worst output beside the float model's.
        late_snr_db: The same over the last quarter of each session: less where errors add up.
        parity_db: Of the artefact beside the reference; None where it does not run here.
        max_loss: The share of an output's energy that may be lost; None where nothing was asked.
    """

    sessions: int
    calls: int
    longest: int
    snr_db: float
    late_snr_db: float
    parity_db: float | None
    max_loss: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the artefact stays with the reference, and loses no more than was asked."""
        is_alike = self.parity_db is None or self.parity_db >= PARITY_DB
        return is_alike and (self.max_loss is None or 10 ** (-self.snr_db / 10) <= self.max_loss)

    def __str__(self) -> str:
        parity = "" if self.parity_db is None else f", parity {self.parity_db:.1f} dB"
        return (
            f"{self.calls} calls in {self.sessions} sessions (up to {self.longest}): SNR {self.snr_db:.1f} dB, "
            f"{self.late_snr_db:.1f} dB in the last quarter{parity}"
        )


def check_streams(
    sessions: Sessions,
    float_methods: Mapping[str, MethodProgram],
    references: Mapping[str, Callable[..., Any]],
    runners: Mapping[str, Callable[..., Any]] | None,
    float_runners: Mapping[str, Callable[..., Any]],
    max_loss: float | None = None,
) -> StreamResult:
    """Returns how far reference and artefact are off, each with its own state.

    Args:
        sessions: The calls.
        float_methods: Method name to the method.
        references: Method name to the reference of what is compiled.
        runners: Method name to the artefact; None where it does not run here.
        float_runners: Method name to the float program.
        max_loss: The share of an output's energy that may be lost.
    """
    errors: dict[str, dict[Any, LikenessMeter]] = defaultdict(
        lambda: defaultdict(lambda: LikenessMeter(""))
    )
    chosen = _chosen(sessions.sessions)
    for session in chosen:
        plays = [
            None
            if one is None
            else [o for _, o in play(session, float_methods, one, sessions.states)]
            for one in (float_runners, references, runners)
        ]
        expected, reference, outputs = plays[0] or [], plays[1] or [], plays[2]
        got = reference if outputs is None else outputs
        for step, (method, _) in enumerate(session):
            is_late = step >= len(session) * 3 // 4
            for place in _seen(float_methods[method]):
                key = (method, place)
                errors["all"][key].add(expected[step][place], got[step][place])
                if is_late:
                    errors["late"][key].add(expected[step][place], got[step][place])
                if outputs is not None:
                    errors["parity"][key].add(reference[step][place], got[step][place])
    return StreamResult(
        sessions=len(chosen),
        calls=sum(map(len, chosen)),
        longest=max(map(len, chosen)),
        snr_db=_worst(errors["all"]),
        late_snr_db=_worst(errors["late"]),
        parity_db=None if runners is None else _worst(errors["parity"]),
        max_loss=max_loss,
    )


def _chosen(sessions: Sequence[Sequence[Call]]) -> list[Sequence[Call]]:
    """Returns sessions of so many calls as time allows, the longest first."""
    chosen: list[Sequence[Call]] = []
    for session in sorted(sessions, key=len, reverse=True):
        left = MOST_CALLS - sum(map(len, chosen))
        if left > 0:
            chosen.append(session[:left])
    return chosen


def _seen(method: MethodProgram) -> list[int]:
    """Returns the outputs that who calls sees; where there are none, the states."""
    names = [spec.name for spec in method.program.signature.outputs]
    seen = [place for place, name in enumerate(names) if name not in method.writes]
    return seen or list(range(len(names)))


def _worst(meters: Mapping[Any, LikenessMeter]) -> float:
    return min((meter.likeness().snr_db for meter in meters.values()), default=MAX_SNR_DB)
