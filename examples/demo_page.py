"""The page that the demo writes: photographs nobody calibrated on, and what float and int8 say of them."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    import torch

STYLE = """
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } .verdict { font-size: 1.15rem; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .5rem .7rem; text-align: left; vertical-align: top; }
tr + tr { border-top: 1px solid #8884; } img { width: 128px; height: 128px; object-fit: cover; border-radius: 6px; display: block; }
ol { list-style: none; margin: 0; padding: 0; } li { position: relative; padding: .1rem .4rem; margin-bottom: .15rem; }
li i { position: absolute; inset: 0 auto 0 0; background: #3b82f640; border-radius: 3px; }
li span { position: relative; } .other { outline: 2px solid #d97706; border-radius: 3px; }
small { opacity: .75; }
"""


def write_page(
    file: Path,
    verdict: list[str],
    photographs: list[Path],
    answers: dict[str, torch.Tensor],
    names: list[str],
) -> None:
    """Writes the page: one file, which needs nothing else.

    Args:
        file: Where it goes.
        verdict: Lines at the top.
        photographs: What was asked about.
        answers: Who answered, to scores (photographs, classes); the first is what others are held against.
        names: Of the classes.
    """
    head = "".join(f"<th scope=col>{html.escape(who)}</th>" for who in answers)
    shares = {who: scores.softmax(1) for who, scores in answers.items()}
    first = next(iter(shares.values()))
    rows = []
    for place, photograph in enumerate(photographs):
        cells = "".join(
            f"<td>{top(share[place], names, other=share[place].argmax() != first[place].argmax())}</td>"
            for share in shares.values()
        )
        said = html.escape(photograph.name)
        rows.append(f'<tr><td><img src="{thumbnail(photograph)}" alt="{said}"></td>{cells}</tr>')
    paragraphs = "".join(f"<p class=verdict>{html.escape(line)}</p>" for line in verdict)
    note = "Bars are probabilities. A frame marks another first class than float's."
    file.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>edgeopt: the demo</title>"
        f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
        f"<h1>EfficientNet-Lite0 in int8, beside float</h1>{paragraphs}<p><small>{note}</small></p>"
        f"<table><thead><tr><th scope=col>photograph</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></html>",
        encoding="utf-8",
    )


def top(shares: torch.Tensor, names: list[str], *, other: bool, count: int = 3) -> str:
    """Returns the most probable classes as bars."""
    rows = []
    for rank, (share, index) in enumerate(zip(*shares.topk(count), strict=True)):
        mark = " class=other" if other and rank == 0 else ""
        width = f"<i style='width:{100 * float(share):.0f}%'></i>"
        said = f"{html.escape(names[int(index)])} <small>{100 * float(share):.0f} %</small>"
        rows.append(f"<li{mark}>{width}<span>{said}</span></li>")
    return f"<ol>{''.join(rows)}</ol>"


def thumbnail(file: Path) -> str:
    """Returns a small JPEG of a picture as an address that holds it."""
    picture = Image.open(file).convert("RGB")
    picture.thumbnail((256, 256))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
