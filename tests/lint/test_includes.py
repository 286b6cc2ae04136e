# SPDX-License-Identifier: BSD-3-Clause
"""Who may include whom. flows is the ground, dataplane stands on it, control on both."""

import re

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)
LAYERS = {
    "flows": {"flows"},
    "dataplane": {"flows", "dataplane"},
    "control": {"flows", "dataplane", "control"},
    "bench": {"flows", "dataplane", "control", "bench"},
    "tests": {"flows", "dataplane", "control", "tests"},
}
# The emulated card is an independent witness: of ours it knows types and wire headers only.
EMUDPU = "flows/emudpu/"
EMUDPU_MAY = (EMUDPU, "flows/base/", "flows/packet/headers.hpp")
# Not in headers of the packet path: they allocate, lock or make every build slower.
HEAVY = re.compile(r"iostream|mutex|string|map|yaml-cpp/.*")
# Their only users speak to the control thread.
HEAVY_ALLOWED = {("dataplane/dataplane.hpp", "string"), ("dataplane/eal.hpp", "string"),
                 ("dataplane/port.hpp", "string")}


def includes(text):
    return [(match[1] == '"', match[2]) for match in INCLUDE.finditer(text)]


def wrong_directions(files):
    wrong = []
    for name, text in files:
        folder = name.split("/")[0]
        for is_ours, path in includes(text):
            if not is_ours:
                continue
            if name.startswith(EMUDPU):
                is_good = path.startswith(EMUDPU_MAY)
            else:
                is_good = path.split("/")[0] in LAYERS.get(folder, ()) and \
                    not path.startswith(EMUDPU)
            if not is_good and not (folder in ("tests", "bench") and path.startswith(EMUDPU)):
                wrong.append(f"{name} includes {path}")
    return wrong


def heavy_headers(files):
    return [f"{name} includes <{path}>" for name, text in files
            if name.startswith("dataplane/") and name.endswith(".hpp")
            for is_ours, path in includes(text)
            if not is_ours and HEAVY.fullmatch(path) and (name, path) not in HEAVY_ALLOWED]


def unrooted(files, known):
    """Includes in quotes that are no path from the root."""
    return [f"{name} includes \"{path}\"" for name, text in files
            for is_ours, path in includes(text) if is_ours and path not in known]


def test_directions():
    assert wrong_directions(tree.texts(".cpp", ".hpp", ".h", ".def")) == []


def test_wrong_directions_are_found():
    for name, path in (("flows/key.hpp", "dataplane/worker.hpp"),
                       ("dataplane/worker.cpp", "control/daemon.hpp"),
                       ("control/daemon.cpp", "tests/support/literals.hpp"),
                       ("control/daemon.cpp", "bench/load.hpp"),
                       ("dataplane/port.cpp", "flows/emudpu/device.hpp"),
                       ("flows/emudpu/device.cpp", "flows/key.hpp"),
                       ("flows/emudpu/device.cpp", "flows/packet/parse.hpp"),
                       ("flows/key.cpp", "key.hpp")):
        assert wrong_directions([(name, f'#include "{path}"\n')]), (name, path)
    assert not wrong_directions([("flows/emudpu/device.cpp", '#include "flows/base/ip.hpp"\n'),
                                 ("dataplane/worker.cpp", "#include <rte_ring.h>\n")])


def test_headers_of_the_packet_path_are_light():
    assert heavy_headers(tree.texts(".hpp")) == []


def test_heavy_headers_are_found():
    for header in ("iostream", "mutex", "string", "map", "yaml-cpp/yaml.h"):
        assert heavy_headers([("dataplane/worker.hpp", f"#include <{header}>\n")]), header
    assert not heavy_headers([("dataplane/worker.hpp", "#include <string_view>\n")])


def test_paths_are_from_the_root():
    assert unrooted(tree.texts(".cpp", ".hpp"), set(tree.tracked())) == []


def test_relative_paths_are_found():
    assert unrooted([("flows/key.cpp", '#include "key.hpp"\n')], {"flows/key.hpp"})
