#!/usr/bin/env python3
"""Runs the model of this bundle. Needs numpy and the bundle's requirements, nothing else.

    python3 run.py --input photo.npy --output scores.npy
    python3 run.py --image photo.jpg --top 5
    python3 run.py --input ids=a.npy --input mask=b.npy --output all.npz
    python3 run.py --benchmark --runs 200 --threads 4 --json times.json
    python3 run.py --verify
    python3 run.py --info

Exit status: 0 done; 1 the bundle is damaged, or the model failed or gave a wrong result;
2 wrong usage or input; 3 numpy, the runtime or Pillow is not installed (the message says what to
type). Runs on Python 3.9 and numpy 1.21, and later. A bundle holds this file word for word.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Last on the path, so that nothing beside this file can stand in for an installed module;
    # and no bytecode beside it, since a bundle stays as it was written.
    sys.dont_write_bytecode = True
    sys.path[:1] = []
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    for entry in os.scandir(os.path.join(sys.path[-1], "edgeopt_runner")):
        # Python would read it whole before its digest can be looked at.
        if entry.stat(follow_symlinks=False).st_size > 1 << 20:
            sys.exit(f"run.py: edgeopt_runner/{entry.name}: too large; copy the bundle again")
    from edgeopt_runner.main import main

    sys.exit(main(doc=__doc__ or "", root=sys.path[-1]))
