# SPDX-License-Identifier: Apache-2.0
"""Mutants follow their lines: what one of tests/mutants/*.txt breaks stands in its source exactly once."""
import mutants

from .tree import Finding


def check(tree):
    found = []
    for file in sorted(name for name in tree.files if name.startswith("tests/mutants/") and name.endswith(".txt")):
        for mutant in mutants.parse(file, tree.text(file)):
            if mutant.file not in tree.files:
                why = f"there is no {mutant.file}"
            elif mutant.apply(tree.text(mutant.file)) is None:
                why = f"not once in {mutant.file}"
            else:
                continue
            line = next(n for n, text in enumerate(tree.lines(file), 1) if text[1:].strip() == mutant.old[0])
            found.append(Finding(file, line, f"'{mutant.old[0]}' stands {why}: let the mutant follow its line"
                                 if why.startswith("not") else f"{why}: let the mutant follow its line"))
    return found
