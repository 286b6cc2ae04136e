# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks; without a name, all of them.

Whatever is compared runs in turn on the same core with the same packets: only ratios of neighbouring runs
mean anything, because a machine's speed drifts.
"""

import argparse
import contextlib
import errno
import os
import pathlib
import platform
import re
import signal
import sys
import tempfile
import time

import common
import connections
import instructions
import latency
import micro
import offload
import report
import swap
import throughput

# A benchmark is a module of its name: add_options(parser), and run(options, rows), which appends to rows.
BENCHMARKS = {module.__name__: module
              for module in (throughput, report, instructions, latency, connections, swap, offload, micro)}
EXIT_SOUND = 3  # To --check-arguments as the first of them, which ./run asks before it builds.
EXIT_USAGE = 64
EXIT_BY_SIGNAL = 128
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal asks us to end: raised where we are, so that all that is open closes itself."""


class Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong."""

    def error(self, message):
        self.exit(EXIT_USAGE, f"./run bench: {message}; --help lists what there is\n")


def json_file(text):
    """The type of --json: a file that can be written, which is tried before anything is measured."""
    path = pathlib.Path(text)
    try:
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"'{text}' is a folder")
        if path.exists():
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        else:
            with tempfile.TemporaryFile(dir=next(above for above in path.absolute().parents if above.exists())):
                pass
    except OSError as error:
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written: {error.strerror}") from error
    return path


def add_common_options(parser, **how):
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements", **how)
    parser.add_argument("--json", type=json_file, metavar="FILE", help="for the rows", **how)


def parse(arguments):
    """The options of each benchmark to run, by its name."""
    parser = Parser(prog="./run bench", description=__doc__)
    add_common_options(parser)
    commands = parser.add_subparsers(dest="what", metavar="BENCHMARK")
    parsers = {}
    for name, module in BENCHMARKS.items():
        parsers[name] = commands.add_parser(name, description=module.__doc__,
                                            help=module.__doc__.partition("\n\n")[0])
        # What stands before the name holds as well.
        add_common_options(parsers[name], default=argparse.SUPPRESS)
        module.add_options(parsers[name])
    chosen = parser.parse_args(arguments)
    if chosen.what:
        return chosen, {chosen.what: chosen}
    return chosen, {name: parsers[name].parse_args([], argparse.Namespace(quick=chosen.quick, json=chosen.json))
                    for name in BENCHMARKS}


def machine():
    """The processor's name, and how many there are."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    names = re.findall(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    return f"{names[0] if names else platform.machine()}, {info.count('processor	:')} cores"


def run_one(name, options, rows, folder):
    """Measures the rows of a benchmark, which are shown, written and drawn."""
    started = time.monotonic()
    BENCHMARKS[name].run(options, rows)
    common.progress(f"{name}: took {time.monotonic() - started:.0f} s")
    if not rows:
        return
    print(common.table(rows), flush=True)
    common.write_json(folder / f"{name}.json", rows)
    import plots  # What draws takes long to load. pylint: disable=import-outside-toplevel
    plots.draw(name, rows, folder)


def summary_of(results):
    parts = [f"# Gannet's benchmarks on {machine()}, {time.strftime('%Y-%m-%d')}"]
    for name, rows in results.items():
        parts.append(f"## {name}")
        if rows:
            parts.append(f"```\n{common.table(rows)}\n```")
        if rows.failed:
            parts.append("\n".join(["Failed:", "", *(f"- {what}" for what in dict.fromkeys(rows.failed))]))
    return "\n\n".join(parts) + "\n"


def write_all(path, results):
    common.write_json(path, [row for rows in results.values() for row in rows])


def main(arguments):
    is_check = arguments[:1] == ["--check-arguments"]
    chosen, plan = parse(arguments[is_check:])
    if not common.may_have_huge_pages():
        print("./run bench: huge pages are needed, which only root may reserve", file=sys.stderr)
        return 1
    if is_check:
        return EXIT_SOUND
    folder = common.RESULTS / f"{chosen.what or 'all'}-{time.strftime('%Y-%m-%d-%H%M%S')}"
    file = chosen.json or folder / "all.json"
    results = {}
    try:
        with common.machine_as_before():
            for name, options in plan.items():
                results[name] = common.Rows()
                run_one(name, options, results[name], folder)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "summary.md").write_text(summary_of(results))
    except BaseException:
        if any(results.values()):
            write_all(file, results)
        raise
    write_all(file, results)
    print(f"tables, JSON and plots are in {folder}", file=sys.stderr)
    failed = dict.fromkeys(what for rows in results.values() for what in rows.failed)
    if failed:
        print(f"./run bench: failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def end_by(number, _frame):
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)  # Nothing keeps us from tidying up.
    raise Ended(number)


def program(arguments):
    """main() that signals end in an orderly way. \return the exit status."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup wants it.
            signal.signal(number, end_by)
    try:
        return main(arguments)
    except Ended as ended:
        number = ended.args[0]
        with contextlib.suppress(OSError):  # The terminal may be gone.
            print(f"./run bench: ended by {signal.Signals(number).name}", file=sys.stderr)
        return EXIT_BY_SIGNAL + number


if __name__ == "__main__":
    sys.exit(program(sys.argv[1:]))
