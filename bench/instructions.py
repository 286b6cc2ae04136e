# SPDX-License-Identifier: BSD-3-Clause
"""Instructions a packet of each step of the worker's loop: they are counted, by stepping through one turn.

On one machine with one compiler the same source gives the same numbers, however busy or slow the machine is:
a change of the fast path is seen before any cycle can be measured. `driver` are DPDK's ports, receiving and
sending; `worker` is what the loop does for each burst.
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

from common import CORE, BenchError, Measurer, add_flows, reserve_huge_pages, stop

FLOWS = 1_000
FRAME_BYTES = 64
BURST = 32  # Packets of a port in a turn: the capture files never run dry.
STEPPER = pathlib.Path(__file__).with_name("step_through_turn.py")
# What a step's functions are called, in the order in which they are looked for.
STEPS = {"parse": "FastPath::read", "look_up": "FastPath::look_up", "apply": "FastPath::",
         "transmit": "Transmitter::", "worker": "Worker::poll", "driver": ".so"}


def add_options(parser):
    parser.add_argument("--scenario", default="full",
                        choices=("forward", "encap", "decap", "nat", "lb", "full"))
    add_flows(parser, default=FLOWS)


def step_through_turn(process, counts):
    """Lets gdb count the instructions of a turn of the loop, by function."""
    command = ["gdb", "-q", "-batch", "-nx", "-p", str(process.pid), "-x", str(STEPPER)]
    try:
        done = subprocess.run(command, env={**os.environ, "GANNET_COUNTS": str(counts)},
                              capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError("gdb did not come to the end of a turn") from error
    if not counts.exists():
        raise BenchError(f"gdb could not count: {(done.stderr or done.stdout).strip()[-300:]}")
    return json.loads(counts.read_text())


def measure(options):
    reserve_huge_pages(1024 + options.flows * 12 // 1024)
    with tempfile.TemporaryDirectory() as folder, \
         Measurer("throughput", "--scenario", options.scenario, "--flows", options.flows, "--frame",
                  FRAME_BYTES, "--core", CORE, "--folder", folder, "--seconds", 600) as switch:
        packets = BURST * sum(switch.ready[way] != "" for way in ("there", "back"))
        switch.process.stdin.write("\n")
        switch.process.stdin.flush()
        by_function = step_through_turn(switch.process, pathlib.Path(folder) / "counts.json")
        stop(switch.process, signal.SIGTERM)
    totals = dict.fromkeys(STEPS, 0)
    for function, count in by_function.items():
        step = next((step for step, name in STEPS.items() if name in function), None)
        if step:  # The others keep house, at most every 0.1 ms: hardly ever, but always under gdb.
            totals[step] += count
    row = {f"{step}_instructions": round(total / packets, 1) for step, total in totals.items()}
    return {"benchmark": "instructions", "scenario": options.scenario, "flows": options.flows,
            "frame_bytes": FRAME_BYTES, **row,
            "instructions_per_packet": round(sum(totals.values()) / packets, 1)}


def run(options, rows):
    with rows.attempt(f"instructions: {options.scenario}, {options.flows} flows"):
        rows.append(measure(options))
