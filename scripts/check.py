#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what CONTRIBUTING asks for and no compiler sees, in seconds.

    scripts/check.py [CHECK...] [--index] [--fix]

Without CHECK all of them: formatting, licences, docs, imports, sizes, mutants (scripts/checks/, one module each). A finding is one
line, FILE:LINE and what would be right. --index checks what git is about to commit (formatting: of the files that
change) and not the folder as it stands; --fix adds licence lines. Exit status 1: findings. Standard library only.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

from checks import docs, formatting, imports, licences, mutants, sizes
from checks.tree import Tree

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKS = {"formatting": formatting, "licences": licences, "docs": docs, "imports": imports, "sizes": sizes,
          "mutants": mutants}


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout.decode()


def run(tree, wanted, changed=None):
    """Prints the findings; how many there are."""
    count = 0
    for name in wanted:
        found = formatting.check(tree, changed) if name == "formatting" else CHECKS[name].check(tree)
        for finding in found:
            print(f"{finding.file}:{finding.line}: {finding.message} [{name}]")
        count += len(found)
    print(f"check: {', '.join(wanted)}: {count} finding{'' if count == 1 else 's'}")
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; all without it")
    parser.add_argument("--index", action="store_true", help="what git is about to commit")
    parser.add_argument("--fix", action="store_true", help="add licence lines where they are missing")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.checks if name not in CHECKS]
    if unknown:
        parser.error(f"there is no check '{unknown[0]}': {', '.join(CHECKS)}")
    wanted = arguments.checks or list(CHECKS)
    if not arguments.index:
        if arguments.fix:
            licences.fix(Tree(ROOT))
        return 1 if run(Tree(ROOT), wanted) else 0
    changed = set(git("diff", "--cached", "--name-only", "-z", "--diff-filter=d").split("\0"))
    with tempfile.TemporaryDirectory() as folder:
        git("checkout-index", "--all", f"--prefix={folder}/")
        return 1 if run(Tree(folder, git("ls-files", "-z").split("\0")[:-1]), wanted, changed) else 0


if __name__ == "__main__":
    sys.exit(main())
