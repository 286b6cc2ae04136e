# SPDX-License-Identifier: BSD-3-Clause
"""What a host configuration may tell the emulated card is what its driver knows."""

import re

import tree


def driver_keys(text):
    return re.findall(r'"(\w+)"', text.partition("kKeys[] = {")[2].partition("nullptr")[0])


def checked_keys(text):
    return re.findall(r'\{"(\w+)", Shape::', text)


def test_the_driver_knows_what_is_checked():
    driver = driver_keys(tree.text_of("flows/emudpu/probe.cpp"))
    checked = checked_keys(tree.text_of("control/policy/validate_card.cpp"))
    assert len(driver) > 20 and sorted(driver) == sorted(checked)


def test_each_fault_of_the_driver_has_an_argument():
    keys = driver_keys(tree.text_of("flows/emudpu/probe.cpp"))
    faults = re.findall(r'\{"(\w+)", &', tree.text_of("flows/emudpu/faults.cpp"))
    assert len(faults) > 5 and {f"fault_{name}" for name in faults} <= set(keys)
    assert driver_keys('kKeys[] = {"a", "b",\n nullptr}; "c"') == ["a", "b"]
