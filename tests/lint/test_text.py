# SPDX-License-Identifier: BSD-3-Clause
"""What every file must have, and what none may: licence lines, places of one machine, links that
lead nowhere, functions that do not fit on a screen."""

import re

import sizes
import tree

MAX_FUNCTION_LINES = 70
MAX_TEST_FUNCTION_LINES = 100
MAX_FILE_LINES = 600  # About 300 is the aim; `tests/lint/sizes.py` lists what is above.
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
CODE = (".cpp", ".hpp", ".h", ".def", ".py", ".sh", "meson.build", "meson_options.txt", "run")
# Folders of people and of build machines.
MACHINE = re.compile(r"(?<![\w.$}/-])/(work|home|root|Users|build|workspace)/[\w.]")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)]*)?\)")
WITNESS = {"tests/lint/test_text.py"}  # Has to name what is forbidden.


def without_licence(files):
    return [name for name, text in files
            if name.endswith(CODE) and SPDX not in "\n".join(text.split("\n")[:2])]


def machine_paths(files):
    return [f"{name}: {match[0]}" for name, text in files if name not in WITNESS
            for match in MACHINE.finditer(text)]


def dead_links(files, known):
    dead = []
    for name, text in files:
        folder = name.rpartition("/")[0]
        for match in LINK.finditer(text):
            if "://" in match[1]:
                continue
            parts = []
            for part in f"{folder}/{match[1]}".split("/"):
                if part == "..":
                    parts = parts[:-1]
                elif part not in ("", "."):
                    parts.append(part)
            path = "/".join(parts)
            if path not in known and not any(k.startswith(path + "/") for k in known):
                dead.append(f"{name}: {match[1]}")
    return dead


def too_long(files):
    out = []
    for name, text in files:
        lines = text.split("\n")
        if len(lines) > MAX_FILE_LINES:
            out.append(f"{name}: {len(lines)} lines")
        for first, count in sizes.functions(lines):
            if count > (MAX_TEST_FUNCTION_LINES if name.startswith("tests/") else MAX_FUNCTION_LINES):
                out.append(f"{name}:{first}: a function of {count} lines")
    return out


def test_licences():
    assert without_licence(tree.texts(*CODE)) == []


def test_a_missing_licence_is_found():
    assert without_licence([("a.cpp", "#pragma once\n")]) == ["a.cpp"]
    assert without_licence([("a.py", f"#!/usr/bin/python3\n# {SPDX}\n")]) == []


def test_no_paths_of_a_machine():
    assert machine_paths(tree.texts()) == []


def test_paths_of_a_machine_are_found():
    assert machine_paths([("a.md", "see /home/me/x"), ("b.py", 'open("/root/y")')])
    assert not machine_paths([("a.md", "tests/build/x, /run/gannet/api.sock, ../home/x")])


def test_links_lead_somewhere():
    assert dead_links(tree.texts(".md"), set(tree.tracked())) == []


def test_dead_links_are_found():
    known = {"docs/map.md", "docs/a/b.md"}
    assert dead_links([("docs/x.md", "[a](none.md)")], known)
    assert not dead_links([("docs/x.md", "[a](map.md#part) [b](a/) [c](https://e.org/)")], known)


def test_functions_fit_on_a_screen():
    assert too_long(tree.texts(".cpp", ".hpp")) == []


def test_long_functions_are_found():
    body = "  x();\n" * MAX_FUNCTION_LINES
    assert too_long([("a.cpp", f"void f() {{\n{body}}}\n")])
    assert too_long([("a.cpp", f"class A {{\n  void f(int a,\n         int b) const {{\n{body}  }}\n}};\n")])
    assert not too_long([("a.cpp", "void f() {\n  x();\n}\n" * 80)])
    assert too_long([("a.cpp", "int a;\n" * (MAX_FILE_LINES + 1))])
