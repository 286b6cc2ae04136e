# SPDX-License-Identifier: BSD-3-Clause
"""Latency through the switch at shares of its highest rate without loss, beside testpmd in io mode.

A generator on core 0 and the switch on core 1, in processes of their own, with two ports of shared memory
(memif) between them. The generator, its packets and its rates are the same for both switches, which are
measured in turn, each for a tenth of a second, while the other one stands still.
"""

import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import tempfile

from common import (AGAIN, CORE, BenchError, Measurer, above_0, add_flows, add_rounds, add_seconds,
                    reserve_huge_pages, stop)

GENERATOR_CORE = 0
LOADS = (0.1, 0.5, 0.9)
FLOWS = 1_000
MEMORY_MIB = 2_048
TRIAL_SECONDS = 0.1
TRIALS = 3  # Of a rate: other programs of the machine make packets late, and now and then lost.
HALVINGS = 7
SLICE_SECONDS = 0.1
GENTLE_RATE = 100_000
PATIENCE_TRIALS = 100
PATIENCE_SLICES = 4  # Times those that are wanted.
MOVED_FACTOR = 1.6
KEYS = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")


def add_options(parser):
    parser.add_argument("--scenario", choices=("forward", "nat", "lb", "full"), default="full")
    parser.add_argument("--load", action="append", type=above_0(1),
                        help=f"share of the highest rate, above 0, to 1{AGAIN}")
    add_flows(parser, default=FLOWS)
    add_rounds(parser, 5)
    add_seconds(parser, 1.0, "of each switch at each load, in a round")


@contextlib.contextmanager
def gannet(options, socket, folder):
    """Gannet's worker between the ports."""
    with Measurer("latency-switch", "--scenario", options.scenario, "--flows", options.flows, "--socket", socket,
                  "--folder", folder, "--core", CORE) as run:
        yield run.process


