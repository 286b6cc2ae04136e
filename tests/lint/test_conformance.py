# SPDX-License-Identifier: BSD-3-Clause
"""docs/conformance.md says what the tests say of themselves. That it is up to date is checked with the
other written pages."""

import pages  # Knows where conformance.py is.
import tree

conformance = pages.conformance

CPP = """// Things (P4).
#include "x.hpp"

// N24 (RFC 5508): options are skipped.
TEST(Quoted, Skips) {
  // F9: also here. L4 is no requirement, nor is (what L3 says).
}

// S4, S5: spread.
TEST(Index, Spreads) {}
TEST(Nat, N10_Hairpin) {}
"""


def test_requirements_are_known_and_in_order():
    known = conformance.requirements(tree.text_of("docs/requirements.tsv"))
    assert len(known) > 250
    for letter in conformance.TABLES:
        numbers = [int(name[1:]) for name in known if name[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1)), letter


def test_every_packet_case_covers_requirements_that_there_are():
    known = conformance.requirements(tree.text_of("docs/requirements.tsv"))
    for name, text in tree.texts(".test"):
        assert text.count("\ntitle:") == text.count("\ncovers:"), name
        for found, test in conformance.of_packet_cases(name, text):
            assert found in known or found[0] == "R", f"{test}: {found}"


def test_ids_are_found_where_they_may_stand():
    covered = conformance.coverage([("tests/a.cpp", CPP)])
    assert dict(covered) == {
        "P4": ["tests/a.cpp"], "N24": ["tests/a.cpp: Quoted.Skips"], "F9": ["tests/a.cpp: Quoted.Skips"],
        "S4": ["tests/a.cpp: Index.Spreads"], "S5": ["tests/a.cpp: Index.Spreads"],
        "N10": ["tests/a.cpp: Nat.N10_Hairpin"]}


def test_ids_of_packet_cases_and_of_python_are_found():
    covered = conformance.coverage([
        ("a.test", "title: one\ncovers: V1 F2\ntitle: two\ncovers: V1\n"),
        ("b.py", 'def test_x():\n    """P12: killed at every step."""\n')])
    assert dict(covered) == {"V1": ["a.test: one", "a.test: two"], "F2": ["a.test: one"],
                             "P12": ["b.py: test_x"]}


def test_what_is_not_covered_is_said():
    page = conformance.page({"V1": ("a", ""), "V2": ("b", ""), "V3": ("c", "none here"),
                             "V4": ("d", "partly: no e"), "V5": ("f", "partly: no g")},
                            {"V1": ["tests/x: y"], "V4": ["tests/x: z"]})
    assert "| V1 | a | x: y |" in page and "| V2 | b | **not covered** |" in page
    assert "| V3 | c | does not apply: none here |" in page and "| 5 | 1 | 1 | 1 | 2 |" in page
    assert "| V4 | d | **partly: **no e<br>x: z |" in page and "| V5 | f | **not covered** |" in page
