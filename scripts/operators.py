"""Prints the canonical operators that docs/ir.md lists, from the table of operator traits.

python scripts/operators.py            prints the table
python scripts/operators.py --write    writes it into docs/ir.md
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgeopt.ir.operators.printed import canonical_table, with_table

DOCUMENT = Path(__file__).parent.parent / "docs" / "ir.md"


def main(arguments: list[str]) -> int:
    """Prints the table, or writes it into the document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into the document")
    if parser.parse_args(arguments).write:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(canonical_table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
