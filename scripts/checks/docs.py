# SPDX-License-Identifier: Apache-2.0
"""What the documentation names is there: paths, subcommands and their flags, scripts, names of the code, tests."""
import fnmatch
import posixpath
import re

from .tree import Finding

PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "policy/weights/README.md"]
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"(?:^|[\s(;|&])(?:build/\w+/|\$)?kvla((?:\s+[^#`|;)]*)?)")
FLAG = re.compile(r"(?<![\w-])--([a-z][a-z_-]*)")
FILTER = re.compile(r"--gtest_filter=['\"]?([\w.*:/?-]+)")
PATH = re.compile(r"^[\w.<>*{},/-]+$")
FILE_NAME = re.compile(r"^[\w-]+\.(yaml|txt|py|h|cc|sh|md|json|jsonl|csv|xml|safetensors)$")
NAME = re.compile(r"^(?:k[A-Z]\w+|[A-Z][a-z]\w*)(?:::\w+)*(?:\(\))?$")
TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.MULTILINE)
MADE = ("build/", "runs/", "data/", ".deps/", "page/")  # by the program; git ignores them


def expand(path):
    """a{b,c}d and name.h/.cc stand for several; <name> for any."""
    both = re.match(r"^(.*)(\.\w+)/(\.\w+)$", path)
    if both:
        return expand(both[1] + both[2]) + expand(both[1] + both[3])
    braces = re.search(r"\{([^{}]*)\}", path)
    if braces:
        return [one for part in braces[1].split(",")
                for one in expand(path[:braces.start()] + part + path[braces.end():])]
    return [re.sub(r"<[^>]*>", "*", path)]


class Names:
    """What there is to be named."""

    def __init__(self, tree):
        self.tree = tree
        self.top = {name.split("/")[0] for name in tree.files if "/" in name}
        sources = [tree.text(name) for name in tree.sources()]
        self.words = set(re.findall(r"\w+", " ".join(sources)))
        self.all = "\n".join(sources + [tree.text(n) for n in tree.files if n.endswith((".py", ".sh"))])
        self.base_names = {name.rsplit("/", 1)[-1] for name in tree.files}
        self.tests = [f"{a}.{b}" for name in tree.files if name.startswith("tests/") and name.endswith(".cc")
                      for a, b in TEST.findall(tree.text(name))]

    def path_exists(self, path):
        path = path.rstrip("/")
        there = self.tree.files | self.tree.folders
        return path in there or ("*" in path and any(fnmatch.fnmatchcase(name, path) for name in there))

    def subcommand(self, name):
        """The source of a subcommand and of what its flags are declared with, or None."""
        file = f"apps/{name.replace('-', '_')}.cc"
        if file not in self.tree.files or f'"{name}"' not in self.tree.text(file):
            return None
        shared = [included[:-2] + ".cc" for _, included in self.tree.includes(file) if included.startswith("apps/")]
        return "".join(self.tree.text(one) for one in [file, *shared] if one in self.tree.files)


def path_findings(names, token, folder):
    """Messages on a word that looks like a path of the repository."""
    if not PATH.match(token) or token.startswith(MADE) or token.startswith("-"):
        return
    for path in expand(token):
        if path.startswith("../"):
            continue
        if path.split("/")[0] in names.top and "/" in path or path in (".clang-tidy", ".clang-format"):
            if not names.path_exists(path) and not names.path_exists(posixpath.join(folder, path)):
                yield f"there is no {path}"
        elif FILE_NAME.match(path):
            if path not in names.base_names and path not in names.all:
                yield f"there is no file called {path}, and no source names it"


def command_findings(names, text):
    """Messages on `kvla SUB --flag`, scripts and test filters in a line of code."""
    for match in COMMAND.finditer(text):
        words = match[1].split()
        if not words or not re.match(r"^[a-z][a-z-]+$", words[0]):
            continue
        source = names.subcommand(words[0])
        if source is None:
            yield f"kvla has no subcommand '{words[0]}': there is no apps/{words[0].replace('-', '_')}.cc that adds it"
            continue
        for flag in FLAG.findall(match[1]):
            if f"--{flag}\"" not in source and f"--{flag}," not in source and flag not in ("help", "assets"):
                yield f"kvla {words[0]} has no flag --{flag}"
    script = re.search(r"\bscripts/([\w.-]+)", text)
    if script and f"scripts/{script[1]}" in names.tree.files:
        words = re.split(r"[#;|`]", text[script.end():])[0]
        for flag in FLAG.findall(words.split(" -- ")[0]):
            if script[1] in ("slurm_array.sh", "eval.sh"):  # hands its arguments on to kvla eval
                if f"--{flag}\"" not in (names.subcommand("eval") or ""):
                    yield f"kvla eval has no flag --{flag}, which scripts/{script[1]} hands on"
            elif flag != "gtest_filter" and f"--{flag}" not in names.tree.text(f"scripts/{script[1]}"):
                yield f"scripts/{script[1]} has no flag --{flag}"
    for match in FILTER.finditer(text):
        for one in re.split(r"[:-]", match[1]):
            if one and not any(fnmatch.fnmatchcase(test, one) for test in names.tests):
                yield f"no test is called {one}"


def name_findings(names, token):
    """Messages on a name of the code, such as CachePolicy::Score."""
    if NAME.match(token):
        for word in token.rstrip("()").split("::"):
            if word not in names.words:
                yield f"no source has the name {word}"


def check_page(names, page):
    folder = posixpath.dirname(page)
    fenced = False
    for number, line in enumerate(names.tree.lines(page), 1):
        if line.startswith("```"):
            fenced = line != "```" if not fenced else False
            shell = line == "```sh"
            continue
        if fenced and not shell:
            continue
        code = [line] if fenced or line.startswith("    ") else CODE.findall(line)
        messages = []
        for text in code:
            messages += command_findings(names, text)
            for token in re.split(r"[\s,]+(?![^{]*\})", text.split(" #")[0]):
                messages += path_findings(names, token.split("=")[-1].strip("()"), folder)
            messages += name_findings(names, text)
        for target in LINK.findall(line):
            if "://" not in target and not names.path_exists(posixpath.normpath(posixpath.join(folder, target))):
                messages.append(f"the link leads to {target}, which is not there")
        for message in dict.fromkeys(messages):
            yield Finding(page, number, message)


def check(tree):
    names = Names(tree)
    return [finding for page in sorted(tree.files) if any(fnmatch.fnmatchcase(page, one) for one in PAGES)
            and not page.startswith("docs/tasks/") for finding in check_page(names, page)]
