# SPDX-License-Identifier: BSD-3-Clause
"""Pages of docs/ that are written by programs. `pages.py --write` writes them anew."""

import pathlib
import re
import subprocess
import sys

import tree

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import conformance  # pylint: disable=wrong-import-position

DROP = re.compile(r'^DROP\((\w+), "((?:[^"\\]|\\.)*)"\)', re.MULTILINE)
SECTION = re.compile(r"^// (.*)\.$", re.MULTILINE)


def drop_reasons(text):
    """name -> sentence, of drops.def."""
    return {match[1]: match[2] for match in DROP.finditer(text)}


def drops_page():
    lines = ["# Drop reasons", "",
             "Every packet that is not sent has exactly one of these counted; counters, traces, "
             "`gannetctl show drops` and metrics all call it by this name. Written from "
             "`dataplane/drops.def`; `./run fmt` writes it anew.", ""]
    for line in tree.text_of("dataplane/drops.def").split("\n\n", 1)[1].split("\n"):
        if section := SECTION.match(line):
            lines += [f"## {section[1]}", "", "| name | the packet is dropped because |", "|---|---|"]
        elif drop := DROP.match(line):
            lines.append(f"| `{drop[1]}` | {drop[2]} |")
        elif not line:
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def policy_page():
    program = tree.BUILD / "control/policy/gannet-schema"
    return subprocess.run([program, "markdown"], check=True, capture_output=True, text=True).stdout


REASON = re.compile(r'^(REFUSAL|NOT_ASKED)\((\w+), (?:\w+, )?"((?:[^"\\]|\\.)*)", "((?:[^"\\]|\\.)*)"\)$',
                    re.MULTILINE)
BEGIN = "<!-- Written from `flows/offload/refusals.def`; `./run fmt` writes it anew. -->\n"
END = "<!-- End of what is written. -->\n"


def reasons(text):
    """[(name, sentence, remedy)] of refusals.def, in its order."""
    return [(match[2], match[3], match[4]) for match in REASON.finditer(text)]


def offload_page():
    """The page as it is, but for its table of reasons."""
    before, _, rest = tree.text_of("docs/offload.md").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = ["| reason | meaning | what to do |", "|---|---|---|"]
    lines += [f"| `{name}` | {meaning} | {remedy} |"
              for name, meaning, remedy in reasons(tree.text_of("flows/offload/refusals.def"))]
    return before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after


PAGES = {"docs/conformance.md": conformance.page, "docs/drops.md": drops_page,
         "docs/offload.md": offload_page, "docs/policy.md": policy_page}


def main():
    for name, page in PAGES.items():
        path: pathlib.Path = tree.ROOT / name
        text = page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
