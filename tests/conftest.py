"""What holds for every test: hypothesis tries the same examples in each run, and no example is failed for being slow
(`--hypothesis-profile=explore` tries others). A test that is marked `realtime` is tried again when it has failed while
others used the machine; on a quiet machine its failure is final."""

from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings

from tests.machine import Moment

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=1000)
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("steady")

TRIES = 4
BUSY = 0.1
"""Share of the machine that others may use before a failure is put down to them."""
_again = pytest.StashKey[list[str]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test in real time, up to `TRIES` times; pytest runs all others."""
    if item.get_closest_marker("realtime") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """Of the last try."""
    for left in reversed(range(TRIES)):
        before = Moment.now()
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        after = Moment.now()
        others = after.others_since(before) if before and after else 0.0
        if not left or others < BUSY or not any(report.failed for report in reports):
            break
        crash = next(getattr(report.longrepr, "reprcrash", None) for report in reports if report.failed)
        line = f"{item.nodeid}: others used {others:.0%} of the machine: {crash and crash.message.splitlines()[0]}"
        item.config.stash.setdefault(_again, []).append(line)
    return reports


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what was tried again."""
    if lines := config.stash.get(_again, []):
        terminalreporter.section("tried again")
        for line in lines:
            terminalreporter.line(line)
