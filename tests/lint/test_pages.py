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


def test_every_drop_reason_is_explained():
    for name, sentence in pages.drop_reasons(tree.text_of("dataplane/drops.def")).items():
        assert len(sentence.split()) >= 3 and not sentence.endswith("."), name


def test_every_line_of_drops_def_is_read():
    text = tree.text_of("dataplane/drops.def")
    assert text.count("\nDROP(") == len(pages.drop_reasons(text))


@pytest.mark.parametrize("name", pages.PAGES)
def test_pages_are_up_to_date(name):
    if not (tree.BUILD / "control/policy/gannet-schema").exists():
        pytest.skip(f"{tree.BUILD} has no gannet-schema")
    assert tree.text_of(name) == pages.PAGES[name](), "run ./run fmt"
