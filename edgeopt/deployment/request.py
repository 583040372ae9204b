"""What a user asks for, with what only edgeopt itself says beside."""

from __future__ import annotations

from pathlib import Path

from edgeopt.contracts.storage import Precision
from edgeopt.errors import InputError
from edgeopt.options import DeployOptions

__all__ = ["Request"]


class Request(DeployOptions, frozen=True):
    """What `edgeopt.deploy` was asked for, beside the model and the target."""

    def check(self) -> None:
        """Checks what the options say of the world: that data is there, and room for the bundle.

        Raises:
            InputError: int8 was asked for without data, or something lies at ``output``.
        """
        known = self.precision != "auto" and Precision(self.precision)
        if known and known.needs_calibration and self.calibration_data is None:
            raise InputError(
                f"{self.precision} needs to see real inputs",
                where="calibration_data",
                hint="pass about 100 inputs from your data; without any, precision='int8-dynamic' "
                "quantizes the weights alone",
            )
        if self.output is not None and Path(self.output).exists() and not self.bundle.overwrite:
            raise InputError(
                "something lies there already",
                where=f"output {self.output}",
                hint="choose another name, remove it, or replace it: BundleOptions(overwrite=True) in "
                "Python, --overwrite in the terminal",
            )
