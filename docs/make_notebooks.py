"""Makes the notebooks of docs/notebooks from their Python files, and runs them into out/notebooks.

python docs/make_notebooks.py                      # all of them
python docs/make_notebooks.py classification       # some
python docs/make_notebooks.py --no-run             # write them without outputs

The sources are jupytext's percent format: plain Python, whose comments are the text. What is kept in the repository
has no outputs; Jupyter opens the Python files too, where jupytext is installed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

SOURCES = Path(__file__).with_name("notebooks")
OUTPUT = Path(__file__).parents[1] / "out" / "notebooks"


def main(arguments: list[str]) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = sorted(path.stem for path in SOURCES.glob("*.py"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; or all")
    parser.add_argument("--no-run", action="store_true", help="write them without outputs")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write them to")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(names):
        parser.error(
            f"no such notebook: {', '.join(sorted(unknown))}; there are {', '.join(names)}"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or names:
        notebook = jupytext.read(SOURCES / f"{name}.py")
        if not options.no_run:
            run(notebook)
        nbformat.write(notebook, options.output / f"{name}.ipynb")
        print(options.output / f"{name}.ipynb")
    return 0


def run(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells in a folder of their own; a cell that fails ends it, with its traceback.

    The kernel is spoken to through sockets that are files, not through ports, which anybody here could open.
    """
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a debugger's warning, of no use here
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        sockets = f"{folder}/kernel"
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=sockets)
        client = NotebookClient(notebook, manager, timeout=600, resources=resources)
        client.owns_km = True  # it ends the kernel, too
        client.execute()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
