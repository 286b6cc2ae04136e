# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks: Gannet's worker against the limit of the rig, testpmd in io mode, in turn.

Both take the same capture files on the same core with the same number of packet buffers; only ratios of
neighbouring runs mean anything, because a machine's speed drifts.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCH = ROOT / "build" / "bin" / "gannet-bench"
SCENARIOS = ("forward", "encap", "decap", "nat", "lb", "full")
WIRE_OVERHEAD_BYTES = 20  # Preamble and gap of a frame.
CORE = 1


class BenchError(Exception):
    """A program of the benchmark did not do what it should; the text says what."""


def reserve_huge_pages(mib):
    """Huge pages of 2 MiB for both programs; more are reserved if too few are there."""
    path = pathlib.Path("/proc/sys/vm/nr_hugepages")
    if int(path.read_text()) * 2 < mib:
        path.write_text(str(mib // 2))


class Switch:
    """gannet-bench with its connections made, waiting to be told to measure."""

    def __init__(self, scenario, flows, frame, seconds, folder):
        command = [BENCH, "throughput", "--scenario", scenario, "--flows", flows, "--frame", frame,
                   "--seconds", seconds, "--core", CORE, "--folder", folder]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("gannet-bench ended early")
        return json.loads(line)

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        result = self.read()
        if result["slow"] or result["drops"]:
            raise BenchError(f"the flow table did not take every packet: {result}")
        return result

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def testpmd_mpps(files, buffers, seconds):
    """Received packets of testpmd in io mode on the same files, Mpps."""
    devices = [f"net_pcap{i},rx_pcap={file},infinite_rx=1" for i, file in enumerate(files)]
    if len(devices) == 1:
        devices.append("net_null0,no-rx=1")
    memory = 256 + buffers * 3 // 1024
    command = ["dpdk-testpmd", "-l", f"0,{CORE}", "--no-pci", "--in-memory", "-m", str(memory),
               f"--file-prefix=bench{os.getpid()}"]
    for device in devices:
        command += ["--vdev", device]
    command += ["--", "--forward-mode=io", "--nb-cores=1", f"--total-num-mbufs={buffers}",
                "--stats-period=1", "--auto-start"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        rates = []
        try:
            # The first figures are of the start.
            for line in run.stdout:
                found = re.search(r"Rx-pps:\s+(\d+)", line)
                if found:
                    rates.append(int(found.group(1)))
                if len(rates) >= 2 * (2 + max(1, round(seconds))):
                    break
        finally:
            run.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.communicate(timeout=20)
            if run.poll() is None:
                run.kill()
    if len(rates) < 4:
        raise BenchError("dpdk-testpmd showed no rates")
    return (rates[-2] + rates[-1]) / 1e6


def throughput(scenario, flows, frame, rounds, seconds):
    """One row: medians of `rounds` pairs."""
    reserve_huge_pages(1024 + flows * 12 // 1024)
    with tempfile.TemporaryDirectory() as folder:
        switch = Switch(scenario, flows, frame, seconds, folder)
        try:
            files = [switch.ready[way] for way in ("there", "back") if switch.ready[way]]
            buffers = switch.ready["buffers"] + 16_384
            pairs = []
            for _ in range(rounds):
                ours = switch.measure()
                pairs.append((ours, testpmd_mpps(files, buffers, seconds)))
        finally:
            switch.close()
    mpps = statistics.median(ours["mpps"] for ours, _ in pairs)
    return {
        "scenario": scenario, "flows": flows, "frame_bytes": frame, "workers": 1,
        "mpps": round(mpps, 3),
        "cycles_per_packet": round(statistics.median(o["cycles_per_packet"] for o, _ in pairs), 1),
        "testpmd_io_mpps": round(statistics.median(limit for _, limit in pairs), 3),
        "ratio_to_testpmd": round(statistics.median(o["mpps"] / limit for o, limit in pairs), 3),
        "share_of_10g": round(mpps * (frame + WIRE_OVERHEAD_BYTES) * 8 / 10_000, 3),
    }


def print_table(rows):
    columns = list(rows[0])
    widths = [max(len(c), *(len(str(r[c])) for r in rows)) for c in columns]
    for row in [dict(zip(columns, columns)), *rows]:
        print("  ".join(str(row[c]).ljust(w) for c, w in zip(columns, widths)).rstrip())


def run_throughput(options):
    rows = []
    for scenario in options.scenario or SCENARIOS:
        for flows in options.flows or ([1_000] if options.quick else [1_000, 100_000, 1_000_000]):
            for frame in options.frame or [64]:
                print(f"{scenario}, {flows} flows, {frame} bytes ...", file=sys.stderr, flush=True)
                rows.append(throughput(scenario, flows, frame, options.rounds, options.seconds))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput"], nargs="?", default="throughput")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--flows", action="append", type=int)
    parser.add_argument("--frame", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="1,000 flows only")
    parser.add_argument("--json", type=pathlib.Path, help="file for the rows")
    options = parser.parse_args()
    started = time.strftime("%Y-%m-%d-%H%M%S")
    try:
        rows = run_throughput(options)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print_table(rows)
    path = options.json or ROOT / "bench" / "results" / f"{options.what}-{started}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
