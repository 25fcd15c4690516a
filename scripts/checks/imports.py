# SPDX-License-Identifier: Apache-2.0
"""Includes run down: scripts/floors.txt says which folder may include which."""
import fnmatch

from .tree import SOURCES, Finding

TABLE = "scripts/floors.txt"


def read_table(tree):
    """{name of a line: the names that it may include}, and what is wrong with the table itself."""
    rules, findings = {}, []
    for number, line in enumerate(tree.lines(TABLE), 1):
        name, colon, allowed = line.partition(":")
        if not line.strip() or line.startswith("#"):
            continue
        for other in allowed.split():
            if other not in rules and not any(above.startswith(other + "/") for above in rules):
                findings.append(Finding(TABLE, number, f"'{other}' has no line above this one"))
        rules[name.strip()] = set(allowed.split())
    return rules, findings


def line_of(file, rules):
    """(the line that a file belongs to, the folder in which it does); None without one."""
    parts, best = file.split("/"), None
    for rule in rules:
        names = rule.split("/")
        of_file = "." in names[-1]
        against = parts if of_file else parts[:-1]
        if len(names) > len(against) or (of_file and len(names) != len(parts)):
            continue
        if all(map(fnmatch.fnmatchcase, against, names)) and (not best or len(names) > len(best[0].split("/"))):
            best = (rule, rule if of_file else "/".join(parts[:len(names)]))
    return best


def may_include(source, target, rules):
    """Whether a file of the one line may include one of the other; a folder named alone takes in its rooms."""
    if source == target:
        return True
    rule, to = source[0], target[0]
    return any(to == name or (to.startswith(name + "/") and name.split("/")[0] != rule.split("/")[0])
               for name in rules[rule])


def check(tree):
    rules, findings = read_table(tree)
    for file in sorted(name for name in tree.files if name.endswith(SOURCES)):
        if file.startswith(("tests/", "cmake/")):
            continue
        source = line_of(file, rules)
        if not source:
            findings.append(Finding(file, 1, f"{TABLE} has no line for this folder: give it one"))
            continue
        for number, included in tree.includes(file):
            if included not in tree.files:
                continue
            target = line_of(included, rules)
            if included.startswith("tests/"):
                findings.append(Finding(file, number, f"includes {included}: only tests may include tests"))
            elif target and not may_include(source, target, rules):
                allowed = ", ".join(sorted(rules[source[0]])) or "nothing"
                findings.append(Finding(file, number, f"includes {included}: {source[0]} may include {allowed} "
                                                      f"({TABLE})"))
    return findings
