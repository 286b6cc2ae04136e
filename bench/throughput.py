# SPDX-License-Identifier: BSD-3-Clause
"""Packets a second through one worker, against testpmd in io mode and Open vSwitch (scenario full) on
the same packets and core."""

import contextlib
import pathlib
import statistics
import sys
import tempfile

from common import (AGAIN, CORE, BenchError, Measurer, add_flows, add_rounds, add_seconds, reserve_huge_pages,
                    testpmd_mpps, whole)
from ovs import MAX_FLOWS, Ovs

SCENARIOS = ("forward", "encap", "decap", "nat", "lb", "full")
WIRE_OVERHEAD_BYTES = 20  # Preamble and gap of a frame.
IMIX_BYTES = (7 * 64 + 4 * 594 + 1518) / 12
# Rows of a whole run: scenario, flows, frame.
FLOWS = (1_000, 100_000, 1_000_000)
SWEEP = [("full", 1, 64)] + [("full", 1_000, frame) for frame in (128, 256, 512, 1024, 1280, 1518, "imix")]
QUICK = [("full", 1_000, 64), ("full", 100_000, 64), ("forward", 1_000, 64)]


def frame_of(text):
    return text if text == "imix" else whole(64, 1_518)(text)


def add_options(parser):
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help=f"{', '.join(SCENARIOS)}{AGAIN}")
    add_flows(parser, action="append")
    parser.add_argument("--frame", action="append", type=frame_of, help=f"64 to 1518, or imix{AGAIN}")
    add_rounds(parser, 5)
    add_seconds(parser, 1.0, "of each measurement")
    parser.add_argument("--no-ovs", action="store_true", help="without Open vSwitch")


def measure_ours(switch):
    result = switch.measure()
    if result["slow"] or result["drops"]:
        raise BenchError(f"the flow table did not take every packet: {result}")
    return result


def start_peer(stack, folder, there):
    """Open vSwitch with its connections; None if it could not be set up, twice."""
    for attempt in (1, 2):
        place = pathlib.Path(folder) / f"peer{attempt}"
        place.mkdir()
        try:
            with contextlib.ExitStack() as started:
                peer = started.enter_context(Ovs(place, there))
                print(peer.describe(), file=sys.stderr)
                stack.enter_context(started.pop_all())
                return peer
        except (BenchError, OSError) as error:
            print(f"throughput: attempt {attempt} of 2 to set Open vSwitch up: {error}", file=sys.stderr)
    return None


def measure_peer(peer, seconds):
    """Mpps; None if there is no peer, or not all it forwarded was of established connections."""
    try:
        return peer.measure(seconds) if peer else None
    except (BenchError, OSError) as error:
        print(f"throughput: without Open vSwitch: {error}", file=sys.stderr)
        return None


def measure(scenario, flows, frame, rounds, seconds, with_ovs):
    """One row: medians of `rounds` turns of ours, testpmd and, where it can, Open vSwitch: that is null else."""
    reserve_huge_pages(1024 + flows * 13 // 1000 + (1_500 if with_ovs else 0))
    bytes_option = ["--imix"] if frame == "imix" else ["--frame", frame]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        switch = stack.enter_context(
            Measurer("throughput", "--scenario", scenario, "--flows", flows, *bytes_option, "--seconds",
                     seconds, "--core", CORE, "--folder", folder))
        files = [switch.ready[way] for way in ("there", "back") if switch.ready[way]]
        buffers = switch.ready["buffers"] + 16_384
        peer = start_peer(stack, folder, switch.ready["there"]) if with_ovs else None
        turns = [(measure_ours(switch), testpmd_mpps(files, buffers, seconds),
                  measure_peer(peer, seconds)) for _ in range(rounds)]
    return row_of(scenario, flows, frame, turns)


def row_of(scenario, flows, frame, turns):
    median = statistics.median
    mpps = median(ours["mpps"] for ours, _, _ in turns)
    with_ovs = all(peer is not None for _, _, peer in turns)
    gbps = mpps * ((IMIX_BYTES if frame == "imix" else frame) + WIRE_OVERHEAD_BYTES) * 8 / 1_000
    return {
        "scenario": scenario, "flows": flows, "frame_bytes": frame, "workers": 1,
        "mpps": round(mpps, 3),
        "cycles_per_packet": round(median(o["cycles_per_packet"] for o, _, _ in turns), 1),
        "testpmd_io_mpps": round(median(limit for _, limit, _ in turns), 3),
        "ratio_to_testpmd": round(median(o["mpps"] / limit for o, limit, _ in turns), 3),
        "ovs_mpps": round(median(peer for _, _, peer in turns), 3) if with_ovs else None,
        "ratio_to_ovs": round(median(o["mpps"] / peer for o, _, peer in turns), 2) if with_ovs else None,
        **{f"share_of_{speed}g": round(gbps / speed, 3) for speed in (10, 25, 40, 100)},
    }


def plan_of(options):
    if options.scenario or options.flows or options.frame:
        return [(scenario, flows, frame) for scenario in options.scenario or SCENARIOS
                for flows in options.flows or [1_000] for frame in options.frame or [64]]
    if options.quick:
        return QUICK
    return [(scenario, flows, 64) for scenario in SCENARIOS for flows in FLOWS] + SWEEP


def run(options, rows):
    rounds = options.rounds or (3 if options.quick else 5)
    for scenario, flows, frame in plan_of(options):
        # Its ports refuse frames of more than 1,518 bytes, tunnel and all.
        with_ovs = (scenario == "full" and flows <= MAX_FLOWS and not options.no_ovs and
                    frame != "imix" and frame <= 1_400)
        with rows.attempt(f"throughput: {scenario}, {flows} flows, {frame} bytes"):
            rows.append(measure(scenario, flows, frame, rounds, options.seconds, with_ovs))
