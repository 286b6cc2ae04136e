# SPDX-License-Identifier: BSD-3-Clause
"""Which tests cover which requirement: writes docs/conformance.md.

The requirements are in docs/requirements.tsv: id, title and, where one does not apply, why, or where it is
met in part, "partly: " and what is missing. A test names those that it covers:
  packet cases   on their `covers:` lines;
  GoogleTest     in the comment above the test or in it, `// F16: ...`, `// S4, S5: ...` or `(P10)`, or as
                 a part of its name, `TEST(Nat, N10_Hairpin)`; in the comment at the head of a file for all
                 of the file's tests;
  pytest         in the same way, in names, comments and docstrings, also as `covers: F51 P20.`
"""

import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lint"))
import tree  # pylint: disable=wrong-import-position

PAGE = "docs/conformance.md"
PARTLY = "partly: "
TABLES = {
    "V": "VXLAN", "F": "Stateful firewall and connection tracking", "N": "NAT", "L": "Load balancing",
    "G": "Fragments, ICMP and path MTU", "E": "ARP, ND, DHCP and anti-spoofing",
    "O": "Hardware offload", "P": "Control plane", "S": "Overload and hostile traffic",
}
ID = r"[VFNLGEOPS]\d{1,2}"
# Ids at the beginning of a comment, or with nothing but ids and RFCs between parentheses.
LEADING = re.compile(rf"^(?:covers: )?({ID}(?:(?:,| and)? {ID})*)(?=$|[:,. (])")
BRACKETED = re.compile(rf"\(((?:{ID}|RFC \d+(?:,? [\w.-]+)?)(?:[,;] (?:{ID}|RFC \d+(?:,? [\w.-]+)?))*)\)")
CPP_TEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)"
                      r"\(\s*(\w+),\s*(\w+)", re.MULTILINE)
PY_TEST = re.compile(r"^ *(?:async )?def (test_\w+)\(", re.MULTILINE)
CPP_COMMENT = re.compile(r"//+ ?(.*)$", re.MULTILINE)
PY_COMMENT = re.compile(r'(?:^\s*#+ ?|^\s*"""|,\s*#+ ?)(.*)$', re.MULTILINE)


def requirements(text):
    """id -> (title, what is missing, or why it does not apply, or ''), in the order of the file."""
    out = {}
    for line in text.splitlines():
        name, title, *why = line.split("\t")
        out[name] = (title, why[0] if why else "")
    return out


def ids_of(comments):
    found = []
    for comment in comments:
        for match in [LEADING.match(comment.strip()), *BRACKETED.finditer(comment)]:
            if match:
                found += re.findall(rf"\b{ID}\b", match[1])
    return found


def of_packet_cases(name, text):
    """(id, test) of the cases of one .test file."""
    title = None
    for line in text.splitlines():
        if line.startswith("title:"):
            title = line.removeprefix("title:").strip()
        elif line.startswith("covers:"):
            for found in line.removeprefix("covers:").split():
                yield found, f"{name}: {title}" if title else name


def beginning(text, start):
    """Where a test begins with the comment, or decorators, right above it."""
    lines = text[:start].splitlines(keepends=True)
    while lines and lines[-1].lstrip().startswith(("//", "#", "@")):
        start -= len(lines.pop())
    return start


def of_program(name, text, test, comment, joined):
    """(id, test) of the tests of one source."""
    matches = list(test.finditer(text))
    begins = [beginning(text, text.rfind("\n", 0, match.end()) + 1) for match in matches]
    head = re.match(r"(?:(?://|#).*\n)*(?:\"\"\"(?:.|\n)*?\"\"\")?", text)[0]
    if matches:
        for found in ids_of(comment.findall(head)):
            yield found, name
    for match, begin, end in zip(matches, begins, begins[1:] + [len(text)]):
        title = joined(match)
        found = ids_of(comment.findall(text[begin:end]))
        found += re.findall(rf"(?:^|[_.])({ID})(?=_|$)", title)
        for one in dict.fromkeys(found):
            yield one, f"{name}: {title}"


def coverage(files):
    """id -> tests, from (name, text) pairs."""
    out = collections.defaultdict(list)
    for name, text in files:
        if name.endswith(".test"):
            pairs = of_packet_cases(name, text)
        elif name.endswith(".cpp"):
            pairs = of_program(name, text, CPP_TEST, CPP_COMMENT, lambda m: f"{m[1]}.{m[2]}")
        else:
            pairs = of_program(name, text, PY_TEST, PY_COMMENT, lambda m: m[1])
        for found, test in pairs:
            if test not in out[found]:
                out[found].append(test)
    return out


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def row(name, title, why, tests):
    if tests:
        missing = [f"**{PARTLY}**{cell(why.removeprefix(PARTLY))}"] if why.startswith(PARTLY) else []
        shown = "<br>".join(missing + [cell(t.removeprefix("tests/")) for t in tests])
    else:
        applies = not why or why.startswith(PARTLY)
        shown = "**not covered**" if applies else f"does not apply: {cell(why)}"
    return f"| {name} | {cell(title)} | {shown} |"


def page(known=None, covered=None):
    if known is None:
        known = requirements(tree.text_of("docs/requirements.tsv"))
        covered = coverage((n, t) for n, t in tree.texts(".test", ".cpp", ".py")
                           if n.startswith("tests/") and not n.startswith("tests/lint/"))
    lines = ["# Conformance", "",
             "Requirements and the tests that cover them; all of these run in `./run test`, and a test that "
             "fails is a requirement that is not met. Written by `tests/conformance.py` from "
             "[requirements.tsv](requirements.tsv) and the tests' own words; `./run fmt` writes it anew.",
             "", "| table | requirements | covered | in part | do not apply | not covered |",
             "|---|---|---|---|---|---|"]
    sections = []
    for letter, title in TABLES.items():
        names = [name for name in known if name[0] == letter]
        met = [name for name in names if covered.get(name)]
        partly = [name for name in met if known[name][1].startswith(PARTLY)]
        out = [name for name in names
               if name not in met and known[name][1] and not known[name][1].startswith(PARTLY)]
        lines.append(f"| {letter}: {title} | {len(names)} | {len(met) - len(partly)} | {len(partly)} | "
                     f"{len(out)} | {len(names) - len(met) - len(out)} |")
        sections += ["", f"## {letter}: {title}", "", "| | requirement | tests |", "|---|---|---|"]
        sections += [row(name, *known[name], covered.get(name, [])) for name in names]
    return "\n".join(lines + sections) + "\n"


def main():
    text = page()
    path = tree.ROOT / PAGE
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()
