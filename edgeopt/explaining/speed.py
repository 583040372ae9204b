"""How fast a compressed artefact is beside float, and why: from what was measured, and from its structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts.storage import Precision
from edgeopt.explaining.findings import Evidence, Finding, Remedy
from edgeopt.explaining.typed import deploy_option
from edgeopt.gate.diagnose import conversions, missing_isa
from edgeopt.measure import explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgeopt.contracts import Target
    from edgeopt.gate.speed import Speed
    from edgeopt.measure import Comparison, OperatorProfile
    from edgeopt.measure.statistics import Latency, Ratio

__all__ = ["speed_finding", "structure_finding"]

_ADVICE = "try"
_SHOWN = 3


def structure_finding(
    precision: str, operators: Mapping[str, int], target: Target
) -> Finding | None:
    """Returns what can be said of the speed without a clock; None where there is nothing.

    Args:
        precision: The precision.
        operators: Runtime operators of the artefact, with how many of each.
        target: The device.
    """
    if not Precision(precision).has_integer_weights:
        return None
    edges = conversions(operators)
    lacks = missing_isa(target)
    sentences = [f"{target.name} lacks {feature}." for feature in lacks]
    if edges:
        sentences.insert(0, f"{edges} conversions between integer and float lie inside the model.")
    if not sentences:
        return None
    return Finding(
        kind="speed",
        title="What costs time by the model's structure (not measured)",
        sentences=tuple(sentences),
        evidence=(
            Evidence("conversions inside the model", edges),
            *(Evidence("lacks", feature, basis="described") for feature in lacks),
        ),
    )


def speed_finding(
    precision: str,
    target: Target,
    *,
    profile: OperatorProfile | None = None,
    speed: Speed | None = None,
    comparison: Comparison | None = None,
) -> Finding | None:
    """Returns how fast it is and why, from measurements; None where nothing was measured.

    Args:
        precision: The precision.
        target: What the profile was measured on.
        profile: Operator by operator.
        speed: Beside the float artefact, by the gate.
        comparison: The two, operator by operator; the speed too where that is not given.
    """
    told = () if profile is None else explain(profile, target)
    pair = speed or comparison
    ratio = None if pair is None else pair.ratio
    if ratio is None and not told:
        return None
    reasons = () if speed is None else speed.reasons
    texts = [*reasons, *(f.text for f in told if f.topic != _ADVICE)]
    sentences = [_sentence(text) for text in texts]
    evidence = [*_latencies(precision, speed, comparison), *_operators(comparison)]
    if ratio is not None:
        evidence.insert(0, Evidence("time over that of float32", ratio.value, "", basis="measured"))
    return Finding(
        kind="speed",
        title=_title(precision, ratio),
        sentences=tuple(dict.fromkeys(sentences)),
        evidence=tuple(evidence),
        remedy=tuple(_remedies(ratio, [f.text for f in told if f.topic == _ADVICE])),
        nodes=()
        if profile is None
        else tuple(v for o in profile.top(_SHOWN) for v in o.values[:1]),
    )


def _sentence(text: str) -> str:
    """Returns a sentence; a name at its beginning stays as it is written."""
    first = text.partition(" ")[0]
    is_name = "." in first or "'" in first
    return f"{text if is_name else text[:1].upper() + text[1:]}."


def _title(precision: str, ratio: Ratio | None) -> str:
    if ratio is None:
        return f"What {precision} spends its time on; float was not measured beside it"
    if ratio.verdict == "faster":
        return f"{precision} is {1 / ratio.value:.2f} times as fast as float32 {_interval(ratio)}"
    if ratio.verdict == "slower":
        return f"{precision} takes {ratio.value:.2f} times the time of float32 {_interval(ratio)}"
    return f"{precision} is not told apart from float32 in time {_interval(ratio)}"


def _interval(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"(ratio {ratio.value:.3f})"
    return f"(ratio {ratio.value:.3f}, 95 % within {ratio.low:.3f} and {ratio.high:.3f})"


def _latencies(
    precision: str, speed: Speed | None, comparison: Comparison | None
) -> Iterator[Evidence]:
    pairs: dict[str, Latency] = {}
    if speed is not None:
        pairs = {precision: speed.latency, "float32": speed.float_latency}
    elif comparison is not None:
        pairs = {precision: comparison.a_latency, "float32": comparison.b_latency}
    for name, one in pairs.items():
        yield Evidence(f"a call in {name}", one.median_ms, "ms", basis="measured")


def _operators(comparison: Comparison | None) -> Iterator[Evidence]:
    """What is slower than in float, operator by operator, the worst first."""
    operators = () if comparison is None else comparison.operators
    slower = [o for o in operators if o.certain and o.difference_ms > 0]
    for one in sorted(slower, key=lambda o: -o.difference_ms)[:_SHOWN]:
        beside = f"{one.a_ms or 0.0:.3g} ms, float {one.b_ms or 0.0:.3g} ms"
        yield Evidence("slower than in float", beside, place=one.place, basis="measured")


def _remedies(ratio: Ratio | None, advice: list[str]) -> Iterator[Remedy]:
    if ratio is not None and ratio.verdict == "slower":
        faster = f"float32 took 1/{ratio.value:.2f} of this time here."
        yield Remedy(faster, *deploy_option("precision", "float32", flag="--precision"))
    for text in advice:
        if text.startswith("backend='auto'"):
            yield Remedy(
                "Have the other backends measured on the device.",
                "backend='auto', device='local'",
                "--backend auto --device local",
            )
        elif text.startswith("--threads"):
            yield Remedy(f"{text[:1].upper()}{text[1:]}.")
        else:
            yield Remedy(f"Try {text}.")
