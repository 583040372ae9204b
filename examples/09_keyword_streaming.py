"""A microphone's sound, piece by piece: a detector of speech that remembers, on this machine or a Raspberry Pi 4.

    python examples/09_keyword_streaming.py [folder] [--target rpi4] [--minutes N] [--precision int8]

Silero's detector of voices (its weights come with its package) looks at 32 ms at a time, and keeps two things
from one piece to the next: the last 4 ms of sound, and what its recurrent layer remembers. Both are state of the
bundle: who calls it passes sound and gets a probability. What to look at: `Method`, with the names of
inputs that are read from the state and of outputs that become it; calibration data in sessions; and decisions
beside those of the float model, each with its own memory, over minutes of spoken text. The weights are in int8
(`int8-dynamic`): sound spans more than eight bits hold, so activations stay in float. `--precision int8` rounds them
too, and shows what that costs: about one decision in a hundred.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import wave
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.signal import resample_poly
from torch import nn

import edgeopt

RATE = 16_000
PIECE, CONTEXT, HIDDEN = 512, 64, 128
SPEECH = 0.5
VOICES = ("en-us", "en-gb", "de", "fr", "es")
SENTENCES = (
    "The north wind and the sun were disputing which was the stronger.",
    "Please call Stella. Ask her to bring these things with her from the store.",
    "Turn the light in the kitchen on, and wake me at seven.",
    "A model that listens has to remember what it has heard.",
)


class VoiceDetector(nn.Module):
    """Silero's detector at 16 kHz: a short Fourier transform, four convolutions, an LSTM cell."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, HIDDEN)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(
        self, sound: torch.Tensor, context: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Returns how probable speech is, (1, 1), and what is kept for the next piece.

        Args:
            sound: The piece, (1, 512), in [-1, 1].
            context: The end of the piece before, (1, 64).
            hidden: What the recurrent layer put out, (1, 128).
            cell: What it remembers, (1, 128).
        """
        whole = torch.cat([context, sound], 1)
        padded = nn.functional.pad(whole, (0, CONTEXT), "reflect").unsqueeze(1)
        real, imaginary = self.stft_conv(padded).chunk(2, 1)
        features = (real**2 + imaginary**2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            features = layer(features).relu()
        hidden, cell = self.lstm_cell(features.squeeze(-1), (hidden, cell))
        speech = self.final_conv(hidden.relu().unsqueeze(-1)).sigmoid().squeeze(-1)
        return {"speech": speech, "context": whole[:, -CONTEXT:], "hidden": hidden, "cell": cell}


def detector() -> VoiceDetector:
    """Returns the detector with the weights of the package silero-vad."""
    model = VoiceDetector().eval()
    file = resources.files("silero_vad") / "data" / "silero_vad_16k.safetensors"
    with resources.as_file(file) as path:
        model.load_state_dict(load_file(path))
    return model


def method(model: VoiceDetector) -> edgeopt.Method:
    """Returns what is deployed: three of the inputs are outputs of the call before."""
    zeros = (torch.zeros(1, CONTEXT), torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN))
    states = {name: name for name in ("context", "hidden", "cell")}
    return edgeopt.Method(model, (torch.zeros(1, PIECE), *zeros), reads=states, writes=states)


def session(seed: int, seconds: float) -> torch.Tensor:
    """Returns sound with speech, silence and noise in turn, as pieces (count, 1, 512)."""
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < seconds * RATE:
        sentence = SENTENCES[random.integers(len(SENTENCES))]
        speech = spoken(
            sentence, VOICES[random.integers(len(VOICES))], int(random.integers(120, 220))
        )
        pause = np.zeros(int(random.uniform(0.3, 1.5) * RATE))
        parts += [speech * random.uniform(0.1, 1.0), pause]
    sound = np.concatenate(parts)[: int(seconds * RATE)]
    noisy = sound + random.standard_normal(len(sound)) * 10 ** random.uniform(-4.0, -2.0)
    pieces = noisy[: len(noisy) // PIECE * PIECE].reshape(-1, 1, PIECE)
    return torch.from_numpy(pieces.astype(np.float32))


def spoken(text: str, voice: str, words_a_minute: int) -> np.ndarray:
    """Returns what espeak-ng says, at 16 kHz, in [-1, 1]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-w", str(path), text]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            raise SystemExit("espeak-ng is missing\n  -> sudo apt-get install espeak-ng") from None
        with wave.open(str(path)) as file:
            rate = file.getframerate()
            sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
    return resample_poly(sound, RATE, rate)


def probabilities(runner: edgeopt.Bundle, pieces: torch.Tensor) -> tuple[np.ndarray, float]:
    """Returns what the bundle says of each piece, and how many milliseconds one takes."""
    runner.reset()
    started = time.perf_counter()
    answers = [runner(piece.numpy()).item() for piece in pieces]
    return np.array(answers), 1000 * (time.perf_counter() - started) / len(answers)


def float_probabilities(model: VoiceDetector, pieces: torch.Tensor) -> np.ndarray:
    """Returns what the float model says of each piece, with a memory of its own."""
    state = [torch.zeros(1, CONTEXT), torch.zeros(1, HIDDEN), torch.zeros(1, HIDDEN)]
    answers = []
    with torch.no_grad():
        for piece in pieces:
            kept = model(piece, *state)
            state = [kept["context"], kept["hidden"], kept["cell"]]
            answers.append(kept["speech"].item())
    return np.array(answers)


def main(folder: Path, target: str, minutes: float, precision: str) -> None:
    """Deploys, and listens."""
    model = detector()
    deployment = edgeopt.deploy(
        method(model),
        target,
        precision=precision,
        calibration_data=[session(seed, 12.0) for seed in range(6)],
        bundle={"name": "voice-detector", "overwrite": True},
        output=folder / target,
    )
    print(deployment)
    pieces = session(100, 60.0 * minutes)
    runner = edgeopt.load(deployment.bundle)
    answers, milliseconds = probabilities(runner, pieces)
    expected = float_probabilities(model, pieces)
    equal = float(((answers > SPEECH) == (expected > SPEECH)).mean())
    share = float((expected > SPEECH).mean())
    print(f"{len(pieces)} pieces of {1000 * PIECE / RATE:.0f} ms, speech in {100 * share:.0f} %")
    print(f"decisions as the float model's: {100 * equal:.2f} %")
    print(f"{milliseconds:.3f} ms a piece on this machine, its state carried along")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/voice"))
    parser.add_argument("--target", default="host")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--precision", default="int8-dynamic")
    options = parser.parse_args()
    main(options.folder, options.target, options.minutes, options.precision)
