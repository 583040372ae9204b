"""Runs a bundle's programs on this machine as the bundle's own runner does on the device."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgeopt.bundles.device.edgeopt_runner.bundle import Stop
from edgeopt.bundles.device.edgeopt_runner.session import Session
from edgeopt.errors import InputError
from edgeopt.registry import find_backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.bundles.read import Bundle
    from edgeopt.contracts import Artifact, Runner

__all__ = ["BundleRunner", "open_runner"]


def open_runner(bundle: Bundle, *, threads: int = 0) -> Runner:
    """Returns what runs a bundle on this machine: its only program, or a `BundleRunner`.

    Args:
        bundle: The bundle.
        threads: Threads of the runtime; 0 leaves it to the runtime.

    Raises:
        BundleError: A file changed since the bundle was read.
        PluginError: Its backend is not installed here.
        DeviceError: It is for another kind of machine.
    """
    load = partial(find_backend(bundle.manifest.backend).load, threads=threads)
    if bundle.manifest.variants or bundle.manifest.states:
        return BundleRunner(bundle, load)
    return load(bundle.artifact())


class BundleRunner:
    """Calls a bundle: its methods, for inputs of each shape that it has, with the state that it keeps.

    Args:
        bundle: The bundle.
        load: Returns the runner of an artefact; called for a program when that is first needed.
    """

    def __init__(self, bundle: Bundle, load: Callable[[Artifact], Runner]) -> None:
        self._bundle, self._load = bundle, load
        self._runners: dict[int, Runner] = {}
        manifest = msgspec.to_builtins(bundle.manifest)
        states = bundle.initial_states()
        self._session = Session(manifest, lambda view: self._loaded(view["place"]), states)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods; a call of the runner itself calls the first."""
        return tuple(dict.fromkeys(own.method for own in self._bundle.manifest.programs))

    @property
    def states(self) -> dict[str, np.ndarray]:
        """State to its value: what the next call begins with. Assign to an entry to change it."""
        return self._session.states

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Returns the outputs of the first method that are no state; a tuple when several.

        Args:
            *inputs: One array for each input that is no state.

        Raises:
            InputError: No program takes inputs of these shapes or dtypes.
        """
        return self._called("", *inputs)

    def method(self, name: str) -> Callable[..., np.ndarray | tuple[np.ndarray, ...]]:
        """Returns the function that calls a method as `__call__` does the first one.

        Raises:
            InputError: There is none of that name.
        """
        if name not in self.methods:
            hint = f"the methods are: {', '.join(self.methods)}"
            raise InputError(f"there is no method {name!r}", where=self._bundle.name, hint=hint)
        return partial(self._called, name)

    def reset(self) -> None:
        """Puts every state back to what it was before the first call."""
        self._session.reset()

    def close(self) -> None:
        """Releases the runtimes."""
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def facts(self) -> dict[str, Any]:
        """Returns what is worth knowing about the runtime."""
        if not self._runners:
            self._loaded(0)
        return next(iter(self._runners.values())).facts()

    def _called(self, method: str, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        try:
            outputs = self._session.call(method, [np.asarray(array) for array in inputs])
        except Stop as stop:
            raise InputError(stop.what, where=self._bundle.name, hint=stop.hint) from stop
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _loaded(self, program: int) -> Runner:
        if program not in self._runners:
            self._runners[program] = self._load(self._bundle.artifact(program))
        return self._runners[program]