@contextlib.contextmanager
def testpmd(_options, socket, folder):
    """testpmd in io mode, as it is by default: bursts of 32, the driver's own rings."""
    devices = [f"net_memif{i},role=client,id={i},socket={socket},socket-abstract=no" for i in (0, 1)]
    command = ["dpdk-testpmd", "-l", f"{GENERATOR_CORE},{CORE}", "--no-pci", "--in-memory",
               "-m", "256", f"--file-prefix={folder.name}{os.getpid()}"]
    for device in devices:
        command += ["--vdev", device]
    command += ["--", "--forward-mode=io", "--nb-cores=1", "--stats-period=60", "--auto-start"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            yield run
        finally:
            stop(run)


class Generator(Measurer):
    """gannet-bench as the generator; rates are packets a second, 0 is all it can."""

    def measure_at(self, rate, seconds):
        return self.ask(f"{rate} {seconds}")

    def core_round_trip_ns(self):
        """Of a cache line, to the switch's core, where nothing else may run."""
        return self.ask("distance")["core_round_trip_ns"]

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
        lowest = 0
        highest = max(self.measure_at(0, TRIAL_SECONDS)["packets_per_second"] for _ in range(TRIALS))
        for _ in range(HALVINGS):
            rate = (lowest + highest) / 2
            lowest, highest = (rate, highest) if self._loses_none(rate) else (lowest, rate)
        if not lowest:
            raise BenchError("the switch loses packets at any rate")
        return lowest


class Rig:
    """A switch and the generator of its own. The switch runs only while it is measured: the other one has the
    same core."""

    def __init__(self, switch, generator):
        self.switch, self.generator = switch, generator
        self.slices = {}  # By load.
        self.highest = []  # Rates without loss, as often as they were searched.

    @classmethod
    @contextlib.contextmanager
    def started(cls, start_switch, options, files, folder):
        folder.mkdir()
        socket = folder / "memif.sock"
        with Generator("latency-generator", "--socket", socket, "--there", files[0], "--back", files[1],
                       "--core", GENERATOR_CORE, "--switch-core", CORE) as generator, \
             start_switch(options, socket, folder) as switch:
            rig = cls(switch, generator)
            generator.wait_for_switch()
            switch.send_signal(signal.SIGSTOP)
            try:
                yield rig
            finally:
                switch.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def running(self):
        self.switch.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.switch.send_signal(signal.SIGSTOP)  # Else it would disturb what is measured next.

    def search_highest(self):
        with self.running():
            self.highest.append(self.generator.highest_rate())
        return self.highest[-1]

    def measure_slice(self, rate):
        with self.running():
            return self.generator.measure_at(rate, SLICE_SECONDS)


def capture(scenario, flows, folder):
    """Files of what the generator sends, by direction."""
    with Measurer("throughput", "--scenario", scenario, "--flows", flows, "--folder", folder) as run:
        return run.ready["there"], run.ready["back"]


def have_moved(before_ns, now_ns):
    """Whether the cores are another distance apart: the host of a virtual machine moves them."""
    return max(before_ns, now_ns) > MOVED_FACTOR * min(before_ns, now_ns)


def measure_load(load, slices, ours, theirs):
    """So many slices of both switches at a share of Gannet's highest rate, as it is for the distance between the
    cores that they are measured at. \return those distances, as round trips in ns."""
    round_trips = []
    rate, searched_at = 0, 0
    for attempt in range(PATIENCE_SLICES * slices):
        # Both switches stand still now, as they have to.
        before = ours.generator.core_round_trip_ns()
        if not rate or have_moved(searched_at, before):
            rate, searched_at = load * ours.search_highest(), before
        # None is always the one that follows the other.
        order = (ours, theirs) if attempt % 2 == 0 else (theirs, ours)
        found = [(rig, rig.measure_slice(rate)) for rig in order]
        if have_moved(searched_at, ours.generator.core_round_trip_ns()):
            continue
        for rig, one in found:
            rig.slices.setdefault(load, []).append(one)
        round_trips.append(before)
        if len(round_trips) == slices:
            return round_trips
    raise BenchError("the machine's cores do not stay where they are")


def measure_round(options, rows, loads, files, folder):
    """Both switches at shares of Gannet's highest rate. \return what was found of each, and the distances of the
    cores by load, as far as it could be measured."""
    slices = max(1, round(options.seconds / SLICE_SECONDS))
    with Rig.started(gannet, options, files, folder / "gannet") as ours, \
         Rig.started(testpmd, options, files, folder / "testpmd") as theirs:
        theirs.search_highest()
        round_trips = {}
        for load in loads:
            with rows.attempt(f"latency: {options.scenario}, load {load}"):
                round_trips[load] = measure_load(load, slices, ours, theirs)
        return ours, theirs, round_trips


def measure(options, rows):
    loads = options.load or LOADS
    rounds = options.rounds or (3 if options.quick else 5)
    reserve_huge_pages(MEMORY_MIB)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files = capture(options.scenario, options.flows, folder)
        for number in range(rounds):
            with rows.attempt(f"latency: {options.scenario}, round {number + 1} of {rounds}"):
                (folder / str(number)).mkdir()
                found.append(measure_round(options, rows, loads, files, folder / str(number)))
    for load in loads:
        measured = [of_round for of_round in found if load in of_round[2]]
        if measured:
            rows.append(row(options, load, measured))


def run(options, rows):
    with rows.attempt(f"latency: {options.scenario}, {options.flows} flows"):
        measure(options, rows)


def row(options, load, found):
    """Medians of the slices of all rounds: a machine that stands still for a millisecond now and then would
    else be all that is seen. The longest time and the histogram are of all packets."""
    slices = [[one for of_round in found for one in of_round[i].slices[load]] for i in (0, 1)]

    def median(which, key):
        return statistics.median(one[key] for one in slices[which])

    result = {"scenario": options.scenario, "flows": options.flows, "load": load}
    for i, key in enumerate(("highest_mpps", "testpmd_highest_mpps")):
        result[key] = round(statistics.median(rate for of_round in found for rate in of_round[i].highest) / 1e6, 3)
    result["mpps"] = round(median(0, "packets_per_second") / 1e6, 3)
    result["core_round_trip_ns"] = round(statistics.median(ns for *_, trips in found for ns in trips[load]))
    for i, prefix in enumerate(("", "testpmd_")):
        result |= {prefix + key: round(median(i, key), 2) for key in KEYS[:-1]}
        result[f"{prefix}max_us"] = round(max(one["max_us"] for one in slices[i]), 2)
    for key in ("p50_us", "p99_us"):
        result[f"{key[:-3]}_to_testpmd"] = round(statistics.median(a[key] / b[key] for a, b in zip(*slices)), 2)
    for i, prefix in enumerate(("", "testpmd_")):
        result[f"{prefix}lost"] = sum(one["lost"] for one in slices[i])
        result[f"{prefix}histogram_us"] = {bar: sum(one["histogram_us"][bar] for one in slices[i])
                                           for bar in slices[i][0]["histogram_us"]}
    return result
