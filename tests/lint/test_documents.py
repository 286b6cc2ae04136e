# SPDX-License-Identifier: BSD-3-Clause
"""Examples are valid and their promises hold; what the documents say can be typed is understood."""

import pathlib
import re
import subprocess

import pytest
import tree

BIN = tree.BUILD / "bin"
HOSTS = sorted(path.relative_to(tree.ROOT) for path in tree.ROOT.glob("configs/*/host*.yaml"))
POLICIES = {"configs/demo": "configs/demo/policy.yaml", "configs/example": "configs/example/shop"}
DOCUMENTS = ("README.md", "docs/operations.md", "docs/api.md")

pytestmark = pytest.mark.skipif(not (BIN / "gannetctl").exists(), reason=f"{BIN} has no gannetctl")


def run(*command):
    return subprocess.run([str(word) for word in command], cwd=tree.ROOT, capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize("host", HOSTS, ids=str)
def test_example_hosts_are_valid(host):
    done = run(BIN / "gannetd", "--check", "--config", host, "--policy", POLICIES[str(host.parent)])
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("folder", POLICIES)
def test_example_policies_are_valid_and_without_a_warning(folder):
    done = run(BIN / "gannetctl", "lint", "--config", f"{folder}/host.yaml", POLICIES[folder])
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_promises_of_the_example_hold():
    done = run(BIN / "gannetctl", "test", "configs/example/shop")
    assert done.returncode == 0 and ", 0 failed" in done.stdout, done.stdout


def test_every_example_is_looked_at():
    looked_at = {str(host) for host in HOSTS} | set(POLICIES.values())
    for path in tree.ROOT.glob("configs/**/*.yaml"):
        name = str(path.relative_to(tree.ROOT))
        assert name in looked_at or str(pathlib.Path(name).parent) in looked_at, name


def commands(text):
    """Sub-commands of gannetctl that a document's code names."""
    code = "\n".join(re.findall(r"^    .*$|`[^`]+`", text, re.M))
    return set(re.findall(r"\bgannetctl (?:-o json )?([a-z]+)", code))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_documents_exist(document):
    for command in commands(tree.text_of(document)):
        assert run(BIN / "gannetctl", command, "--help").returncode == 0, command


def test_commands_are_found_in_documents():
    assert commands("`gannetctl nix` and\n\n    gannetctl -o json nope x\n\ngannetctl talk") == \
        {"nix", "nope"}


def test_every_command_is_explained():
    listed = re.findall(r"^  (\w+) {2,}", run(BIN / "gannetctl", "--help").stdout, re.M)
    assert len(listed) > 15
    assert set(listed) - commands(tree.text_of("docs/operations.md")) == set()


def test_api_page_has_every_path():
    served = set(re.findall(r'"/v1/(\w+)', tree.text_of("control/api/routes.cpp")))
    told = set(re.findall(r"`(?:GET|POST) /v1/(\w+)", tree.text_of("docs/api.md")))
    assert served == told
