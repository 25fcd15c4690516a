#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang-tidy over every source of the compile database, with the checks of .clang-tidy.

    scripts/tidy.py [--preset release] [--jobs N] [--minutes M] [FILE...]      FILE: only these

Reading LibTorch's headers takes clang-tidy 50 s, GoogleTest's 5 s. So units that are compiled alike are read
together, as one file that includes up to BATCH of them; those that cannot stand together (a name
that two define for themselves) are read again in a later batch. gcc's precompiled headers are left out. What was found in
a unit is kept in build/tidy.json under a hash of the unit, the headers that it includes, its flags and .clang-tidy:
a second run reads what has changed. With --minutes it stops early and says how many are left for the next.

Exit status: 0 nothing found (or clang-tidy VERSION is not installed, which is said), 1 findings, 2 no compile database.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

from checks.tools import clang_tool
from checks.tree import Tree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BATCH = 12
FINDING = re.compile(r"^(/[^:]+):(\d+):\d+: (warning|error): (.*) \[([^\]]+)\]$")
# What clang cannot read of a command of gcc, and the files that it names.
DROPPED = {"-Winvalid-pch"}
DROPPED_WITH_VALUE = {"-o", "-c", "-MF", "-MT"}


def flags_of(command):
    """The flags of a compile command without compiler, source, output and precompiled header."""
    words = shlex.split(command)[1:]
    flags, i = [], 0
    while i < len(words):
        value = words[i + 1] if i + 1 < len(words) else ""
        if words[i] in DROPPED_WITH_VALUE or (words[i] == "-include" and "cmake_pch" in value):
            i += 2
            continue
        if words[i] not in DROPPED and not words[i].startswith("-O"):
            flags.append(words[i])
        i += 1
    return tuple(flags)


class Unit:
    def __init__(self, tree, name, flags, common):
        self.name, self.flags = name, flags
        self.files = tree.included_by(name)
        digest = hashlib.sha256(common + "\0".join(flags).encode())
        for file in sorted(self.files):
            digest.update(file.encode() + b"\0" + tree.read_bytes(file) + b"\0")
        self.key = digest.hexdigest()
        # Units are read together that have most of what they read in common.
        self.kind = (flags, name.split("/")[0], any(file.endswith("/torch.h") for file in self.files))


def read_database(tree, preset, common):
    entries = json.loads((ROOT / "build" / preset / "compile_commands.json").read_text())
    units = {}
    for entry in entries:
        name = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if name in tree.files and name.endswith(".cc") and name not in units:
            units[name] = Unit(tree, name, flags_of(entry["command"]), common)
    return sorted(units.values(), key=lambda unit: unit.name)


def batches(units):
    groups = {}
    for unit in units:
        groups.setdefault(unit.kind, []).append(unit)
    parts = []
    for group in groups.values():
        count = -(-len(group) // BATCH)
        parts += [group[i::count] for i in range(count)]
    return sorted(parts, key=lambda part: (not part[0].kind[2], -len(part)))  # the longest first


def read(tool, units):
    """The findings of each unit that was understood, and the units to be read in another batch."""
    with tempfile.NamedTemporaryFile("w", suffix=".cc", prefix="kvla_tidy_") as together:
        together.write("".join(f'#include "{ROOT}/{unit.name}"\n' for unit in units))
        together.flush()
        done = subprocess.run(
            [tool, "--quiet", f"--config-file={ROOT}/.clang-tidy",
             f"--header-filter=^{re.escape(str(ROOT))}/[a-z]", together.name, "--", *units[0].flags,
             "-ferror-limit=0", "-w"], cwd=ROOT, capture_output=True, text=True)
    found, errors = [], set()
    for match in filter(None, map(FINDING.match, done.stdout.splitlines())):
        if match[1] == together.name:  # that it includes sources
            continue
        name = os.path.relpath(match[1], ROOT)
        if match[5].startswith("clang-diagnostic"):
            errors.add(name)
        found.append((name, int(match[2]), f"{match[4]} [{match[5]}]"))
    if done.returncode != 0 and not errors:
        errors.add(units[0].name)
        found.append((units[0].name, 1, f"{tool} ended with status {done.returncode}: "
                                        f"{done.stderr.strip()[-300:]}"))
    again = [unit for unit in units if unit.name in errors] if len(units) > 1 else []
    if errors and len(units) > 1 and not 0 < len(again) < len(units):
        return {}, units
    return {unit: [f for f in found if f[0] in unit.files] for unit in units if unit not in again}, again


def check(tool, units, jobs, keep, minutes=None):
    """Reads every unit; keep(unit, findings) is called as each is done. After so many minutes none is begun."""
    deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(read, tool, part): part for part in batches(units)}
        while waiting:
            for future in concurrent.futures.wait(waiting, return_when="FIRST_COMPLETED").done:
                part = waiting.pop(future)
                if future.cancelled():
                    continue
                done, again = future.result()
                for unit, findings in done.items():
                    keep(unit, findings)
                # None could be read beside the others: each by itself.
                for rest in [again] if done and again else [[unit] for unit in again]:
                    waiting[pool.submit(read, tool, rest)] = rest
                if time.monotonic() > deadline:
                    for late in waiting:
                        late.cancel()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="only these")
    parser.add_argument("--preset", default="release")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, help="none is begun after so many")
    arguments = parser.parse_args()
    tool, version = clang_tool("clang-tidy")
    if not tool:
        print(f"tidy: skipped: {version}")
        return 0
    tree = Tree(ROOT)
    if not (ROOT / "build" / arguments.preset / "compile_commands.json").exists():
        print(f"tidy: no build/{arguments.preset}/compile_commands.json: run scripts/build.sh {arguments.preset}")
        return 2
    units = read_database(tree, arguments.preset, tree.read_bytes(".clang-tidy") + version.encode())
    if arguments.files:
        wanted = {os.path.relpath(os.path.abspath(file), ROOT) for file in arguments.files}
        units = [unit for unit in units if unit.name in wanted]

    kept_file = ROOT / "build" / "tidy.json"
    kept = json.loads(kept_file.read_text()) if kept_file.exists() else {}
    start, results = time.monotonic(), {}

    def keep(unit, findings):
        results[unit.name] = findings
        kept[unit.name] = {"key": unit.key, "findings": findings}
        fresh = kept_file.with_suffix(".tmp")
        fresh.write_text(json.dumps(kept))
        fresh.rename(kept_file)

    changed = []
    for unit in units:
        entry = kept.get(unit.name, {})
        if entry.get("key") == unit.key:
            results[unit.name] = entry["findings"]
        else:
            changed.append(unit)
    check(tool, changed, arguments.jobs, keep, arguments.minutes)
    findings = sorted({tuple(finding) for found in results.values() for finding in found})
    for file, line, message in findings:
        print(f"{file}:{line}: {message}")
    left = len(units) - len(results)
    print(f"tidy: {len(units)} units, {len(changed) - left} of them read in {time.monotonic() - start:.0f} s, "
          f"{len(findings)} findings" + (f"; {left} NOT READ for lack of time" if left else ""))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
