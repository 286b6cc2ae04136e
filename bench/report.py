# SPDX-License-Identifier: BSD-3-Clause
"""Cycles a packet of each step of the worker's loop, so that a regression names its step.

The worker's own loop, built a second time with a look at the time-stamp counter at the end of each step of
each burst, runs in turn with the ordinary one: `measured_cycles_per_packet` beside `cycles_per_packet` is
what the looks cost, `looks_cycles_per_packet` what they would if nothing overlapped them.
"""

import statistics
import tempfile

from common import CORE, Measurer, add_flows, add_rounds, reserve_huge_pages

FLOWS = (1_000, 100_000)
FRAME_BYTES = 64
STEPS = ("receive", "parse", "look_up", "apply", "transmit", "rest")
TOTALS = ("cycles_per_packet", "measured_cycles_per_packet", "looks_cycles_per_packet")


def add_options(parser):
    parser.add_argument("--scenario", default="full",
                        choices=("forward", "encap", "decap", "nat", "lb", "full"))
    add_flows(parser, action="append")
    add_rounds(parser, 5)


def measure(scenario, flows, rounds):
    reserve_huge_pages(1024 + flows * 12 // 1024)
    with tempfile.TemporaryDirectory() as folder, \
         Measurer("throughput", "--scenario", scenario, "--flows", flows, "--frame", FRAME_BYTES,
                  "--core", CORE, "--folder", folder, "--steps") as switch:
        found = [switch.measure() for _ in range(rounds)]

    def median(of):
        return round(statistics.median(map(of, found)), 1)

    return {"benchmark": "report", "scenario": scenario, "flows": flows, "frame_bytes": FRAME_BYTES,
            **{f"{step}_cycles": median(lambda one, step=step: one["steps"][step]) for step in STEPS},
            **{total: median(lambda one, total=total: one[total]) for total in TOTALS}}


def run(options, rows):
    rounds = options.rounds or (3 if options.quick else 5)
    for flows in options.flows or FLOWS:
        with rows.attempt(f"report: {options.scenario}, {flows} flows"):
            rows.append(measure(options.scenario, flows, rounds))
