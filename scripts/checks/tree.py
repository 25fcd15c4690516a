# SPDX-License-Identifier: Apache-2.0
"""What git tracks, and a finding in it."""
import functools
import pathlib
import re
import subprocess
import typing

SOURCES = (".h", ".cc", ".cu", ".cuh", ".c")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


class Finding(typing.NamedTuple):
    file: str
    line: int
    message: str  # what is wrong, and what would be right


class Tree:
    """The tracked files of a repository as they lie in `root`; names are relative to it."""

    def __init__(self, root, files=None):
        self.root = pathlib.Path(root)
        if files is None:
            listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True,
                                    capture_output=True).stdout.decode()
            files = [name for name in listed.split("\0") if name]
        # One that was deleted or moved, and not staged yet, is no longer there.
        self.files = {name for name in files if (self.root / name).is_file()}
        self.folders = {"/".join(name.split("/")[:n]) for name in self.files
                        for n in range(1, name.count("/") + 1)}

    def sources(self):
        return sorted(name for name in self.files if name.endswith(SOURCES))

    def read_bytes(self, name):
        return (self.root / name).read_bytes()

    @functools.lru_cache(maxsize=None)
    def text(self, name):
        return self.read_bytes(name).decode(errors="replace")

    def lines(self, name):
        return self.text(name).splitlines()

    @functools.lru_cache(maxsize=None)
    def includes(self, name):
        """(line, included file) of each #include "..." in a source."""
        found = ((number, INCLUDE.match(line)) for number, line in enumerate(self.lines(name), 1))
        return [(number, match[1]) for number, match in found if match]

    def included_by(self, name):
        """The file and every tracked one that it includes, however far down."""
        seen, stack = set(), [name]
        while stack:
            file = stack.pop()
            if file in seen or file not in self.files:
                continue
            seen.add(file)
            stack += [included for _, included in self.includes(file)]
        return seen
