# SPDX-License-Identifier: BSD-3-Clause
"""What all benchmarks share: the program that measures, huge pages, testpmd, tables and progress."""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("GANNET_BUILD", ROOT / "build"))
BENCH = BUILD / "bin" / "gannet-bench"
RESULTS = ROOT / "bench" / "results"
HUGE_PAGES = pathlib.Path("/proc/sys/vm/nr_hugepages")
LEAST_HUGE_MIB = 1_024
CORE = 1
AGAIN = "; may be repeated"


class BenchError(Exception):
    """A program of the benchmark did not do what it should; the text says what."""


class Rows(list):
    """What a benchmark has found. A row that fails is named, and the others are measured all the same."""

    def __init__(self):
        super().__init__()
        self.failed = []

    @contextlib.contextmanager
    def attempt(self, name):
        progress(name)
        try:
            yield
        except (BenchError, OSError) as error:
            self.failed.append(name)
            print(f"{name}: failed: {error}", file=sys.stderr, flush=True)


def above_0(highest):
    """The type of an option that is a number above 0."""
    def read(text):
        with contextlib.suppress(ValueError):
            if 0 < float(text) <= highest:
                return float(text)
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0 and at most {highest}")
    return read


def whole(lowest, highest):
    """The type of an option that is a whole number in a range."""
    def read(text):
        if text.isdecimal() and lowest <= int(text) <= highest:
            return int(text)
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of {lowest} to {highest}")
    return read


def add_flows(parser, **how):
    again = AGAIN if how.get("action") == "append" else ""
    parser.add_argument("--flows", type=whole(1, 1_048_576), help=f"1 to 1,048,576{again}", **how)


def add_rounds(parser, usual, quick=3):
    parser.add_argument("--rounds", type=whole(1, 1_000), help=f"{usual}, or {quick} if quick")


def add_seconds(parser, usual, of_what):
    parser.add_argument("--seconds", type=above_0(3_600), default=usual, help=f"{of_what}; {usual:g} by default")


def huge_pages_mib():
    """What all programs have of huge pages of 2 MiB."""
    try:
        return int(HUGE_PAGES.read_text()) * 2
    except OSError:
        return 0  # A kernel without.


def may_have_huge_pages():
    """Whether they can be reserved, or enough for the small measurements are there already."""
    return os.access(HUGE_PAGES, os.W_OK) or huge_pages_mib() >= LEAST_HUGE_MIB


def end_children():
    """Kills what is left of the programs that we started: a signal may come while one is started or stopped."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children")  # Not every kernel has it.
    for child in children.read_text().split() if children.exists() else ():
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(int(child), signal.SIGKILL)
            os.waitpid(int(child), 0)


@contextlib.contextmanager
def machine_as_before():
    """Afterwards no program of ours is left, and huge pages are as many as they were."""
    before_mib = huge_pages_mib()
    try:
        yield
    finally:
        end_children()
        if huge_pages_mib() != before_mib:
            HUGE_PAGES.write_text(str(before_mib // 2))


def reserve_huge_pages(mib):
    """Huge pages for all programs; more are reserved if too few are there."""
    if huge_pages_mib() >= mib:
        return
    try:
        HUGE_PAGES.write_text(str((mib + 1) // 2))
    except OSError as error:
        raise BenchError(f"{mib} MiB of huge pages are needed and may not be reserved: {error.strerror}") from error
    if huge_pages_mib() < mib:
        raise BenchError(f"{mib} MiB of huge pages are needed, which the machine does not have free")


def progress(text):
    print(text, "...", file=sys.stderr, flush=True)


class Measurer:
    """gannet-bench with everything prepared: `ready` is its first line of JSON, and each `measure`
    makes it measure once and returns that line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([str(a) for a in (BENCH, *arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        try:
            self.ready = self._read()
        except BaseException:
            stop(self.process, signal.SIGTERM)
            raise

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if error:  # It may be busy for long, or stand still: it is not asked.
            stop(self.process, signal.SIGTERM)
            return
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self):
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise BenchError("gannet-bench ended early")
        return json.loads(line)

    def ask(self, line):
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchError("gannet-bench ended early") from error
        return self._read()

    def measure(self):
        return self.ask("")


def stop(process, how=signal.SIGINT, patience_s=20):
    """Ends a program that we started, at last by force; also one that stands still."""
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=patience_s)
    if process.poll() is None:
        process.kill()
        process.wait()


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
            stop(run)
    if len(rates) < 4:
        raise BenchError("dpdk-testpmd showed no rates")
    return (rates[-2] + rates[-1]) / 1e6


def table(rows):
    """One table, as text, for each run of rows with the same keys."""
    lines = []
    while rows:
        columns = [name for name, value in rows[0].items() if not isinstance(value, dict)]
        count = next((i for i, row in enumerate(rows) if list(row) != list(rows[0])), len(rows))
        shown = [dict(zip(columns, columns)), *rows[:count]]
        widths = [max(len(str(row[column])) for row in shown) for column in columns]
        for row in shown:
            lines.append("  ".join(str(row[c]).ljust(w) for c, w in zip(columns, widths)).rstrip())
        rows = rows[count:]
    return "\n".join(lines)


def write_json(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")
