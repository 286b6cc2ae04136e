# SPDX-License-Identifier: BSD-3-Clause
"""A policy of 1,000 other rules comes into force under full load: for how long packets are blocked.

The worker runs its own loop on its own core; the other core reads, compiles and publishes the policy as the
daemon does. The captures never run dry, so loss is that of a line with a queue of 1,024 packets which brings
90 % of what was forwarded just before.
"""

import statistics
import tempfile

from common import CORE, BenchError, Measurer, add_flows, add_rounds, reserve_huge_pages

FLOWS = (1_000, 100_000)
RULES = 1_000


def add_options(parser):
    parser.add_argument("--scenario", choices=("forward", "nat", "lb", "full"), default="full")
    add_flows(parser, action="append")
    add_rounds(parser, 9)


def measure(scenario, flows, rounds):
    reserve_huge_pages(1024 + flows * 12 // 1024)
    with tempfile.TemporaryDirectory() as folder, \
         Measurer("swap", "--scenario", scenario, "--flows", flows, "--rules", RULES, "--core", CORE,
                  "--folder", folder) as switch:
        swaps = [switch.measure() for _ in range(rounds)]
    if any(swap["mpps_before"] == 0 for swap in swaps):
        raise BenchError("nothing was forwarded")
    row = {"benchmark": "swap", "scenario": scenario, "flows": flows, "rules": RULES}
    for key in ("mpps_before", "mpps_meanwhile", "in_force_ms", "conforming_ms", "blocked_ms",
                "blocked_until_in_force_ms", "blocked_undisturbed_ms", "longest_wait_us",
                "longest_turn_us"):
        row[key] = round(statistics.median(swap[key] for swap in swaps), 3)
    # Dropped by the switch, of all rounds: none of the flows is touched.
    row["lost"] = sum(swap["drops"] for swap in swaps)
    return row


def run(options, rows):
    rounds = options.rounds or (3 if options.quick else 9)
    for flows in options.flows or FLOWS:
        with rows.attempt(f"swap: {options.scenario}, {flows} flows"):
            rows.append(measure(options.scenario, flows, rounds))
