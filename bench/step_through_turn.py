# SPDX-License-Identifier: BSD-3-Clause
"""Inside gdb, attached to gannet-bench: counts the instructions of one turn of the worker's loop, by function.

An instruction that repeats itself (`rep movs`) counts once for each time.
"""

import collections
import json
import os
import pathlib

import gdb

WARM_UP_TURNS = 3  # The first one after the debugger came.
MOST = 1_000_000   # Instructions; a turn has some ten thousand.

gdb.execute("set pagination off")
gdb.execute("set confirm off")
gdb.execute("break gannet::dataplane::Worker::poll()")
for _ in range(WARM_UP_TURNS):
    gdb.execute("continue", to_string=True)

caller = int(gdb.parse_and_eval("*(unsigned long*)$rsp"))
steps = collections.Counter()
for _ in range(MOST):
    pc = int(gdb.parse_and_eval("(unsigned long)$pc"))
    if pc == caller:
        break
    steps[pc] += 1
    gdb.execute("stepi", to_string=True)

functions = collections.Counter()
for pc, count in steps.items():
    # Libraries have no names of their inner functions; ours are "NAME + 12 in section .text".
    functions[gdb.solib_name(pc) or gdb.execute(f"info symbol {pc}", to_string=True).strip()] += count
pathlib.Path(os.environ["GANNET_COUNTS"]).write_text(json.dumps(functions))
gdb.execute("detach")
