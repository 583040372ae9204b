"""Reads files in a process of its own and says what Python was asked to do meanwhile.

    python watched.py READER HONEST FILE...

The reader takes an honest file first, so that modules of its own are loaded; then `sys.addaudithook`
listens while it takes each of the others. Prints a JSON line a file: what the reader said, and the
events.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
WATCHED = (
    *("exec", "compile", "import", "marshal.", "pickle.", "ctypes.", "subprocess.", "socket."),
    *("os.exec", "os.fork", "os.posix_spawn", "os.putenv", "os.spawn", "os.startfile", "os.system"),
    *("os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"),
    *("shutil.", "tempfile.", "code.__new__", "function.__new__", "cpython.run", "sys.settrace"),
    *("urllib.", "http.", "ftplib.", "webbrowser.", "mmap.", "syslog.", "sqlite3.", "fcntl."),
)
GENERATED = re.compile(r"<eval_with_key>\.\d+( from .*)?")
"""torch.fx writes the code of each graph anew, from names that were checked."""

NAMED = re.compile(
    rb"Argument|Graph|lambda _cls, [\w, ]+: _tuple_new\(_cls, \([\w, ]+\)\)"
    rb"|lambda [\w,]+: fn\([\w,]+\)"
)
"""Types that torch's schema gives as text, and classes of named tuples: names, nothing else."""
NAMES = {("Argument",), ("Graph",), ()}

seen: list[str] = []
listening = False


def hook(event: str, arguments: tuple) -> None:
    if listening:
        text = described(event, arguments)
        if text:
            seen.append(text)


def described(event: str, arguments: tuple) -> str:
    """Returns the event as text; nothing where it is harmless."""
    if event == "open":
        path, _, flags = arguments
        return f"open {path} {flags}" if isinstance(flags, int) and flags & CHANGES else ""
    if not event.startswith(WATCHED):
        return ""
    if event == "exec":
        code = arguments[0]
        named = code.co_names in NAMES and len(code.co_code) < 20
        return "" if named or GENERATED.fullmatch(code.co_filename) else f"exec {code}"
    if event == "compile":
        named = isinstance(arguments[0], bytes) and NAMED.fullmatch(arguments[0])
        generated = GENERATED.fullmatch(str(arguments[1]))
        return "" if named or generated else f"compile {arguments[:2]}"
    if event.startswith("shutil.") and str(arguments[0]).endswith(".part"):
        return ""  # a work folder's draft, of a name that is ours
    return f"{event} {arguments!r}"


def main() -> None:
    """Reads the files."""
    global listening  # noqa: PLW0603 (a hook cannot be taken away again)
    sys.path.insert(0, str(Path(__file__).parent))
    from readers import READERS

    name, honest, *files = sys.argv[1:]
    read = READERS[name]
    for _ in range(2):
        read(honest)
    sys.addaudithook(hook)
    for file in files:
        seen.clear()
        listening = True
        try:
            said = f"read {read(file)}"
        except Exception as error:  # noqa: BLE001 (the test looks at its type)
            said = f"{type(error).__module__}.{type(error).__name__}: {error}"
        listening = False
        line = json.dumps({"said": said, "events": [text[:300] for text in seen]})
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
