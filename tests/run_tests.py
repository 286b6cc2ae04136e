# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test suites and adds up their results; the last line is the sum.

Suites: lint (the tree's own rules), unit (GoogleTest), packet (data files against a real dataplane), e2e
(network namespaces, real clients). A failure's output is shown in full; a success is one line.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUITES = ("lint", "unit", "packet", "e2e")


class Result:
    """Passed, failed and skipped test cases."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def meson_tests(build, suite):
    """The tests of one suite that the build knows: (name, command, environment)."""
    listed = subprocess.run(["meson", "introspect", "--tests", build], check=True,
                            capture_output=True, text=True).stdout
    return [(test["name"], test["cmd"], test["env"]) for test in json.loads(listed)
            if any(s.split(":")[-1] == suite for s in test["suite"])]


def programs_of(build, suites):
    """The files, relative to the build, that the tests of some suites run or depend on."""
    def introspect(what):
        return json.loads(subprocess.run(["meson", "introspect", what, build], check=True,
                                         capture_output=True, text=True).stdout)
    files = {target["id"]: target["filename"] for target in introspect("--targets")}
    wanted = set()
    for test in introspect("--tests"):
        if any(s.split(":")[-1] in suites for s in test["suite"]):
            wanted.add(test["cmd"][0])
            for target in test["depends"]:
                wanted.update(files[target])
    top = build.resolve()
    return sorted(str(pathlib.Path(file).relative_to(top)) for file in wanted
                  if pathlib.Path(file).is_relative_to(top))


def execute(command, env, timeout):
    """Runs a command with its output kept; returns (exit status, output)."""
    try:
        done = subprocess.run(command, env={**os.environ, **env}, cwd=ROOT, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        return -1, (output if isinstance(output, str) else output.decode(errors="replace")) + \
            f"\nstopped after {timeout} s"


def from_junit(path):
    """Counts the cases of a JUnit file; None if there is no such file."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    result = Result()
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            result.skipped += 1
        else:
            result.passed += 1
    return result


def run_one(name, command, env, junit, timeout):
    """Runs one program that leaves a JUnit file; a crash counts as one more failure."""
    started = time.monotonic()
    status, output = execute(command, env, timeout)
    result = from_junit(junit) or Result()
    if status != 0 and result.failed == 0:
        result.failed += 1
    print(f"{name}: {result} ({time.monotonic() - started:.1f} s)", flush=True)
    if result.failed:
        print(output, flush=True)
    return result


def run_gtests(build, suite, folder):
    result = Result()
    for name, command, env in meson_tests(build, suite):
        junit = folder / f"{suite}-{name}.xml"
        result += run_one(f"{build.name} {suite} {name}",
                          [*command, f"--gtest_output=xml:{junit}", "--gtest_brief=1"], env, junit,
                          timeout=600)
    return result


def run_packet_tests(build, folder):
    result = Result()
    for name, command, env in meson_tests(build, "packet"):
        junit = folder / f"packet-{name}.xml"
        result += run_one(f"{build.name} packet {name}", [*command, f"--junit={junit}"], env, junit,
                          timeout=600)
    return result


def run_pytest(build, folder, what, *arguments, part=""):
    junit = folder / f"{what}{part}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={junit}",
               "-o", "junit_family=xunit1", *arguments, f"tests/{what}"]
    return run_one(f"{build.name} {what}{part}", command, {"GANNET_BUILD": str(build.resolve())}, junit,
                   timeout=900)


def run_suites(build, suites, selection, folder):
    """All suites, one after the other; but tests that only keep one core busy run beside the packet tests,
    whose clock is not the wall's."""
    run = {"unit": lambda: run_gtests(build, "unit", folder),
           "packet": lambda: run_packet_tests(build, folder),
           "lint": lambda: run_pytest(build, folder, "lint", *selection),
           "e2e": lambda: run_pytest(build, folder, "e2e", *selection)}
    result = Result()
    if selection or not {"packet", "e2e"} <= set(suites):
        for suite in suites:
            result += run[suite]()
        return result
    run["e2e"] = lambda: run_pytest(build, folder, "e2e", "-m", "not alongside")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for suite in suites:
            if suite == "packet":
                beside = pool.submit(run_pytest, build, folder, "e2e", "-m", "alongside", part=" alongside")
            elif suite == "e2e":
                result += beside.result()
            result += run[suite]()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="append", type=pathlib.Path, required=True)
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--list-programs", action="store_true",
                        help="only print what the build must make for these suites")
    parser.add_argument("-k", default="", help="only e2e and lint tests that match")
    options = parser.parse_args()
    if options.list_programs:
        for build in options.build:
            print("\n".join(programs_of(build, options.suite or SUITES)))
        return 0
    total = Result()
    with tempfile.TemporaryDirectory() as name:
        selection = ["-k", options.k] if options.k else []
        for build in options.build:
            total += run_suites(build, options.suite or SUITES, selection, pathlib.Path(name))
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
