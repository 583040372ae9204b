"""Tuning: candidates from templates, built and measured in a process of their own, kept in a database."""

from edgeopt_tvm.tuning.lookup import Chooser, best, open_chooser

__all__ = ["Chooser", "best", "open_chooser"]
