# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks; without a name, all of them.

Whatever is compared runs in turn on the same core with the same packets: only ratios of neighbouring runs
mean anything, because a machine's speed drifts.
"""

import argparse
import pathlib
import sys
import time

import common
import connections
import latency
import offload
import throughput

# A benchmark is a module of its name: add_options(parser), and run(options), which returns rows.
BENCHMARKS = {"throughput": throughput, "latency": latency, "connections": connections,
              "offload": offload}


def add_common_options(parser):
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements")
    parser.add_argument("--json", type=pathlib.Path, help="file for the rows")


def parse(arguments):
    """The options of each benchmark to run, by its name."""
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    add_common_options(parser)
    commands = parser.add_subparsers(dest="what", metavar="BENCHMARK")
    parsers = {}
    for name, module in BENCHMARKS.items():
        parsers[name] = commands.add_parser(name, description=module.__doc__,
                                            help=module.__doc__.partition("\n")[0])
        add_common_options(parsers[name])
        module.add_options(parsers[name])
    chosen = parser.parse_args(arguments)
    if chosen.what:
        return chosen, {chosen.what: chosen}
    common_arguments = ["--quick"] if chosen.quick else []
    return chosen, {name: parsers[name].parse_args(common_arguments) for name in BENCHMARKS}


def main():
    chosen, plan = parse(sys.argv[1:])
    started = time.strftime("%Y-%m-%d-%H%M%S")
    rows = []
    try:
        for name, options in plan.items():
            found = BENCHMARKS[name].run(options)
            common.print_table(found)
            rows += found
    except common.BenchError as error:
        print(error, file=sys.stderr)
        return 1
    common.write_json(chosen.json or common.RESULTS / f"{chosen.what or 'all'}-{started}.json", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
