"""Tests beside timm, torchvision and ultralytics, which lie in a folder of their own (``make out/models/.installed``).

`tests/integration/test_libraries.py` runs each file here in a process of its own, with that folder on its path: other
libraries look what there is to import, and remember it.
"""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("timm") else ["test_*.py"]
