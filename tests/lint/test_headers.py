# SPDX-License-Identifier: BSD-3-Clause
"""Each header compiles alone. A header that is the first include of its own source is proven by
clang-tidy, which reads each source alone (./run lint); any other is compiled with the flags of a source
beside it, and not again before it or something that it includes has changed."""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess

import pytest
import tree

STAMPS = tree.BUILD / "header-stamps"
# The build compiles several sources at once; this one, which nobody builds, lists each by itself.
SINGLY = tree.BUILD / "singly"
FIRST_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
DROPPED_WITH_VALUE = {"-o", "-c", "-MF", "-MQ"}


def compile_commands():
    """(source relative to the root, compiler and flags, folder) of each source of the build."""
    for command in json.loads((SINGLY / "compile_commands.json").read_text()):
        words = shlex.split(command["command"])
        if words[0].endswith("ccache"):
            words = words[1:]
        flags, skip = [], False
        for word in words:
            if skip:
                skip = False
            elif word in DROPPED_WITH_VALUE:
                skip = True
            elif word not in ("-MD", "-g", "-g1"):
                flags.append(word)
        path = os.path.join(command["directory"], command["file"])
        yield os.path.relpath(path, tree.ROOT), flags[:-1], command["directory"]


def flags_of_folders(commands):
    """The flags of the source with the most of them, for each folder and its parents."""
    flags = {}
    for source, words, directory in commands:
        folder, is_own = os.path.dirname(source), True
        while folder:
            rank = (is_own, len(words))
            if folder not in flags or rank > flags[folder][0]:
                flags[folder] = (rank, words, directory)
            folder, is_own = os.path.dirname(folder), False
    return flags


def is_proven(header, sources):
    """Whether a source of the build includes the header before anything else."""
    source = header.removesuffix(".hpp") + ".cpp"
    if source not in sources:
        return False
    first = FIRST_INCLUDE.search(tree.text_of(source))
    return first is not None and first[1] == header


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def is_unchanged(stamp, flags, directory):
    """Whether the header compiled with these flags, and nothing that it includes has changed since."""
    try:
        known = json.loads(stamp.read_text())
        return known["flags"] == flags and all(
            digest_of(os.path.join(directory, name)) == digest
            for name, digest in known["files"].items())
    except (OSError, ValueError):
        return False


def compile_alone(header, flags, directory):
    """\return what the compiler says against the header; empty if nothing."""
    STAMPS.mkdir(exist_ok=True)
    name = str(header).strip("/").replace("/", "_")
    stamp, listing = STAMPS / f"{name}.json", STAMPS / f"{name}.d"
    if is_unchanged(stamp, flags, directory):
        return ""
    done = subprocess.run([*flags, "-fsyntax-only", "-fdiagnostics-color=never", "-O0", "-MD", "-MF",
                           str(listing), "-include", str(header), "-x", "c++", "/dev/null"],
                          cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stderr
    words = listing.read_text().replace("\\\n", " ").split()[1:]
    files = {word: digest_of(os.path.join(directory, word)) for word in words
             if not word.startswith(("/usr/", "/dev/"))}
    stamp.write_text(json.dumps({"flags": flags, "files": files}))
    return ""


@pytest.fixture(scope="module", name="commands")
def fixture_commands():
    if not (SINGLY / "compile_commands.json").exists():
        subprocess.run(["meson", "setup", "-Dunity=off", str(SINGLY), str(tree.ROOT)], check=True,
                       capture_output=True)
    return list(compile_commands())


def flags_for(header, folders):
    folder = os.path.dirname(header)
    while folder and folder not in folders:
        folder = os.path.dirname(folder)
    return folders.get(folder)


def test_each_header_compiles_alone(commands):
    folders = flags_of_folders(commands)
    sources = {source for source, _, _ in commands}
    work = [(name, flags_for(name, folders)) for name in tree.tracked()
            if name.endswith(".hpp") and not is_proven(name, sources)]
    work = [(name, flags) for name, flags in work if flags is not None]
    assert work
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        said = list(pool.map(lambda w: compile_alone(tree.ROOT / w[0], w[1][1], w[1][2]), work))
    assert "".join(said) == ""


def test_a_header_that_lacks_an_include_is_found(commands, tmp_path):
    header = tmp_path / "lacking.hpp"
    header.write_text("#pragma once\ninline std::uint32_t f() { return 1; }\n")
    _, flags, directory = flags_of_folders(commands)["flows"]
    assert "uint32_t" in compile_alone(header, flags, directory)
    header.write_text("#pragma once\n#include <cstdint>\ninline std::uint32_t f() { return 1; }\n")
    assert compile_alone(header, flags, directory) == ""


def test_only_the_first_include_proves_a_header():
    assert is_proven("flows/key.hpp", {"flows/key.cpp"})
    assert not is_proven("flows/key.hpp", {"flows/action.cpp"})
    assert not is_proven("flows/base/check.hpp", {"flows/key.cpp"})
