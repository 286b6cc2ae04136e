# SPDX-License-Identifier: BSD-3-Clause
"""Every rule of docs/offload.md is one that a ConnectX-6 Dx, as emulated, takes."""

import re

from lab import ROOT, Lab
from testpmd import Testpmd


LINE_BYTES = 511  # testpmd reads no more of a line; the rule out of a tunnel is longer.


def rules():
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "docs" / "offload.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    short = [line for line in lines if len(line) <= LINE_BYTES]
    assert len(short) >= len(lines) - 1
    return short


def test_the_card_takes_every_rule_of_the_page():  # O4, O18
    with Lab() as lab:
        pmd = Testpmd(lab, lab.host("card"), "net_null0", "net_null1",
                      "net_emudpu0,uplink=net_null0,vf=net_null1,profile=connectx6dx")
        created = 0
        for line in rules():
            answer = pmd(line)
            if line.startswith("flow create"):
                assert f"Flow rule #{created} created" in answer, f"{line}\n{answer}"
                created += 1
            else:
                assert "Bad arguments" not in answer, f"{line}\n{answer}"
        assert created >= 11
        assert pmd.quit() == 0
