# SPDX-License-Identifier: Apache-2.0
"""Every source names the licence in its first line (its second after #!)."""
from .tree import Finding

ENDINGS = {".h": "//", ".cc": "//", ".cu": "//", ".cuh": "//", ".c": "//", ".py": "#", ".sh": "#", ".cmake": "#"}
KNOWN = {"Apache License Version 2.0": "Apache-2.0", "MIT License": "MIT"}


def comment_of(file):
    name = file.rsplit("/", 1)[-1]
    if name == "CMakeLists.txt":
        return "#"
    return next((mark for ending, mark in ENDINGS.items() if name.endswith(ending)), None)


def missing(tree):
    """(file, the index where the line belongs, the line) of each source that lacks it."""
    words = " ".join(tree.text("LICENSE").split()) if "LICENSE" in tree.files else ""
    licence = next((name for title, name in KNOWN.items() if words.startswith(title)), None)
    if not licence:
        raise SystemExit("check: LICENSE is missing or none that scripts/checks/licences.py knows: add it there")
    for file in sorted(tree.files):
        mark = comment_of(file)
        lines = tree.lines(file) if mark else []
        if not mark or not lines:
            continue
        at = 1 if lines[0].startswith("#!") else 0
        wanted = f"{mark} SPDX-License-Identifier: {licence}"
        if lines[at:at + 1] != [wanted]:
            yield file, at, wanted


def check(tree):
    return [Finding(file, at + 1, f"should be '{wanted}' (scripts/check.py --fix adds it)")
            for file, at, wanted in missing(tree)]


def fix(tree):
    """Adds the line where it is missing."""
    for file, at, wanted in list(missing(tree)):
        lines = tree.text(file).splitlines(keepends=True)
        path = tree.root / file
        path.write_text("".join(lines[:at] + [wanted + "\n"] + lines[at:]))
        print(f"{file}: licence line added")
