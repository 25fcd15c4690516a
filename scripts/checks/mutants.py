# SPDX-License-Identifier: Apache-2.0
"""Mutants follow their lines and their tests: what one of tests/mutants/*.txt breaks stands in its source exactly
once, and its filter names a test of its folder's program."""
import fnmatch
import re

import mutants

from .tree import Finding

TEST = re.compile(r"\bTEST(_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)")


def tests_of(tree, folder):
    """Names as --gtest_filter knows them, but for the parameter of a TEST_P; its prefix is any."""
    names = []
    for name in tree.files:
        if name.startswith(f"tests/{folder}/") and name.endswith(".cc"):
            names += [("*/" if kind == "_P" else "") + f"{suite}.{test}"
                      for kind, suite, test in TEST.findall(tree.text(name))]
    return names


def named(pattern, names):
    """Whether a positive pattern of a filter finds one of them."""
    return any(fnmatch.fnmatch(name, pattern) or
               (name.startswith("*/") and fnmatch.fnmatch(name[2:], pattern.rsplit("/", 1)[-1])) for name in names)


def check(tree):
    found, tests = [], {}
    for file in sorted(name for name in tree.files if name.startswith("tests/mutants/") and name.endswith(".txt")):
        for mutant in mutants.parse(file, tree.text(file)):
            names = tests.setdefault(mutant.folder, tests_of(tree, mutant.folder))
            if mutant.file not in tree.files:
                why = f"there is no {mutant.file}: let the mutant follow its line"
            elif mutant.apply(tree.text(mutant.file)) is None:
                why = f"'{mutant.old[0]}' stands not once in {mutant.file}: let the mutant follow its line"
            elif not any(named(pattern, names) for pattern in mutant.filter.split("-")[0].split(":")):
                why = f"no test of tests/{mutant.folder} is called {mutant.filter}: name the one that must fail"
            else:
                continue
            line = next(n for n, text in enumerate(tree.lines(file), 1) if text[1:].strip() == mutant.old[0])
            found.append(Finding(file, line, why))
    return found
