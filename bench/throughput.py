# SPDX-License-Identifier: BSD-3-Clause
"""Packets a second through one worker, against testpmd in io mode on the same files and core."""

import statistics
import tempfile

from common import BenchError, CORE, Measurer, progress, reserve_huge_pages, testpmd_mpps

SCENARIOS = ("forward", "encap", "decap", "nat", "lb", "full")
WIRE_OVERHEAD_BYTES = 20  # Preamble and gap of a frame.


def add_options(parser):
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--flows", action="append", type=int)
    parser.add_argument("--frame", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")


def measure_ours(switch):
    result = switch.measure()
    if result["slow"] or result["drops"]:
        raise BenchError(f"the flow table did not take every packet: {result}")
    return result


def measure(scenario, flows, frame, rounds, seconds):
    """One row: medians of `rounds` pairs."""
    reserve_huge_pages(1024 + flows * 12 // 1024)
    with tempfile.TemporaryDirectory() as folder, \
         Measurer("throughput", "--scenario", scenario, "--flows", flows, "--frame", frame,
                  "--seconds", seconds, "--core", CORE, "--folder", folder) as switch:
        files = [switch.ready[way] for way in ("there", "back") if switch.ready[way]]
        buffers = switch.ready["buffers"] + 16_384
        pairs = [(measure_ours(switch), testpmd_mpps(files, buffers, seconds))
                 for _ in range(rounds)]
    mpps = statistics.median(ours["mpps"] for ours, _ in pairs)
    return {
        "scenario": scenario, "flows": flows, "frame_bytes": frame, "workers": 1,
        "mpps": round(mpps, 3),
        "cycles_per_packet": round(statistics.median(o["cycles_per_packet"] for o, _ in pairs), 1),
        "testpmd_io_mpps": round(statistics.median(limit for _, limit in pairs), 3),
        "ratio_to_testpmd": round(statistics.median(o["mpps"] / limit for o, limit in pairs), 3),
        "share_of_10g": round(mpps * (frame + WIRE_OVERHEAD_BYTES) * 8 / 10_000, 3),
    }


def run(options):
    rows = []
    for scenario in options.scenario or SCENARIOS:
        for flows in options.flows or ([1_000] if options.quick else [1_000, 100_000, 1_000_000]):
            for frame in options.frame or [64]:
                progress(f"{scenario}, {flows} flows, {frame} bytes")
                rows.append(measure(scenario, flows, frame, options.rounds, options.seconds))
    return rows
