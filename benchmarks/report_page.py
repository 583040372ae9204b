"""The report of a very deep network in Chromium: size, time until it can be used, frames a second while it is dragged.

    python benchmarks/report_page.py [--calls 2000] [--report BUNDLE]

Each frame is one of requestAnimationFrame, with every module open, the pointer dragging: once where text can be
read, once with the whole graph small. Needs playwright, and Debian's chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import edgeopt
from edgeopt.reporting import Document, gather
from edgeopt.testing.deep_report import deep_report

FRAMES = """(seconds) => new Promise((done) => {
  const times = [];
  const tick = (now) => {
    times.push(now);
    if (now - times[0] < 1000 * seconds) return requestAnimationFrame(tick);
    const gaps = times.slice(1).map((time, at) => time - times[at]).sort((a, b) => a - b);
    done({ rate: 1000 * (times.length - 1) / (now - times[0]), slowest: gaps[Math.floor(0.99 * gaps.length)] });
  };
  requestAnimationFrame(tick);
})"""
DRAG = """() => {
  const canvas = document.querySelector("article:not([hidden]) canvas[role=application]");
  const send = (kind, x, y) => canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 1, clientX: x, clientY: y }));
  canvas.setPointerCapture = () => {};
  const box = canvas.getBoundingClientRect();
  let step = 0;
  send("pointerdown", box.left + 200, box.top + 200);
  const move = () => {
    step += 1;
    send("pointermove", box.left + 200 + 30 * Math.sin(step / 9), box.top + 200 - 12 * step % 400);
    requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
}"""


def main(arguments: list[str]) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=2000, help="of the made-up network")
    parser.add_argument("--report", type=Path, help="a bundle instead")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    if options.report is None:
        document = Document((gather(deep_report(options.calls), name="a deep network"),))
    else:
        document = edgeopt.report(options.report)
    page = document.to_html()
    calls = len(document.reports[0].layers)
    print(
        f"{calls} calls: {len(page.encode()) / 1000:.0f} kB, made in {time.perf_counter() - started:.2f} s"
    )
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        measure(browser.new_page(viewport={"width": 1280, "height": 900}), file)
        browser.close()


def measure(tab: Any, file: Path) -> None:
    """Prints what one page takes."""
    started = time.perf_counter()
    tab.goto(file.as_uri())
    tab.wait_for_selector("canvas[role=application]")
    print(f"opens in {time.perf_counter() - started:.2f} s")
    tab.locator("canvas[role=application]").scroll_into_view_if_needed()
    started = tab.evaluate("performance.now()")
    tab.get_by_role("button", name="Open all").click()
    print(f"all modules open, laid out: {tab.evaluate('performance.now()') - started:.0f} ms")
    tab.evaluate(DRAG)
    for name in ("text can be read", "all of it small"):
        figures = tab.evaluate(FRAMES, 3)
        print(
            f"dragged, {name}: {figures['rate']:.0f} frames a second, 99 % within {figures['slowest']:.0f} ms"
        )
        tab.locator("canvas[role=application]").focus()
        for _ in range(14):
            tab.keyboard.press("-")


if __name__ == "__main__":
    main(sys.argv[1:])
