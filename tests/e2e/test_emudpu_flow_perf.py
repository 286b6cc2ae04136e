# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-test-flow-perf inserts and deletes a million rules.

covers: O20
"""

import re

from lab import run
from testpmd import DRIVER

WANTED_PER_SECOND = 500_000
ATTEMPTS = 5


def measure():
    """Rules inserted and deleted a second."""
    output = run("dpdk-test-flow-perf", "--no-huge", "-m", "512", "--no-pci", "--no-shconf", "--no-telemetry",
                 "-l", "0,1", "-d", DRIVER, "--vdev", "net_emudpu0,profile=unlimited", "--", "--ingress",
                 "--group=1", "--ether", "--ipv4", "--queue", "--rules-count=1000000", "--rules-batch=100000",
                 "--deletion-rate", timeout=120).stdout
    rates = {kind: 1000 * float(rate) for kind, rate in
             re.findall(r"Core 0 :: Rules (insertion|deletion) rate -> ([0-9.]+) K", output)}
    assert set(rates) == {"insertion", "deletion"}, output[-2000:]
    return rates


def test_a_million_rules_at_half_a_million_a_second(record_property):
    """Other work on the machine only slows it: the best of a few attempts counts."""
    best = {"insertion": 0.0, "deletion": 0.0}
    for _ in range(ATTEMPTS):
        rates = measure()
        best = {kind: max(best[kind], rates[kind]) for kind in best}
        if best["insertion"] >= WANTED_PER_SECOND:
            break
    for kind, rate in best.items():
        record_property(f"{kind}_per_second", round(rate))
        print(f"{kind}: {rate:,.0f} rules/s")
    assert best["insertion"] >= WANTED_PER_SECOND
    assert best["deletion"] >= WANTED_PER_SECOND
