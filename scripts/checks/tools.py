# SPDX-License-Identifier: Apache-2.0
"""clang-format and clang-tidy: versions differ in what they say, so one is pinned."""
import re
import shutil
import subprocess

LLVM = "14"  # Debian 12's


def clang_tool(name):
    """(program, its version), or (None, why there is none that can be used)."""
    other = f"{name} {LLVM} is not installed"
    for program in (f"{name}-{LLVM}", name):
        if not shutil.which(program):
            continue
        said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        version = re.search(r"version (\d+)\S*", said)
        if version and version[1] == LLVM:
            return program, version[0]
        other += f" ({program} is {version[0] if version else 'of unknown version'}, which judges otherwise)"
    return None, other
