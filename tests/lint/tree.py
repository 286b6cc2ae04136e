# SPDX-License-Identifier: BSD-3-Clause
"""The files of the tree, and where its build is."""

import functools
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GANNET_BUILD", ROOT / "build"))


@functools.cache
def tracked():
    """Every file that git knows or would take, relative to the root."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return sorted({name for name in names if name and (ROOT / name).is_file()})


@functools.cache
def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def texts(*endings):
    """(name, text) of all files with these endings; of all files if none are given."""
    return [(name, text_of(name)) for name in tracked() if not endings or name.endswith(endings)]
