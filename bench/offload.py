# SPDX-License-Identifier: BSD-3-Clause
"""Flows on the emulated card: how fast they get there, what is left for the host, and what a change of
policy does to them, with traffic at full rate all the while."""

from common import Measurer, add_rounds, add_seconds, reserve_huge_pages, whole

HUGE_MIB = 512
MIB_PER_1000_FLOWS = 4


def add_options(parser):
    parser.add_argument("--flows", type=whole(1_000, 500_000),
                        help="that stay, and as many that come and go; 100,000, or 20,000 if quick")
    parser.add_argument("--inserts", type=whole(1_000, 2_000_000),
                        help="flows whose rules are inserted in one go; 600,000, or 100,000 if quick")
    add_rounds(parser, 10)  # Of those that come and go, and so of changes of policy.
    add_seconds(parser, 2.0, "of steady traffic, and of even arrivals")


def run(options, rows):
    flows = options.flows or (20_000 if options.quick else 100_000)
    rounds = options.rounds or (3 if options.quick else 10)
    inserts = options.inserts or (100_000 if options.quick else 600_000)
    with rows.attempt(f"offload: {flows} flows, {rounds} rounds"):
        reserve_huge_pages(HUGE_MIB + max(flows, inserts // 2) * MIB_PER_1000_FLOWS // 1000 + 256)
        with Measurer("offload", "--flows", flows, "--inserts", inserts, "--rounds", rounds,
                      "--seconds", options.seconds) as card:
            found = card.ready
        rows.append({"benchmark": "offload", "flows": flows, "rounds": rounds,
                     **{key: round(value, 3) for key, value in found.items()}})
