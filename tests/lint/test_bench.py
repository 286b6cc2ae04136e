# SPDX-License-Identifier: BSD-3-Clause
"""The scripts of the benchmarks: what they leave behind, which options they take, what a failure costs."""

import contextlib
import json
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
import throughput  # noqa: E402 pylint: disable=wrong-import-position

# The benchmarks with another file for the number of huge pages, and results elsewhere.
DRIVER = """
import pathlib, signal, sys
sys.path.insert(0, "bench")
import bench, common
for number in bench.ENDING:
    signal.signal(number, signal.SIG_DFL)  # Whoever runs the tests may ignore some.
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


@pytest.mark.parametrize("arguments", ["--json {} --quick micro", "micro --json {} --quick", "--quick micro --json {}"])
def test_common_options_hold_before_and_after_the_name(tmp_path, arguments):
    chosen, plan = bench.parse(arguments.format(tmp_path / "rows.json").split())
    assert chosen.json == tmp_path / "rows.json"
    assert list(plan) == ["micro"] and plan["micro"].quick


def test_common_options_hold_for_all(tmp_path):
    chosen, plan = bench.parse(["--quick", "--json", str(tmp_path / "rows.json")])
    assert chosen.json and list(plan) == list(bench.BENCHMARKS)
    assert all(options.quick for options in plan.values())
    assert not bench.parse([])[1]["micro"].quick and not bench.parse(["micro"])[0].quick


def refusal_of(arguments, capsys):
    """What is said on a usage error, which has to be one line."""
    with pytest.raises(SystemExit) as ended:
        bench.parse(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 64 and said.count("\n") == 1
    return said


@pytest.mark.parametrize("arguments", [
    "throughput --seconds 0", "throughput --seconds nan", "throughput --seconds inf", "latency --seconds -1",
    "throughput --flows 0", "throughput --frame 1519", "latency --load 1.1", "offload --flows 0",
    "offload --flows 500001", "offload --inserts 0", "offload --inserts 2000001", "offload --rounds 0",
    "offload --seconds 0", "connections --fill -1", "connections --fill 999", "connections --fill 16000001"])
def test_a_number_out_of_range_is_a_usage_error(arguments, capsys):
    assert arguments.split()[1] in refusal_of(arguments.split(), capsys)


def test_numbers_at_the_ends_of_ranges_are_taken():
    options = bench.parse("offload --flows 1000 --inserts 2000000 --rounds 1 --seconds 0.1".split())[0]
    assert (options.flows, options.inserts, options.rounds, options.seconds) == (1_000, 2_000_000, 1, 0.1)
    for fill in (0, 1_000, 16_000_000):
        assert bench.parse(["connections", "--fill", str(fill)])[0].fill == fill


@pytest.mark.parametrize("place", [".", "file/below", "/proc/rows.json", "a" * 300])
def test_json_that_cannot_be_written_is_a_usage_error(tmp_path, place, capsys):
    (tmp_path / "file").write_text("")
    assert "--json" in refusal_of(["--json", str(tmp_path / place), "micro"], capsys)


def test_a_try_of_json_leaves_no_trace(tmp_path):
    (tmp_path / "old").write_text("rows")
    for place in ("new", "folder/new", "old"):
        bench.parse(["micro", "--json", str(tmp_path / place)])
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old", "rows")]


def test_who_may_not_reserve_huge_pages_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(common, "HUGE_PAGES", tmp_path / "none")
    assert bench.main(["micro"]) == 1
    said = capsys.readouterr().err
    assert "only root" in said and said.count("\n") == 1


def test_help_says_what_may_be_repeated(capsys):
    for name, count in {"throughput": 3, "latency": 1, "connections": 2, "swap": 1, "report": 1}.items():
        with pytest.raises(SystemExit) as ended:
            bench.parse([name, "--help"])
        assert not ended.value.code
        assert " ".join(capsys.readouterr().out.split()).count("may be repeated") == count


@pytest.mark.parametrize("arguments, status", [
    (["--help"], 0), (["micro", "-h"], 0), (["none"], 64), (["offload", "--rounds", "0"], 64)])
def test_run_neither_installs_nor_builds_for_help_and_usage_errors(arguments, status):
    done = subprocess.run([tree.ROOT / "run", "bench", *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert "building" not in done.stderr and "ninja" not in done.stderr
    assert "BENCHMARK" in done.stdout or "--filter" in done.stdout or done.stderr.count("\n") == 1


def test_sound_arguments_go_on(tmp_path, monkeypatch):
    (tmp_path / "pages").write_text("512")
    monkeypatch.setattr(common, "HUGE_PAGES", tmp_path / "pages")
    assert bench.main(["--check-arguments", "micro", "--quick"]) == bench.EXIT_SOUND
    assert f"status == {bench.EXIT_SOUND})" in tree.text_of("run")


@pytest.fixture(name="machine")
def machine_without_programs(tmp_path, monkeypatch):
    """Folders and huge pages of the test's own, and a switch and a testpmd that always give 8 and 10 Mpps."""
    class Switch(contextlib.AbstractContextManager):
        ready = {"there": "there.pcap", "back": "", "buffers": 1}

        def __init__(self, *arguments):
            if "nat" in arguments:
                raise common.BenchError("it broke")

        def __exit__(self, *_):
            pass

        def measure(self):
            return {"mpps": 8.0, "cycles_per_packet": 250.0, "slow": 0, "drops": {}}

    (tmp_path / "pages").write_text("4096\n")
    monkeypatch.setattr(common, "HUGE_PAGES", tmp_path / "pages")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "end_children", lambda: None)
    monkeypatch.setattr(throughput, "Measurer", Switch)
    monkeypatch.setattr(throughput, "testpmd_mpps", lambda *_: 10.0)
    monkeypatch.setitem(sys.modules, "plots", type("Plots", (), {"draw": staticmethod(lambda *_: None)}))
    return tmp_path


