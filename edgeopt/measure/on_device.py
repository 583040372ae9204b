"""Runs, verifies and measures a bundle on a device, its requirements installed on demand."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np

from edgeopt.bundles.npy import write_npz
from edgeopt.bundles.wheels import unpack_wheels
from edgeopt.devices.lock import measuring
from edgeopt.devices.process import ended
from edgeopt.errors import DeviceError, InputError
from edgeopt.files import temporary_folder
from edgeopt.measure.counts import OperatorCounts
from edgeopt.measure.fits import other_core, refuse_other_cpu
from edgeopt.measure.native import NativeRunner, has_python, needs_native
from edgeopt.measure.operators import OperatorProfile
from edgeopt.measure.outputs import by_sample, check_outputs, check_sample, read_outputs
from edgeopt.measure.profile import Profile
from edgeopt.measure.throughput import Throughput
from edgeopt.measure.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path, PurePosixPath

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Completed, Device, Signature

__all__ = ["PlacedBundle", "Verification"]

_OK, _WRONG, _USAGE, _MISSING = 0, 1, 2, 3  # exit statuses of run.py
_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"


class Verification(msgspec.Struct, frozen=True):
    """What a device says after checking every file and every golden sample of a bundle.

    Attributes:
        ok: Whether all of it is right.
        lines: What the runner said.
    """

    ok: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class PlacedBundle:
    """A bundle that lies on a device.

    Args:
        bundle: The bundle.
        device: The device; it stays open.
        timeout_s: Of each command on the device.
    """

    def __init__(self, bundle: Bundle, device: Device, *, timeout_s: float = 600.0) -> None:
        self.bundle = bundle
        self.device = device
        self.timeout_s = timeout_s
        self._root = device.workdir() / "bundles" / bundle.digest[:16]
        requirements = "\n".join(bundle.manifest.requirements).encode()
        self._site = device.workdir() / "site" / hashlib.sha256(requirements).hexdigest()[:16]
        self._others: tuple[PurePosixPath, ...] = ()
        self._native: NativeRunner | None = None

    @classmethod
    def push(cls, bundle: Bundle, device: Device, *, timeout_s: float = 600.0) -> Self:
        """Returns the bundle on the device, copied there now.

        Raises:
            DeviceError: It is for another processor, or cannot be copied.
            BundleError: It changed since it was read.
        """
        refuse_other_cpu(bundle, device)
        placed = cls(bundle, device, timeout_s=timeout_s)
        with temporary_folder() as folder:
            # what was read and checked, and not what lies at its place by now
            device.push(bundle.unpack(folder / "bundle").path, placed._root)
        if needs_native(bundle, device):
            placed._native = NativeRunner(bundle, device, placed._root, timeout_s)
        return placed

    def verify(self) -> Verification:
        """Returns whether every file and every golden sample is right there.

        Raises:
            DeviceError: It cannot be run.
        """
        if self._native is not None:
            return self._verify_native()
        result = self._run(["--verify"])
        if result.returncode not in {_OK, _WRONG}:
            raise self._failure(result)
        text = result.stdout if result.returncode == _OK else result.stdout + result.stderr
        return Verification(result.returncode == _OK, tuple(text.splitlines()))

    def profile(
        self, *, inputs: Sequence[np.ndarray] | None = None, program: int = 0, **how: Any
    ) -> Profile:
        """Returns times, memory and facts; ``how`` are fields of `How`.

        Args:
            inputs: What it runs on; its own samples where None.
            program: Number of the program, from 1 on; 0 for the first.
            **how: Fields of `How`.
        """
        settings = Timing(**how)
        words = ["--benchmark", *settings.words(native=self._native is not None)]
        words += ["--program", str(program)] if program else []
        with measuring(self.device), self._scratch() as (local, remote):
            text = self._benchmark(words, inputs, local, remote)
        name, emulated = self.device.name, self.device.emulated
        profile = Profile.from_json(text, device=name, emulated=emulated, asked=settings.runs)
        if profile.digest != self.bundle.digest:
            raise DeviceError("another bundle was measured", where=name)
        unlike = other_core(self.device, self.bundle.manifest.target)
        return msgspec.structs.replace(profile, warnings=(*profile.warnings, *unlike))

    def operators(self, **how: Any) -> OperatorProfile:
        """Returns what each operator takes; ``how`` are fields of `How`.

        Raises:
            DeviceError: The runtime there cannot time operators, or the device is emulated.
        """
        self._require_times("times of operators would say nothing of a device")
        text = self._measured(["--profile", *Timing(**how).words()])
        return OperatorProfile.from_json(text, device=self.device.name, bundle=self.bundle)

    def throughput(self, *, streams: int = 0, **how: Any) -> Throughput:
        """Returns runs a second when several are asked for at once; ``how`` are fields of `How`.

        Args:
            streams: How many at once; 0 tries several and takes the fastest.
            **how: Fields of `How`.

        Raises:
            DeviceError: It does not run there, or the device is emulated.
        """
        self._require_times("how many runs it does a second says nothing of a device")
        words = ["--throughput", "--streams", str(streams), *Timing(**how).words()]
        return Throughput.from_json(self._measured(words), device=self.device.name)

    def operator_counts(self, **how: Any) -> OperatorCounts:
        """Returns what each step takes on a microcontroller: cycles, or an emulator's instructions.

        Raises:
            DeviceError: The board has no counter, or cannot be used.
        """
        text = self._measured(["--profile", *Timing(**how).words()])
        return OperatorCounts.from_json(text, device=self.device.name, bundle=self.bundle)

    def beside(self, other: PlacedBundle, **how: Any) -> bytes:
        """Returns the JSON of runs of this bundle and of ``other``, in turn, by one process there.

        ``how`` are fields of `How`.

        Raises:
            DeviceError: One of them does not run there, or the device is emulated.
        """
        self._require_times("not even which of two models is faster can be seen there")
        self._site_of(other)
        return self._measured(["--against", str(other._root), *Timing(**how).words()])

    def _require_times(self, otherwise: str) -> None:
        name = self.device.name
        if self.device.emulated:
            raise DeviceError(f"it is emulated: {otherwise}", where=name)
        if self._native is not None:
            hint = "`model/run --profile` there prints the time of each kernel"
            raise DeviceError("this needs Python on the device", where=name, hint=hint)

    def _measured(self, words: list[str]) -> bytes:
        with measuring(self.device), self._scratch() as (local, remote):
            self._run_well([*words, "--json", str(remote / "times.json")])
            self.device.pull(remote / "times.json", local / "times.json")
            return (local / "times.json").read_bytes()

    def _site_of(self, other: PlacedBundle) -> None:
        """Has the modules of ``other`` found too; installs them where they are missing."""
        if other._site == self._site:
            return
        other._run_well(["--benchmark", "--runs", "1", "--warmup", "0"])
        self._others = (*self._others, other._site)

    def run(
        self, samples: Sequence[Sequence[np.ndarray]], *, threads: int = 0
    ) -> list[tuple[np.ndarray, ...]]:
        """Returns the first program's outputs for each sample, all run by one process on the device.

        Args:
            samples: One sequence of arrays for each call, in the signature's order and dtypes, its state among them.
            threads: Threads of the runtime; 0 leaves it to the runtime.

        Raises:
            InputError: A sample does not fit the signature.
            DeviceError: It cannot be run there.
        """
        return self._run_program(0, samples, threads)

    def _run_program(
        self, program: int, samples: Sequence[Sequence[np.ndarray]], threads: int = 0
    ) -> list[tuple[np.ndarray, ...]]:
        signature = self.bundle.manifest.programs[program].signature
        for number, sample in enumerate(samples):
            check_sample(sample, signature.inputs, f"sample {number}")
        which = ["--program", str(program + 1)]
        outputs = self._run_each(samples, signature, which, threads)
        for number, sample in enumerate(outputs):
            check_outputs(sample, signature.outputs, f"outputs of sample {number}")
        return outputs

    def play(
        self, samples: Sequence[Sequence[np.ndarray]], *, method: str = "", threads: int = 0
    ) -> list[tuple[np.ndarray, ...]]:
        """Returns what a method answers to each sample, one call after the other, its state carried along.

        Args:
            samples: One sequence of arrays for each call: the inputs that are no state, all samples of one shape.
            method: Its name; empty for the first.
            threads: Threads of the runtime; 0 leaves it to the runtime.

        Raises:
            InputError: There is no such method, or a sample does not fit it.
            DeviceError: It cannot be run there.
        """
        manifest = self.bundle.manifest
        signature = manifest.interface(method)
        which = ["--method", method or manifest.method]
        return self._run_each(samples, signature, which, threads)

    def _run_each(
        self,
        samples: Sequence[Sequence[np.ndarray]],
        signature: Signature,
        which: list[str],
        threads: int,
    ) -> list[tuple[np.ndarray, ...]]:
        if not samples:
            return []
        for number, sample in enumerate(samples):
            if len(sample) != len(signature.inputs):
                what = f"{len(sample)} inputs, expected {len(signature.inputs)}"
                raise InputError(what, where=f"sample {number}")
        with self._scratch() as (local, remote):
            columns = [np.stack(column) for column in zip(*samples, strict=True)]
            how = [*which, "--threads", str(threads)]
            if self._native is not None:
                outputs = self._native.run_each(columns, signature, local, remote, how)
            else:
                words = [*self._send(columns, local, remote, signature), *how]
                self._run_well([*words, "--each", "--output", str(remote / "out.npz")])
                self.device.pull(remote / "out.npz", local / "out.npz")
                outputs = read_outputs(local / "out.npz", signature.outputs, columns)
        return by_sample(outputs, len(samples))

    def _benchmark(
        self,
        words: list[str],
        inputs: Sequence[np.ndarray] | None,
        local: Path,
        remote: PurePosixPath,
    ) -> bytes:
        """Returns the JSON that a benchmark writes."""
        if self._native is not None:
            signature = self.bundle.manifest.signature
            arguments = (
                [] if inputs is None else self._native.send(inputs, signature, local, remote)
            )
            self._native.benchmark([*words, *arguments], remote)
        else:
            arguments = [] if inputs is None else self._send(inputs, local, remote)
            self._run_well([*words, *arguments, "--json", str(remote / "times.json")])
        self.device.pull(remote / "times.json", local / "times.json")
        text = (local / "times.json").read_bytes()
        return text if self._native is None else self._native.named(text)

    def _verify_native(self) -> Verification:
        count, failed = 0, []
        for program in range(len(self.bundle.manifest.programs)):
            golden = self.bundle.golden(program)
            if golden is not None:
                outputs = iter(self._run_program(program, golden.inputs))
                failed += golden.differences(lambda *_, made=outputs: next(made))
                count += len(golden.inputs)
        said = (
            f"{count} golden samples are right" if count else "there are no golden samples to check"
        )
        return Verification(ok=not failed, lines=tuple(failed) or (said,))

    def _send(
        self,
        columns: Sequence[np.ndarray],
        local: Path,
        remote: PurePosixPath,
        signature: Signature | None = None,
    ) -> list[str]:
        """Returns the words that make run.py read ``columns``, which are on the device then."""
        names = [spec.name for spec in (signature or self.bundle.manifest.signature).inputs]
        (local / "in.npz").write_bytes(write_npz(dict(zip(names, columns, strict=True))))
        self.device.push(local / "in.npz", remote / "in.npz")
        return ["--input", str(remote / "in.npz")]

    @property
    def _remove(self) -> Sequence[str]:
        return ("python3", "-c", _REMOVE) if has_python(self.device) else ("rm", "-rf", "--")

    def _run(self, words: Sequence[str]) -> Completed:
        """Runs run.py; installs the requirements and runs it again where they are missing."""
        command = ["python3", str(self._root / "run.py"), *words]
        env = {"PYTHONPATH": ":".join(map(str, (self._site, *self._others)))}
        result = self.device.run(command, env=env, timeout_s=self.timeout_s)
        if result.returncode == _MISSING:
            self._install()
            result = self.device.run(command, env=env, timeout_s=self.timeout_s)
        return result

    def _install(self) -> None:
        """Installs what the bundle needs: the wheels that it holds, else from the index."""
        with temporary_folder() as folder:
            wheels = unpack_wheels(self.bundle, folder)
            requirements = wheels or self.bundle.manifest.requirements or ("numpy",)
            self.device.install(requirements, self._site)

    def _run_well(self, words: Sequence[str]) -> None:
        result = self._run(words)
        if result.returncode != _OK:
            raise self._failure(result)

    def _failure(self, done: Completed) -> DeviceError | InputError:
        text = (done.stderr.strip() or done.stdout.strip() or "it said nothing")[-2000:]
        if done.returncode == _USAGE:
            return InputError(text, where=self.device.name)
        return DeviceError(f"run.py {ended(done.returncode)}: {text}", where=self.device.name)

    @contextmanager
    def _scratch(self) -> Iterator[tuple[Path, PurePosixPath]]:
        """Yields a folder here and one on the device; both are gone afterwards."""
        remote = self.device.workdir() / "scratch" / uuid.uuid4().hex
        with temporary_folder() as folder:
            local = folder
            (local / "empty").mkdir()
            (local / "empty" / "mark").write_bytes(b"")
            self.device.push(local / "empty", remote)
            try:
                yield local, remote
            finally:
                with suppress(DeviceError):  # what went wrong before matters more
                    self.device.run([*self._remove, str(remote)])
