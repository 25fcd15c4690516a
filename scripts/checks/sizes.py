# SPDX-License-Identifier: Apache-2.0
"""Files of a size that one takes in, and a paragraph for each long function."""
import re

from .tree import Finding

SOURCE_LINES, HEADER_LINES, FUNCTION_LINES = 500, 200, 60
TOLERANCE = 1.1
NOT_FUNCTIONS = re.compile(r"^(namespace|struct|class|enum|union|extern|using|template <.*> (struct|class))\b|=\s*\{$|\[\] = ")
INSIDE = re.compile(r"^(namespace|struct|class|union|template <.*> (struct|class))\b")


def file_size(tree, file):
    limit = HEADER_LINES if file.endswith(".h") else SOURCE_LINES
    count = len(tree.lines(file))
    if count > limit * TOLERANCE:
        yield Finding(file, count, f"{count} lines, where a {'header' if file.endswith('.h') else 'source'} has "
                                   f"{limit} at most: part it by what it does")


def long_functions(lines):
    """(first, last) line, from 0, of each function of more than FUNCTION_LINES lines, in code that clang-format wrote:
    a body ends with the first } at the column where its head began."""
    at = 0
    while at < len(lines):
        head = lines[at]
        indent = len(head) - len(head.lstrip())
        text = head.strip()
        if not text or text.startswith(("//", "#", "}", "{")) or text.endswith((";", ":")):
            at += 1
            continue
        opening = at  # a head may go over several lines, all indented further than its first
        while opening < len(lines) - 1 and not lines[opening].rstrip().endswith(("{", ";", "}")):
            opening += 1
            if lines[opening].strip() and len(lines[opening]) - len(lines[opening].lstrip()) <= indent:
                break
        whole = " ".join(line.strip() for line in lines[at:opening + 1])
        if INSIDE.match(whole) or not whole.endswith("{"):
            at = max(at + 1, opening if not whole.endswith("{") else opening + 1)
            continue
        closing = re.compile(" " * indent + r"\}")
        last = next((i for i in range(opening + 1, len(lines)) if closing.match(lines[i])), len(lines) - 1)
        if not NOT_FUNCTIONS.search(whole) and "(" in whole and last - at + 1 > FUNCTION_LINES:
            yield at, last
        at = last + 1


def has_paragraph(lines, first, last):
    """Two lines of comment in a row before or in a function."""
    start = first
    while start > 0 and lines[start - 1].strip().startswith("//"):
        start -= 1
    marks = [line.strip().startswith("//") for line in lines[start:last + 1]]
    return any(a and b for a, b in zip(marks, marks[1:]))


def function_sizes(tree, file):
    lines = tree.lines(file)
    for first, last in long_functions(lines):
        if not has_paragraph(lines, first, last):
            yield Finding(file, first + 1, f"a function of {last - first + 1} lines without a paragraph on how it "
                                           f"goes: write one above it, or part it")


def check(tree):
    findings = []
    for file in tree.sources():
        findings += [*file_size(tree, file), *function_sizes(tree, file)]
    return findings