def test_a_row_that_fails_does_not_lose_the_others(machine, capsys):
    scenarios = [word for name in ("forward", "nat", "lb") for word in ("--scenario", name)]
    assert bench.main(["throughput", *scenarios, "--rounds", "1", "--json", str(machine / "rows.json")]) == 1
    rows = json.loads((machine / "rows.json").read_text())
    assert [(row["scenario"], row["mpps"]) for row in rows] == [("forward", 8.0), ("lb", 8.0)]
    said = capsys.readouterr().err
    assert "throughput: nat, 1000 flows, 64 bytes: failed: it broke" in said
    assert said.splitlines()[-1] == "./run bench: failed: throughput: nat, 1000 flows, 64 bytes"
    summary = next((machine / "results").rglob("summary.md")).read_text()
    assert "- throughput: nat, 1000 flows, 64 bytes" in summary and "lb" in summary


@pytest.mark.parametrize("failures, started, ovs_mpps, ratio", [(0, 1, 2.0, 4.0), (1, 2, 2.0, 4.0), (2, 2, None, None)])
def test_a_peer_that_fails_is_tried_once_more_and_then_left_out(machine, monkeypatch, capsys, failures, started,
                                                                ovs_mpps, ratio):
    places = []

    class Peer(contextlib.AbstractContextManager):
        def __init__(self, place, _there):
            places.append(place)
            if len(places) <= failures:
                raise common.BenchError("it sent 999 of 1000 flows")

        def __exit__(self, *_):
            pass

        def describe(self):
            return "a peer"

        def measure(self, _seconds):
            return 2.0

    monkeypatch.setattr(throughput, "Ovs", Peer)
    assert bench.main(["throughput", "--scenario", "full", "--rounds", "3", "--json", str(machine / "rows.json")]) == 0
    row, = json.loads((machine / "rows.json").read_text())
    assert (row["mpps"], row["testpmd_io_mpps"], row["ovs_mpps"], row["ratio_to_ovs"]) == (8.0, 10.0, ovs_mpps, ratio)
    assert len(places) == len(set(places)) == started
    said = capsys.readouterr()
    assert said.err.count("it sent 999 of 1000 flows") == failures
    assert (str(ovs_mpps) + "  ") in said.out
