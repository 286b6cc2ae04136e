# SPDX-License-Identifier: BSD-3-Clause
"""Latency through the switch at shares of its highest rate without loss, beside testpmd in io mode.

A generator on core 0 and the switch on core 1, in processes of their own, with two ports of shared memory
(memif) between them. The generator, its packets and its rates are the same for both switches.
"""

import contextlib
import os
import pathlib
import statistics
import subprocess
import tempfile

from common import CORE, BenchError, Measurer, add_flows, add_rounds, progress, reserve_huge_pages, share, stop

GENERATOR_CORE = 0
LOADS = (0.1, 0.5, 0.9)
FLOWS = 1_000
MEMORY_MIB = 1_536
TRIAL_SECONDS = 0.1
TRIALS = 3  # Of a rate: other programs of the machine make packets late, and now and then lost.
HALVINGS = 7
SLICE_SECONDS = 0.1
GENTLE_RATE = 100_000
PATIENCE_TRIALS = 100
KEYS = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")


def add_options(parser):
    parser.add_argument("--scenario", choices=("forward", "nat", "lb", "full"), default="full")
    parser.add_argument("--load", action="append", type=share, help="share of the highest rate, above 0, to 1")
    add_flows(parser, default=FLOWS)
    add_rounds(parser, 5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")


@contextlib.contextmanager
def gannet(scenario, flows, socket, folder):
    """Gannet's worker between the ports."""
    with Measurer("latency-switch", "--scenario", scenario, "--flows", flows, "--socket", socket,
                  "--folder", folder, "--core", CORE):
        yield


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
    """gannet-bench as the generator; rates are packets a second, 0 is all it can."""

    def measure_at(self, rate, seconds):
        self.process.stdin.write(f"{rate} {seconds}\n")
        self.process.stdin.flush()
        return self._read()

    def wait_for_switch(self):
        """A program that has connected does not yet forward."""
        for _ in range(PATIENCE_TRIALS):
            if self.measure_at(GENTLE_RATE, TRIAL_SECONDS)["lost"] == 0:
                return
        raise BenchError("the switch does not forward what the generator sends")

    def _loses_none(self, rate):
        return any(self.measure_at(rate, TRIAL_SECONDS)["lost"] == 0 for _ in range(TRIALS))

    def highest_rate(self):
        """The highest rate without loss (RFC 2544, 26.1): halves the interval again and again."""
        lowest, highest = 0, self.measure_at(0, TRIAL_SECONDS)["packets_per_second"]
        for _ in range(HALVINGS):
            rate = (lowest + highest) / 2
            lowest, highest = (rate, highest) if self._loses_none(rate) else (lowest, rate)
        if not lowest:
            raise BenchError("the switch loses packets at any rate")
        return lowest


    def measure_load(self, rate, seconds):
        """Medians of many short measurements: a machine that stands still for a millisecond now and
        then would else be all that is seen. The longest time and the histogram are of all packets."""
        slices = [self.measure_at(rate, SLICE_SECONDS) for _ in range(max(1, round(seconds / SLICE_SECONDS)))]
        found = {key: statistics.median(one[key] for one in slices) for key in ("packets_per_second", *KEYS)}
        found["max_us"] = max(one["max_us"] for one in slices)
        found["lost"] = sum(one["lost"] for one in slices)
        found["histogram_us"] = {bar: sum(one["histogram_us"][bar] for one in slices)
                                 for bar in slices[0]["histogram_us"]}
        return found


def capture(scenario, flows, folder):
    """Files of what the generator sends, by direction."""
    with Measurer("throughput", "--scenario", scenario, "--flows", flows, "--folder", folder) as run:
        return run.ready["there"], run.ready["back"]


def measure_round(options, loads, files, folder):
    """The highest rate of each switch, and both at shares of Gannet's: ours by load, theirs."""
    found, rates = [], None
    for name in ("gannet", "testpmd"):
        socket = pathlib.Path(folder) / f"{name}.sock"
        switch = (gannet(options.scenario, options.flows, socket, folder) if name == "gannet"
                  else testpmd(socket))
        with Generator("latency-generator", "--socket", socket, "--there", files[0], "--back", files[1],
                       "--core", GENERATOR_CORE) as generator, switch:
            generator.wait_for_switch()
            highest = generator.highest_rate()
            rates = rates or {load: load * highest for load in loads}
            found.append({load: generator.measure_load(rate, options.seconds) | {"highest": highest}
                          for load, rate in rates.items()})
        socket.unlink(missing_ok=True)
    return found


def run(options):
    loads = options.load or LOADS
    rounds = options.rounds or (3 if options.quick else 5)
    reserve_huge_pages(MEMORY_MIB)
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        files = capture(options.scenario, options.flows, folder)
        for number in range(rounds):
            progress(f"latency: {options.scenario}, round {number + 1} of {rounds}")
            pairs.append(measure_round(options, loads, files, folder))
    return [row(options, load, [(ours[load], theirs[load]) for ours, theirs in pairs]) for load in loads]


def row(options, load, pairs):
    def median(which, key):
        return statistics.median(pair[which][key] for pair in pairs)

    result = {"scenario": options.scenario, "flows": options.flows, "load": load,
              "highest_mpps": round(median(0, "highest") / 1e6, 3),
              "testpmd_highest_mpps": round(median(1, "highest") / 1e6, 3),
              "mpps": round(median(0, "packets_per_second") / 1e6, 3)}
    result |= {key: round(median(0, key), 2) for key in KEYS}
    result |= {f"testpmd_{key}": round(median(1, key), 2) for key in KEYS}
    for key in ("p50_us", "p99_us"):
        result[f"{key[:-3]}_to_testpmd"] = round(statistics.median(a[key] / b[key] for a, b in pairs), 2)
    result["lost"], result["testpmd_lost"] = (sum(pair[i]["lost"] for pair in pairs) for i in (0, 1))
    result["histogram_us"], result["testpmd_histogram_us"] = (side["histogram_us"] for side in pairs[-1])
    return result
