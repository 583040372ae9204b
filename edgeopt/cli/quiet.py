"""Keeps off the terminal what libraries say when they are imported, of no use to who deploys a model."""

from __future__ import annotations

import logging

__all__ = ["quieten"]

_CHATTER = ("torchao", "torch.utils._pytree")
"""Loggers that warn of kernels for other machines, and of each other's names that will be gone: transformers imports both."""


def quieten() -> None:
    """Lets only errors of such libraries through, unless somebody has set a level of their own."""
    for name in _CHATTER:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
