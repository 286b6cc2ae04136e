# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: it holds, more than once, and leaves nothing behind however it ends."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from lab import BIN, PREFIX, ROOT, remove_leftovers, run, wait_for

DEMO = ROOT / "tests" / "e2e" / "demo.py"


def start(*options):
    return subprocess.Popen(["/usr/bin/python3", str(DEMO), *options], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def left_behind(demo):
    """Namespaces, folders and processes of one run."""
    mark = f"{PREFIX}{demo.pid}-"
    left = [line for line in run("ip", "netns", "list").stdout.splitlines() if line.startswith(mark)]
    left += [str(path) for path in pathlib.Path("/tmp").glob(f"{mark}*")]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == demo.pid:
                left.append((process / "cmdline").read_text().replace("\0", " "))
        except (ProcessLookupError, FileNotFoundError):
            continue
    return left


@pytest.mark.parametrize("keeps", [False, True])
def test_demo_holds(keeps):
    """Twice; the second time it goes on until Ctrl-C."""
    demo = start("--keep") if keeps else start()
    seen = ""
    if keeps:
        for line in demo.stdout:
            seen += line
            if "the host configuration" in line:
                break
        socket = re.search(r"--socket (\S+)", seen)
        assert socket and "uplink" in run(BIN / "gannetctl", "--socket", socket[1], "show", "port").stdout
        os.killpg(demo.pid, signal.SIGINT)
    text = seen + demo.communicate(timeout=120)[0]
    assert demo.returncode == 0, text
    assert "FAIL" not in text and "WHAT WAS PROVEN" in text and "DROPS BY REASON" in text
    assert left_behind(demo) == []


def test_demo_holds_with_a_card():
    """covers: O1 O2 O3 O7 O22"""
    demo = start("--nic", "--seconds", "4")
    text = demo.communicate(timeout=120)[0]
    assert demo.returncode == 0, text
    assert "FAIL" not in text and "takes the card" in text
    assert left_behind(demo) == []


@pytest.mark.parametrize("line, signals", [(0, [signal.SIGINT]), (2, [signal.SIGINT, signal.SIGINT]),
                                           (7, [signal.SIGHUP])])
def test_interrupted_demo_leaves_nothing(line, signals):
    """Ctrl-C, once or twice, or a terminal that closes: the whole group hears of it, in the middle of this
    line of the report."""
    demo = start()
    for _ in range(line):
        assert demo.stdout.readline()
    time.sleep(0.7)
    for number in signals:
        os.killpg(demo.pid, number)
        time.sleep(0.1)
    text = demo.communicate(timeout=30)[0]
    assert demo.returncode == 128 + signals[0], text
    assert "Traceback" not in text
    assert ("everything has been removed" in text) == (signals[0] == signal.SIGINT)
    assert left_behind(demo) == []


def test_killed_demo_is_cleaned_up_by_the_next():
    demo = start()
    assert demo.stdout.readline()
    daemons = run("pgrep", "-s", demo.pid, "-f", str(BIN / "gannetd")).stdout.split()
    assert daemons
    os.kill(demo.pid, signal.SIGKILL)
    demo.wait()
    demo.stdout.close()
    assert left_behind(demo)
    remove_leftovers()
    wait_for("the processes to be gone", lambda: left_behind(demo) == [])
