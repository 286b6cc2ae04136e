# SPDX-License-Identifier: BSD-3-Clause
"""New connections a second on one core, what one takes of memory, and what a full table does.

Each packet is a new UDP connection, both directions of which are installed; or whole TCP connections, SYN
to FIN, 6 packets. Policies of 1,000 and 10,000 rules are measured in turn. Then a table of 4 M is filled.
"""

import contextlib
import statistics

from common import AGAIN, CORE, BenchError, Measurer, add_rounds, reserve_huge_pages, whole

SCENARIOS = ("forward", "nat", "full")
PROTOCOLS = ("udp", "tcp")
RULES = (1_000, 10_000)
PAGES_PER_MEASURER_MIB = 512
FILL = 4_000_000
RECORD_MIB_PER_MILLION = 300


def fill_of(text):
    return 0 if text == "0" else whole(1_000, 16_000_000)(text)


def add_options(parser):
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help=f"{', '.join(SCENARIOS)}{AGAIN}")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help=f"{', '.join(PROTOCOLS)}{AGAIN}")
    add_rounds(parser, 5)
    parser.add_argument("--fill", type=fill_of, default=FILL, metavar="CONNECTIONS",
                        help="size of the table that is filled, 1,000 to 16,000,000; 0: none")


def measure_round(measurer):
    found = measurer.measure()
    if found["drops"] or found["left_after_ageing"] or found["port_mappings_left"]:
        raise BenchError(f"packets were dropped or connections remained: {found}")
    return found


def measure(scenario, protocol, rounds):
    """A row for each number of rules: medians of rounds taken in turn."""
    reserve_huge_pages(PAGES_PER_MEASURER_MIB * len(RULES))
    with contextlib.ExitStack() as open_measurers:
        measurers = [open_measurers.enter_context(
            Measurer("connections", "--scenario", scenario, "--protocol", protocol,
                     "--rules", rules, "--core", CORE)) for rules in RULES]
        pairs = [[measure_round(m) for m in measurers] for _ in range(rounds)]

    def median(key, column):
        return statistics.median(pair[column][key] for pair in pairs)

    return [{
        "scenario": f"{protocol} {scenario}", "rules": rules,
        "packets_per_connection": 6 if protocol == "tcp" else 1,
        "connections_per_second": round(median("connections_per_second", i)),
        "cycles_per_connection": round(median("cycles_per_connection", i)),
        "ratio_to_1000_rules": round(statistics.median(
            p[i]["cycles_per_connection"] / p[0]["cycles_per_connection"] for p in pairs), 3),
        "ageing_cycles_per_connection": round(median("ageing_cycles_per_connection", i)),
        "left_after_ageing": 0,
        "high_water": pairs[-1][i]["high_water"],
    } for i, rules in enumerate(RULES)]


def fill(count):
    """What a full table does: one row, from one run."""
    reserve_huge_pages(PAGES_PER_MEASURER_MIB + count * RECORD_MIB_PER_MILLION // 1_000_000)
    with Measurer("connections", "--scenario", "forward", "--connections", count, "--core", CORE,
                  "--fill") as measurer:
        found = measurer.ready
    if found["drops_while_filling"] or found["left_after_ageing"]:
        raise BenchError(f"the table did not fill, or did not empty: {found}")
    first, last = found["cycles_by_eighth"][0], found["cycles_by_eighth"][-1]
    unanswered, answered = found["full_and_unanswered"], found["full_and_answered"]
    return {
        "scenario": "udp forward, filled", "rules": 1_000,
        "connections_per_second": round(found["connections_per_second"]),
        "cycles_per_connection": round(found["cycles_per_connection"]),
        "cycles_of_last_eighth_to_first": round(last / first, 3),
        "bytes_per_connection": round(found["bytes_per_connection"], 1),
        "high_water": found["high_water"],
        "full_unanswered": unanswered,
        "full_answered": answered,
        "cycles_per_first_answer": round(found["cycles_per_first_answer"]),
        "aged_after_s": found["aged_after_s"],
        "left_after_ageing": found["left_after_ageing"],
    }


def run(options, rows):
    rounds = options.rounds or (3 if options.quick else 5)
    # On one scenario the rest of a quick run has to be believed.
    for scenario in options.scenario or (["full"] if options.quick else SCENARIOS):
        for protocol in options.protocol or PROTOCOLS:
            with rows.attempt(f"connections: {scenario}, {protocol}"):
                rows += measure(scenario, protocol, rounds)
    if options.fill:
        with rows.attempt(f"connections: filling a table of {options.fill}"):
            filled = fill(options.fill)
            for row in rows:
                row["bytes_per_connection"] = filled["bytes_per_connection"]
            rows.append(filled)
