"""A keyword spotter that was trained: MLPerf Tiny's DS-CNN on words that espeak-ng speaks.

Ten words, other words and noise; each clip is shifted in time, of any loudness, with noise. Judged by voices that
nobody learnt.
"""

from __future__ import annotations

import subprocess
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _micro_models import ds_cnn
from scipy.fft import dct
from scipy.signal import resample_poly
from torch import nn

from edgeopt.bundles.device.edgeopt_runner.mel import log_mel

__all__ = ["features", "trained"]

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHERS = ("bed", "cat", "tree", "house", "seven", "wow", "marvin", "happy", "bird", "zero")
_VOICES = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd")
_SPEAKERS = {True: ("", "+m1", "+m3", "+m5", "+f1", "+f3"), False: ("+m2", "+m7", "+f2", "+f4")}
_RATES = (120, 160, 200)
RATE, LENGTH = 16_000, 16_000
FRAMES, COEFFICIENTS = 49, 10
_MEL = {
    "fft": 640, "hop": 320, "power": 2, "center": False, "drop_last": False, "layout": "frames-bands",
    "bands": 40, "low_hz": 20.0, "high_hz": 4000.0, "scale": "htk", "norm": "none", "floor": 1e-6, "log": "ln",
    "dynamic_range": None, "offset": 0.0, "divisor": 1.0,
}  # fmt: skip
_CENTRES = -5.0, 8.0
STEPS, BATCH, RATE_OF_LEARNING = 700, 96, 3e-3


def trained() -> nn.Module:
    """Returns the network in eval mode; the same each time."""
    sounds, labels = features(4000, learnt=True)
    inputs, targets = torch.from_numpy(sounds), torch.from_numpy(labels)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ds_cnn().train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=RATE_OF_LEARNING, weight_decay=0.01)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE_OF_LEARNING, STEPS)
        for _ in range(STEPS):
            picked = torch.randint(len(inputs), (BATCH,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[picked]), targets[picked]).backward()
            optimizer.step()
            rates.step()
    return model.eval()


def features(count: int, *, learnt: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs, float32 (count, 1, 49, 10), and what is said, int64 (count,).

    Args:
        count: How many.
        learnt: Whether of the voices that are learnt, or of others.
    """
    random = np.random.default_rng(int(learnt))
    clips = _clips(learnt)
    labels = random.integers(len(WORDS) + 2, size=count)
    inputs = [_coefficients(_heard(clips, int(label), random)) for label in labels]
    return np.stack(inputs)[:, None], labels


def _heard(
    clips: dict[str, list[np.ndarray]], label: int, random: np.random.Generator
) -> np.ndarray:
    """Returns a second of sound in which the word is said somewhere."""
    sound = random.standard_normal(LENGTH) * 10 ** random.uniform(-3.0, -1.3)
    if label <= len(WORDS):
        word = WORDS[label] if label < len(WORDS) else OTHERS[random.integers(len(OTHERS))]
        clip = clips[word][random.integers(len(clips[word]))]
        start = int(random.integers(0, LENGTH - len(clip) + 1))
        sound[start : start + len(clip)] += clip * random.uniform(0.2, 1.0)
    return sound


def _coefficients(sound: np.ndarray) -> np.ndarray:
    bands = log_mel(sound, RATE, _MEL, [FRAMES, _MEL["bands"]])
    first, spread = _CENTRES
    return (dct(bands, norm="ortho", axis=1)[:, :COEFFICIENTS] / spread - first / spread).astype(
        np.float32
    )


@cache
def _clips(learnt: bool) -> dict[str, list[np.ndarray]]:  # noqa: FBT001 (a key of the cache)
    """Returns word to what it sounds like in several voices and at several rates."""
    voices = [f"{v}{speaker}" for v, speaker in product(_VOICES, _SPEAKERS[learnt])]
    asked = [(w, v, r) for w in (*WORDS, *OTHERS) for v, r in product(voices, _RATES)]
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(lambda one: _spoken(*one), asked))
    clips: dict[str, list[np.ndarray]] = {}
    for (word, _, _), sound in zip(asked, spoken, strict=True):
        clips.setdefault(word, []).append(sound)
    return clips


def _spoken(word: str, voice: str, words_a_minute: int) -> np.ndarray:
    """Returns the loud part of what espeak-ng says, at most a second at 16 kHz, in [-1, 1]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-w", str(path), word]
        subprocess.run(command, check=True, capture_output=True)
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
    loud = np.flatnonzero(np.abs(sound) > 0.01)  # noqa: PLR2004 (of full scale: silence)
    return resample_poly(sound[loud[0] : loud[-1] + 1], RATE, rate)[:LENGTH]
