# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of the benchmarks: what they leave behind, which options they take, what a failure costs."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import tree

sys.path.insert(0, str(tree.ROOT / "bench"))
import bench  # noqa: E402 - from the folder just named. pylint: disable=wrong-import-position
import common  # noqa: E402 pylint: disable=wrong-import-position

# The benchmarks with another file for the number of huge pages, and results elsewhere.
DRIVER = """
import pathlib, sys
sys.path.insert(0, "bench")
import bench, common
folder = pathlib.Path(sys.argv[1])
common.HUGE_PAGES, common.RESULTS = folder / "pages", folder / "results"
sys.exit(bench.program(sys.argv[2:]))
"""
# Never becomes ready, and stands still.
STOPPED = """#!/bin/sh
echo $$ >"${0%/bin/*}/pid.new"
mv "${0%/bin/*}/pid.new" "${0%/bin/*}/pid"
kill -STOP $$
"""


def wait_for(what, is_so):
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def state_of(pid):
    """As in ps: T for a process that stands still; None if there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_all_programs_and_gives_huge_pages_back(tmp_path, number):
    """Also a program that stands still."""
    (tmp_path / "pages").write_text("7\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gannet-bench").write_text(STOPPED)
    (tmp_path / "bin" / "gannet-bench").chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", DRIVER, tmp_path, "offload", "--quick"], cwd=tree.ROOT,
                          env={**os.environ, "GANNET_BUILD": str(tmp_path), "TMPDIR": str(tmp_path)},
                          stderr=subprocess.PIPE, text=True) as run:
        wait_for("the program", (tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        wait_for("its stop", lambda: state_of(pid) == "T")
        assert int((tmp_path / "pages").read_text()) > 7
        run.send_signal(number)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 128 + number
    assert said.splitlines()[1:] == [f"./run bench: ended by {number.name}"]
    assert state_of(pid) is None
    assert int((tmp_path / "pages").read_text()) == 7


def test_a_program_that_was_missed_is_ended(tmp_path):
    code = ("import sys; sys.path.insert(0, 'bench'); import common, pathlib, subprocess\n"
            f"common.HUGE_PAGES = pathlib.Path({str(tmp_path / 'none')!r})\n"
            "with common.machine_as_before():\n"
            "    run = subprocess.Popen(['sleep', '600'])\n"
            "print(run.pid)\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=tree.ROOT, check=True, capture_output=True, text=True)
    assert state_of(int(done.stdout)) is None


def test_huge_pages_are_written_only_to_change_them(tmp_path, monkeypatch):
    file = tmp_path / "pages"
    file.write_text("512\n")
    monkeypatch.setattr(common, "HUGE_PAGES", file)
    monkeypatch.setattr(common, "end_children", lambda: None)
    with common.machine_as_before():
        common.reserve_huge_pages(1_024)
        assert file.read_text() == "512\n"
        common.reserve_huge_pages(1_025)
        assert file.read_text() == "513"
    assert file.read_text() == "512"
