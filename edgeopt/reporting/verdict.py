"""The verdict: what came out, in one sentence, and the figures that it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.reporting.content import Figure
from edgeopt.units import shown_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.gate.accuracy import Accuracy
    from edgeopt.gate.parity import Parity
    from edgeopt.gate.speed import Speed
    from edgeopt.reporting.content import State
    from edgeopt.reporting.stored import Stored

__all__ = ["figures_of", "state_of", "verdict_of"]

ALIKE = 0.05
"""Sizes within 5 % count as equal."""
SAME_SCORE = 1e-9
NOTED_DROP = 0.01
"""What is warned of where nothing was asked (`edgeopt.deployment.warn`)."""
UNTIMED = (
    "times differ from run to run, so a bundle holds none: `edgeopt report BUNDLE` shows what was measured "
    "beside it, `edgeopt profile` measures"
)


def state_of(stored: Stored) -> State:
    """Returns what is to be thought of the whole."""
    checks = [stored.parity, stored.accuracy]
    checks += [check for one in stored.programs for check in (one.parity, one.accuracy)]
    if any(one is not None and not one.ok for one in checks):
        return "bad"
    if stored.parity is None and stored.accuracy is None:
        return "unknown"
    return "warning" if stored.every_warning else "good"


def verdict_of(stored: Stored) -> str:
    """Returns the verdict as one sentence."""
    parts = [_head(stored), *_accuracy_words(stored.accuracy), *_size_words(stored)]
    parts += _speed_words(stored.speed)
    return f"{'; '.join(parts)}."


def figures_of(stored: Stored) -> tuple[Figure, ...]:
    """Returns accuracy, parity, size and latency, each with its interval and its source."""
    return tuple(
        figure
        for figure in (
            _accuracy(stored.accuracy),
            _parity(stored.parity),
            _size(stored),
            _speed(stored.speed),
            _latency(stored),
            *_memory(stored),
            *_programs(stored),
        )
        if figure is not None
    )


def _head(stored: Stored) -> str:
    what = f"{stored.precision or 'the model'} on {stored.target or 'its target'}"
    if stored.parity is not None and not stored.parity.ok:
        return f"Falls short: {what} does not compute what the program does"
    if stored.accuracy is not None and not stored.accuracy.ok:
        return f"Falls short: {what} loses more than was asked"
    if state_of(stored) == "bad":
        return f"Falls short: one of the further programs of {what} does"
    if stored.parity is None and stored.accuracy is None:
        return f"Not checked: no input was given to compare {what} with float on"
    count = len(stored.every_warning)
    mark = f", with {count} warning{'s' if count > 1 else ''}" if count else ""
    return f"Passes{mark}: {what}"


def _accuracy_words(accuracy: Accuracy | None) -> Iterator[str]:
    if accuracy is None or accuracy.value is None or accuracy.float_value is None:
        return
    if accuracy.kind == "accuracy":
        drop, floats = accuracy.float_value - accuracy.value, f"{accuracy.float_value:.4g}"
        if abs(drop) < SAME_SCORE:
            yield f"the score is float's, {floats}"
        else:
            way = "falls" if drop > 0 else "rises"
            yield f"the score {way} by {abs(drop):.4g}, from float's {floats} to {accuracy.value:.4g}"
        return
    classes = [one for one in accuracy.fidelity if one.measure == "class"]
    if classes:
        share = 100 * (1 - max(one.loss for one in classes))
        yield f"it names the same class as float on {share:.4g} % of {accuracy.samples} samples"
    elif accuracy.snr_db is not None:
        yield f"its outputs keep {accuracy.snr_db:.1f} dB beside float"


def _size_words(stored: Stored) -> Iterator[str]:
    if stored.memory is not None:  # the files are sources: flash is what counts
        use = stored.memory.use
        yield f"it takes {shown_bytes(use.flash_bytes)} of flash and {shown_bytes(use.ram_bytes)} of RAM"
        return
    if not stored.size_bytes or not stored.float_size_bytes:
        return
    ratio = stored.float_size_bytes / stored.size_bytes
    if ratio >= 1 + ALIKE:
        yield f"{ratio:.1f} times smaller than the float weights"
    elif ratio <= 1 - ALIKE:
        yield f"{1 / ratio:.1f} times larger than the float weights"
    else:
        yield "as large as the float weights"


def _speed_words(speed: Speed | None) -> Iterator[str]:
    if speed is None:
        return
    where = "on the target" if speed.on_target else "on the machine it was made on, not the target"
    if speed.ratio.verdict == "faster":
        yield f"{1 / speed.ratio.value:.2f} times as fast as float32 {where}"
    elif speed.ratio.verdict == "slower":
        yield f"slower: {speed.ratio.value:.2f} times the time of float32 {where}"
    else:
        yield f"neither faster nor slower than float32, as far as was seen {where}"


def _accuracy(accuracy: Accuracy | None) -> Figure | None:
    if accuracy is None:
        return Figure("Accuracy", "not compared", source="no input and no evaluate was given")
    source = f"{accuracy.samples} {accuracy.inputs}" if accuracy.samples else ""
    detail = f"SNR {accuracy.snr_db:.1f} dB at the worst output" if accuracy.outputs else ""
    fell = accuracy.max_drop is None and (accuracy.drop or 0.0) > NOTED_DROP
    state: State = "bad" if not accuracy.ok else "warning" if accuracy.doubts or fell else "good"
    if accuracy.kind == "accuracy":
        value = f"{accuracy.value:.4f}, float {accuracy.float_value:.4f}, drop {accuracy.drop:+.4f}"
        return Figure("Accuracy", value, detail, f"the user's evaluate; {source}", state)
    value = "; ".join(str(one) for one in accuracy.fidelity) or "nothing was compared"
    return Figure("Agreement with float", value, detail, source, state)


def _parity(parity: Parity | None) -> Figure:
    if parity is None:
        source = "the artefact does not run on the machine it was made on, or no input was given"
        return Figure("Parity", "not compared", source=source)
    cosine = f"least cosine {parity.cosine:.6f}"
    equal = "" if parity.argmax is None else f", same class {100 * parity.argmax:.1f} %"
    value = "computes what its program does" if parity.ok else "; ".join(parity.reasons)
    source = f"{parity.samples} {parity.inputs}, {parity.where}, beside the reference in torch"
    return Figure("Parity", value, cosine + equal, source, "good" if parity.ok else "bad")


def _size(stored: Stored) -> Figure | None:
    if not stored.size_bytes or stored.memory is not None:
        return None
    words = "; ".join(_size_words(stored))
    floats = f"float weights {shown_bytes(stored.float_size_bytes)}"
    larger = stored.size_bytes > (1 + ALIKE) * stored.float_size_bytes
    state: State = "warning" if larger else "good"
    value = (
        f"{shown_bytes(stored.size_bytes)}, {words}" if words else shown_bytes(stored.size_bytes)
    )
    return Figure("Size", value, floats, "the model's files, without the runtime", state)


def _speed(speed: Speed | None) -> Figure:
    if speed is None:
        return Figure("Speed beside float", "not known here", source=UNTIMED)
    low, high = speed.ratio.low, speed.ratio.high
    interval = "" if low is None or high is None else f"95 % interval {low:.3f} to {high:.3f}"
    value = (
        f"{speed.ratio.value:.3f} of float32's time: {speed.precision} {speed.latency.median_ms:.3g} ms, "
        f"float32 {speed.float_latency.median_ms:.3g} ms"
    )
    threads = f"{speed.threads} threads" if speed.threads else "threads as the runtime likes"
    runs = f"medians of {speed.latency.runs} runs in turn"
    source = f"{speed.machine}, {speed.label}; {threads}; {runs}"
    return Figure("Speed beside float", value, interval, source, "good" if speed.ok else "warning")


def _latency(stored: Stored) -> Figure | None:
    profile = stored.profile
    if profile is None:
        return None
    threads = f"{profile.threads} threads" if profile.threads else "threads as the runtime likes"
    source = f"{profile.device}, {profile.label}; {threads}; {profile.runs} runs"
    counted = profile.cycles or profile.instructions
    if profile.latency is None:
        unit = "instructions a call" if profile.instructions else "no time: an emulated device"
        value = f"{profile.instructions:,} {unit}" if profile.instructions else unit
        return Figure("Latency", value, "", source)
    low, high = profile.latency.low_ms, profile.latency.high_ms
    interval = "" if low is None or high is None else f"95 % interval {low:.3g} to {high:.3g} ms"
    cycles = f", {counted:,} cycles" if counted else ""
    value = f"{profile.latency.median_ms:.3g} ms median{cycles}"
    return Figure("Latency", value, interval, source, "warning" if profile.warnings else "good")


def _memory(stored: Stored) -> Iterator[Figure]:
    memory = stored.memory
    if memory is not None:
        use, limits = memory.use, memory.limits
        value = f"flash {shown_bytes(use.flash_bytes)}, RAM {shown_bytes(use.ram_bytes)}"
        limit = f"of {limits.flash_kb:g} KiB and {limits.ram_kb:g} KiB"
        yield Figure("Memory", value, limit, "the backend's own plan", "good")
    elif stored.profile is not None and stored.profile.peak_memory_mb is not None:
        value = f"{stored.profile.peak_memory_mb:.0f} MiB at most"
        yield Figure(
            "Memory", value, "", f"{stored.profile.device}: the whole process, with Python"
        )


def _programs(stored: Stored) -> Iterator[Figure]:
    """Yields a line for each further program: of another shape, or another method."""
    for number, one in enumerate(stored.programs, 2):
        checks = [check for check in (one.accuracy, one.parity) if check is not None]
        state: State = "unknown" if not checks else "good" if all(c.ok for c in checks) else "bad"
        shapes = ", ".join("×".join(map(str, shape)) for shape in one.shapes)
        value = "; ".join(str(check) for check in checks) or "not checked"
        yield Figure(f"Program {number}: {one.method} {shapes}".rstrip(), value, state=state)
