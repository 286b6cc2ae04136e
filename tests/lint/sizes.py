# SPDX-License-Identifier: BSD-3-Clause
"""How long files and functions are. As a program: the longest of both.

Works by the indentation that clang-format gives: a function's last line has that of its first."""

import re

BEGINS = re.compile(
    r"^((?:  )?)(?!namespace|class|struct|enum|union|extern|\}|public|private|#|//|constexpr auto|"
    r"const auto|static const|inline constexpr|for |if |while |switch |do |else|try)\S.*\{$")
HEAD_LINES = 8  # A function's head has no more.


def functions(lines):
    """(first line, number of lines) of each function, counted from its line with the '{'."""
    for number, line in enumerate(lines):
        match = re.match(r"^ {4,}\S.*\{$", line) and ")" in line and find_head(lines, number) or \
            BEGINS.match(line)
        if not match or re.search(r"[=(] ?\{$", line):
            continue  # A value, not a body.
        if "(" not in "".join(lines[max(0, number - HEAD_LINES):number + 1]):
            continue
        end = re.compile("^" + match[1] + r"\}")
        for last in range(number + 1, len(lines)):
            if end.match(lines[last]):
                yield number + 1, last - number + 1
                break


def find_head(lines, number):
    """The first line of a head that goes over several and ends in `number`, if it is one."""
    for above in range(number - 1, max(-1, number - HEAD_LINES), -1):
        if not lines[above] or lines[above].endswith((";", "{", "}")):
            return None
        match = re.match(r"^((?:  )?)[A-Za-z\[].*\(", lines[above])
        if match:
            return None if re.match(r"^ *(for|if|while|switch|return) ?\(", lines[above]) else match
    return None


def main():
    import tree  # pylint: disable=import-outside-toplevel
    files, found = [], []
    for name, text in tree.texts(".cpp", ".hpp"):
        lines = text.split("\n")
        files.append((len(lines) - 1, name))
        found += [(count, f"{name}:{first}") for first, count in functions(lines)]
    print("files above 300 lines:")
    for count, name in sorted(files, reverse=True):
        if count > 300:
            print(f"{count:6} {name}")
    print("longest functions:")
    for count, name in sorted(found, reverse=True)[:20]:
        print(f"{count:6} {name}")


if __name__ == "__main__":
    main()
