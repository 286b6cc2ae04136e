# SPDX-License-Identifier: BSD-3-Clause
"""Latency through the switch at shares of its own maximum, beside testpmd in io mode.

A generator on core 0 and the switch on core 1, in processes of their own, with two ports of shared memory
(memif) between them. The generator is the same for both switches, and so are its packets.
"""

import contextlib
import os
import pathlib
import statistics
import subprocess
import tempfile

from common import BenchError, CORE, Measurer, progress, reserve_huge_pages, stop

GENERATOR_CORE = 0
LOADS = (0.1, 0.5, 0.9)
FLOWS = 1_000
MEMORY_MIB = 1_536


def add_options(parser):
    parser.add_argument("--scenario", choices=("forward", "nat", "lb", "full"), default="full")
    parser.add_argument("--load", action="append", type=float, help="share of the maximum, 0 to 1")
    parser.add_argument("--flows", type=int, default=FLOWS)
    parser.add_argument("--rounds", type=int, help="5, or 3 if quick")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")


@contextlib.contextmanager
def gannet(scenario, flows, socket, folder):
    """Gannet's worker between the ports; gives the captures of what to send."""
    with Measurer("latency-switch", "--scenario", scenario, "--flows", flows, "--socket", socket,
                  "--folder", folder, "--core", CORE) as switch:
        yield switch.ready


@contextlib.contextmanager
def testpmd(socket):
    devices = [f"net_memif{i},role=client,id={i},socket={socket},socket-abstract=no" for i in (0, 1)]
    command = ["dpdk-testpmd", "-l", f"{GENERATOR_CORE},{CORE}", "--no-pci", "--in-memory",
               "-m", "256", f"--file-prefix=latency{os.getpid()}"]
    for device in devices:
        command += ["--vdev", device]
    command += ["--", "--forward-mode=io", "--nb-cores=1", "--stats-period=60", "--auto-start"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            yield
        finally:
            stop(run)


class Generator(Measurer):
    """gannet-bench as the generator; `measure_at` takes packets a second, 0 for all it can."""

    def measure_at(self, rate):
        self.process.stdin.write(f"{rate}\n")
        self.process.stdin.flush()
        return self._read()


def measure_through(switch, loads, generator_arguments):
    """What comes back at shares of the maximum that is measured first, by load."""
    with Generator("latency-generator", *generator_arguments) as generator, switch:
        most = generator.measure_at(0)["packets_per_second"]
        return most, {load: generator.measure_at(load * most) for load in loads}


def capture(scenario, flows, folder):
    """Files of what the generator sends, by direction."""
    with Measurer("throughput", "--scenario", scenario, "--flows", flows, "--folder", folder) as run:
        return run.ready["there"], run.ready["back"]


def run(options):
    loads = options.load or LOADS
    rounds = options.rounds or (3 if options.quick else 5)
    reserve_huge_pages(MEMORY_MIB)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        there, back = capture(options.scenario, options.flows, folder)
        for number in range(rounds):
            progress(f"latency: {options.scenario}, round {number + 1} of {rounds}")
            for found, name in ((ours, "gannet"), (theirs, "testpmd")):
                socket = pathlib.Path(folder) / f"{name}{number}.sock"
                switch = (gannet(options.scenario, options.flows, socket, folder)
                          if name == "gannet" else testpmd(socket))
                found.append(measure_through(
                    switch, loads, ("--socket", socket, "--there", there, "--back", back,
                                    "--core", GENERATOR_CORE, "--seconds", options.seconds)))
    return [row(options, load, ours, theirs) for load in loads]


def row(options, load, ours, theirs):
    def median(found, key):
        return round(statistics.median(by_load[load][key] for _, by_load in found), 2)

    result = {"scenario": options.scenario, "flows": options.flows, "load": load,
              "packets_per_second": round(statistics.median(load * most for most, _ in ours))}
    keys = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")
    result |= {key: median(ours, key) for key in keys}
    result["testpmd_packets_per_second"] = round(statistics.median(load * m for m, _ in theirs))
    result |= {f"testpmd_{key}": median(theirs, key) for key in keys}
    for key in ("p50_us", "p99_us"):
        result[f"{key[:-3]}_to_testpmd"] = round(statistics.median(
            a[load][key] / b[load][key] for (_, a), (_, b) in zip(ours, theirs)), 2)
    if any(by_load[load]["received"] == 0 for _, by_load in ours + theirs):
        raise BenchError("nothing came back to the generator")
    result["histogram_us"] = ours[-1][1][load]["histogram_us"]
    result["testpmd_histogram_us"] = theirs[-1][1][load]["histogram_us"]
    return result
