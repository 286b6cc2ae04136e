# SPDX-License-Identifier: BSD-3-Clause
"""Drop reasons are used and explained, and pages that programs write are up to date."""

import re

import pages
import pytest
import tree


def unused(reasons, files):
    used = set()
    for name, text in files:
        if not name.startswith("tests/"):
            used.update(re.findall(r"\bDropReason::(\w+)", text))
    return sorted(set(reasons) - used)


def test_every_drop_reason_is_used():
    reasons = pages.drop_reasons(tree.text_of("dataplane/drops.def"))
    assert len(reasons) > 50
    assert unused(reasons, tree.texts(".cpp", ".hpp")) == []


def test_an_unused_reason_is_found():
    files = [("dataplane/a.cpp", "return DropReason::one;"),
             ("tests/a.cpp", "EXPECT_EQ(r, DropReason::two);")]
    assert unused(pages.drop_reasons('DROP(one, "a")\nDROP(two, "b")\n'), files) == ["two"]


def without_case(reasons, files):
    named = set()
    for name, text in files:
        if name.startswith("tests/"):
            named.update(re.findall(r"^\s*drop (\w+)", text, re.MULTILINE))
            named.update(re.findall(r"^\s*stop \S+ (\w+)", text, re.MULTILINE))
            named.update(re.findall(r"\bDropReason::(\w+)", text))
    return sorted(set(reasons) - named)


# Nothing in a test can bring these about: something would have to run out, or to contradict itself.
BEYOND_TESTS = {"tx_full", "no_buffer", "handover_full", "no_output_port", "loop"}


def test_every_drop_reason_has_a_case():
    reasons = pages.drop_reasons(tree.text_of("dataplane/drops.def"))
    files = tree.texts(".test", ".cpp")
    assert without_case(set(reasons) - BEYOND_TESTS, files) == []


def test_a_reason_without_a_case_is_found():
    files = [("tests/a.test", "drop one\n  stop path two: x"), ("dataplane/a.cpp", "DropReason::four")]
    files.append(("tests/b.cpp", "EXPECT_EQ(r, DropReason::three);"))
    reasons = dict.fromkeys(["one", "two", "three", "four"], "x")
    assert without_case(reasons, files) == ["four"]


def test_every_drop_reason_is_explained():
    for name, sentence in pages.drop_reasons(tree.text_of("dataplane/drops.def")).items():
        assert len(sentence.split()) >= 3 and not sentence.endswith("."), name


def test_every_line_of_drops_def_is_read():
    text = tree.text_of("dataplane/drops.def")
    assert text.count("\nDROP(") == len(pages.drop_reasons(text))


def test_every_reason_of_software_is_explained():
    text = tree.text_of("flows/offload/refusals.def")
    rows = pages.reasons(text)
    assert text.count("\nREFUSAL(") + text.count("\nNOT_ASKED(") == len(rows) > 20
    for name, meaning, remedy in rows:
        assert len(meaning.split()) >= 3 and not meaning.endswith("."), name
        assert remedy and remedy[0] in f"`{remedy[0].upper()}" and not remedy.endswith("."), name
    assert pages.reasons('REFUSAL(a, Wait, "b c", "D")\nNOT_ASKED(e, "f", "G")\n') == [
        ("a", "b c", "D"), ("e", "f", "G")]


@pytest.mark.parametrize("name", pages.PAGES)
def test_pages_are_up_to_date(name):
    if not (tree.BUILD / "control/policy/gannet-schema").exists():
        pytest.skip(f"{tree.BUILD} has no gannet-schema")
    assert tree.text_of(name) == pages.PAGES[name](), "run ./run fmt"
