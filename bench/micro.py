# SPDX-License-Identifier: BSD-3-Clause
"""Single functions, by Google Benchmark: parsing, look-ups, actions, checksums, tables, the decoder."""

import json
import pathlib
import subprocess
import tempfile

from common import BUILD, CORE, BenchError, reserve_huge_pages

MICRO = BUILD / "bench" / "gannet-micro"
TABLE_MIB = 3_600  # Of 10 million connections.
QUICK_MIB = 1_024
NS = {"ns": 1, "us": 1e3, "ms": 1e6}


def add_options(parser):
    parser.add_argument("--filter", default="", help="regular expression of the names")


def measure(options):
    """What Google Benchmark found, by its own keys."""
    pattern = options.filter
    if options.quick and not pattern:
        pattern = "-look_up/10000000"  # Which takes long to fill.
    reserve_huge_pages(QUICK_MIB if options.quick else TABLE_MIB)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "micro.json"
        done = subprocess.run(
            ["taskset", "--cpu-list", str(CORE), MICRO, f"--benchmark_filter={pattern}",
             f"--benchmark_out={file}", "--benchmark_out_format=json",
             f"--benchmark_min_time={0.05 if options.quick else 0.5}"],
            stdout=subprocess.DEVNULL, check=False)
        if done.returncode or not file.exists() or not file.stat().st_size:
            raise BenchError(f"gannet-micro found nothing to do or failed (--filter '{pattern}')")
        return json.loads(file.read_text())["benchmarks"]


def run(options, rows):
    found = []
    with rows.attempt("micro"):
        found = measure(options)
    for one in found:
        if one.get("error_occurred"):
            with rows.attempt(f"micro: {one['name']}"):
                raise BenchError(one.get("error_message", "it did not work"))
        else:
            rows.append({"benchmark": one["name"], "ns": round(one["cpu_time"] * NS[one["time_unit"]], 1)})
