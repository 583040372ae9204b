"""Moves the fragments in changelog.d/ into CHANGELOG.md as one release.

python scripts/changelog.py 0.2.0            # writes, and removes the fragments
python scripts/changelog.py --check          # says whether every fragment is well named
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("added", "changed", "fixed", "removed", "security")
NAME = re.compile(rf"[a-z0-9-]+\.({'|'.join(KINDS)})\.md")
MARK = "<!-- releases -->\n"


def fragments(folder: Path) -> dict[str, list[Path]]:
    """Returns kind to its fragments, in order of name.

    Raises:
        SystemExit: A file is not named as a fragment, or is empty.
    """
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for path in sorted(folder.iterdir()):
        name = NAME.fullmatch(path.name)
        if name is None or not path.read_text().strip():
            raise SystemExit(
                f"{path}: a fragment is called WHAT.KIND.md, KIND of {', '.join(KINDS)}"
            )
        found[name[1]].append(path)
    return found


def section(version: str, date: str, found: dict[str, list[Path]]) -> str:
    """Returns the text of one release."""
    lines = [f"## {version} ({date})", ""]
    for kind, paths in found.items():
        if not paths:
            continue
        lines += [f"### {kind.capitalize()}", ""]
        for path in paths:
            text = path.read_text().strip().splitlines()
            lines += [f"- {text[0]}", *(f"  {line}".rstrip() for line in text[1:])]
        lines.append("")
    return "\n".join(lines)


def release(root: Path, version: str) -> None:
    """Writes a release into the changelog and removes its fragments."""
    found = fragments(root / "changelog.d")
    if not any(found.values()):
        raise SystemExit("changelog.d/ is empty: nothing to release")
    changelog = root / "CHANGELOG.md"
    date = dt.datetime.now(tz=dt.UTC).date().isoformat()
    head, _, tail = changelog.read_text().partition(MARK)
    changelog.write_text(f"{head}{MARK}\n{section(version, date, found)}{tail}")
    for path in (path for paths in found.values() for path in paths):
        path.unlink()


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("version", nargs="?", help="the release's number")
    work.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    if options.check:
        fragments(ROOT / "changelog.d")
    else:
        release(ROOT, options.version)


if __name__ == "__main__":
    main()
