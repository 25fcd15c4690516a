#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks one line of the program at a time and says whether a test notices.

    scripts/mutants.py [FILE...] [--list] [--only TEXT] [--preset release]

FILE holds mutants (default: every tests/mutants/*.txt). A mutant is a block of lines:

    kv_efficient/kv_cache.cc                 the source, relative to the repository
    - stats_.tokens = held / lanes;          lines of it as they stand, from the first to the last
    + stats_.tokens = held;                  what takes their place (none: they are taken out)
    ! kv_efficient CacheStatsTest.*          tests/<folder>'s program and the filter that must fail

The old lines must stand in the source exactly once, leading blanks aside. Blocks are parted by empty lines;
a line that begins with # is a comment. Each mutant is built and run by itself and the source put back, also
on Ctrl-C. Exit status 1: a mutant survived, does not compile, or no longer fits the source.
"""
import argparse
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Mutant:
    def __init__(self, origin, lines):
        self.origin = origin
        self.file = lines[0].strip()
        self.old = [l[1:].strip() for l in lines[1:] if l.startswith("-")]
        self.new = [l[1:].strip() for l in lines[1:] if l.startswith("+")]
        tests = [l[1:].split() for l in lines[1:] if l.startswith("!")]
        if len(tests) != 1 or len(tests[0]) != 2 or not self.old:
            raise SystemExit(f"{origin}: a mutant needs a file, '-' lines and one '! folder filter' line:\n  "
                             + "\n  ".join(lines))
        self.folder, self.filter = tests[0]

    def apply(self, source):
        """The source with the mutation, or None where the old lines do not stand in it exactly once."""
        lines = source.splitlines()
        n = len(self.old)
        places = [i for i in range(len(lines) - n + 1)
                  if [l.strip() for l in lines[i:i + n]] == self.old]
        if len(places) != 1:
            return None
        at = places[0]
        return "\n".join(lines[:at] + self.new + lines[at + n:]) + "\n"


def read(path):
    return parse(path.name, path.read_text())


def parse(name, text):
    mutants, block = [], []
    for line in text.splitlines() + [""]:
        if line.startswith("#"):
            continue
        if line.strip():
            block.append(line)
        elif block:
            mutants.append(Mutant(name, block))
            block = []
    return mutants


def run(mutant, preset):
    """(verdict, seconds); verdict 'killed', 'SURVIVED', ..."""
    begin = time.monotonic()
    path = ROOT / mutant.file
    source = path.read_text()
    broken = mutant.apply(source)
    if broken is None:
        return "DOES NOT FIT: the old lines must stand there exactly once", 0
    target = f"kvla_{mutant.folder}_test"
    try:
        path.write_text(broken)
        build = subprocess.run(["cmake", "--build", str(ROOT / "build" / preset), "--target", target,
                                "--parallel", "2"], cwd=ROOT, capture_output=True, text=True)
        if build.returncode != 0:
            return "DOES NOT COMPILE: " + (build.stdout.strip().splitlines() or ["?"])[-1], 0
        test = subprocess.run([str(ROOT / "build" / preset / "tests" / target),
                               f"--gtest_filter={mutant.filter}", "--gtest_fail_fast"],
                              cwd=ROOT, capture_output=True, text=True, timeout=1200)
    finally:
        path.write_text(source)
    if "Running 0 tests" in test.stdout:
        return "NO TEST of that name", 0
    verdict = "killed" if test.returncode != 0 else "SURVIVED"
    return verdict, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--list", action="store_true", help="print the table and run nothing")
    parser.add_argument("--only", default="", help="those whose file or lines contain this text")
    parser.add_argument("--preset", default="release")
    args = parser.parse_args()
    files = args.files or sorted((ROOT / "tests" / "mutants").glob("*.txt"))
    mutants = [m for f in files for m in read(f)]
    mutants = [m for m in mutants if args.only in "\n".join([m.file] + m.old + m.new)]
    bad = 0
    for number, mutant in enumerate(mutants, 1):
        verdict, seconds = ("", 0) if args.list else run(mutant, args.preset)
        bad += not args.list and verdict != "killed"
        took = f" ({seconds:.0f} s)" if seconds else ""
        print(f"{number}/{len(mutants)} {mutant.file}: {' / '.join(mutant.old)}  ->  "
              f"{' / '.join(mutant.new) or '(nothing)'}  [{mutant.folder} {mutant.filter}]"
              f"{' ' if verdict else ''}{verdict}{took}", flush=True)
    print(f"{len(mutants)} mutants" + ("" if args.list else f", {len(mutants) - bad} killed"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
