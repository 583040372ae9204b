"""Imported before transformers: keeps what torchao says at its import, where it is installed, off the terminal.

The command line does the same; a program of yours need not.
"""

import logging

for _name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(_name).setLevel(logging.ERROR)
