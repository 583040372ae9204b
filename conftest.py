"""What holds for all tests.

Files with slow tests are run first, so that no worker is left alone with one at the end (the Makefile passes
``--no-loadscope-reorder`` for that). ``--no-skips``: on a machine that has all that the tests need, a skipped test
is a failure. What torch.export lists and overrides for each capture it prepares once a process, which is two thirds
of the capture of a small model (`edgeopt.testing.cheap_export`; processes that tests start do without).
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.terminal import TerminalReporter

_SKIPPED = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failure")


def pytest_configure(config: pytest.Config) -> None:
    """Collects the skips, here where the reports of all workers arrive."""
    config.stash[_SKIPPED] = []
    if config.getoption("--no-skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_NoSkips(config.stash[_SKIPPED]), "no-skips")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files with slow tests first."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _cheap_captures() -> Iterator[None]:
    """Captures cost what the model costs, and the garbage collector passes over torch's modules."""
    from edgeopt.testing.cheap_export import cheap_export  # noqa: PLC0415 (torch, of no use to collect tests)

    gc.freeze()
    with cheap_export():
        yield


class _NoSkips:
    """Fails a run in which anything was skipped, a test or a whole file."""

    def __init__(self, skipped: list[str]) -> None:
        self._skipped = skipped

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes a skipped test; one that is expected to fail is not skipped."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Notes a file that skips itself."""
        if report.skipped:
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turns success into failure."""
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Says so, before the closing line."""
        if self._skipped:
            terminalreporter.section("skipped, which --no-skips forbids", red=True, bold=True)
            for name in sorted(set(self._skipped)):
                terminalreporter.line(name)
            terminalreporter.line("what is missing: see the reasons above, and `make system`")
