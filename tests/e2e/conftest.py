# SPDX-License-Identifier: BSD-3-Clause
"""What the end-to-end tests share: the city, once with one worker and once with two.

A test that takes `city` finds the city's own policy in force and leaves it so. At its end the counters
of every port must add up: packets in = packets out + drops, exactly (S15).
"""

import os

import pytest

from city import build_city
from lab import BIN, Lab, LabError, wait_for

WORKERS = {"one-worker": [1], "two-workers": [0, 1]}


def pytest_configure(config):
    config.addinivalue_line("markers", "alongside: keeps one core busy for long, whatever else runs")
    if os.geteuid() != 0:
        raise pytest.UsageError("end-to-end tests make network namespaces: run them as root")
    if not (BIN / "gannetd").exists():
        raise pytest.UsageError(f"{BIN}/gannetd is not there: run ./run build")


@pytest.fixture(scope="session", params=WORKERS, ids=list(WORKERS))
def running_city(request):
    """A city with all its hosts, for as long as tests with so many workers run."""
    cores = [core for core in WORKERS[request.param] if core < os.cpu_count()]
    with Lab() as lab:
        yield build_city(lab, cores)


@pytest.fixture
def city(running_city):
    """The running city with its own policy in force."""
    yield running_city
    if running_city.gannet.process.poll() is not None:
        raise LabError(f"gannetd has ended: {running_city.gannet.output()}")
    balance(running_city.gannet)
    running_city.restore()


@pytest.fixture
def lab():
    """An empty lab."""
    with Lab() as made:
        yield made


def balance(gannet):
    """Waits until every port's counters add up."""
    try:
        wait_for("the counters to add up", lambda: not gannet.unbalanced(), timeout=5)
    except LabError as error:
        raise AssertionError(f"packets in are not packets out plus drops: {gannet.unbalanced()}") \
            from error
