#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each check of scripts/check.py fails when it should, and only then; and the hook on a commit's message."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from checks import docs, formatting, imports, licences, mutants, sizes, tools  # noqa: E402
from checks.tree import Tree  # noqa: E402
import tidy  # noqa: E402


class ChecksTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def tree(self, files):
        for name, text in files.items():
            path = pathlib.Path(self.folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Tree(self.folder.name, list(files))

    def found(self, check, files):
        return [(finding.file, finding.line) for finding in check(self.tree(files))]

    @unittest.skipUnless(tools.clang_tool("clang-format")[0], "clang-format is not installed")
    def test_a_source_that_is_not_formatted_is_found(self):
        style = (ROOT / ".clang-format").read_text()
        files = {".clang-format": style, "a/good.cc": "int x = 1;\n", "a/bad.cc": "int x = 1;\nint   y=2;\n"}
        self.assertEqual(self.found(formatting.check, files), [("a/bad.cc", 2)])

    def test_a_mutant_that_lost_its_line_is_found(self):
        mutant = "a/{}.cc\n- {}\n+ return 2;\n! a Suite.*\n"
        files = {"a/x.cc": "  return 1;\n", "tests/a/x_test.cc": "TEST_F(Suite, Works) {\n", "tests/mutants/x.txt": "\n".join(
            [mutant.format("x", "return 1;"), mutant.format("x", "return 3;"), mutant.format("y", "return 1;")])}
        self.assertEqual(self.found(mutants.check, files), [("tests/mutants/x.txt", 7), ("tests/mutants/x.txt", 2)])

    def test_a_mutant_whose_test_is_not_there_is_found(self):
        mutant = "a/x.cc\n- return 1;\n! {}\n"
        files = {"a/x.cc": "return 1;\n", "tests/a/x_test.cc": "TEST(Suite, Works) {\nTEST_P(Sweep, Works) {\n"}
        for wanted, found in [("a Suite.Works", []), ("a Suite.W*", []), ("a Prefix/Sweep.*", []),
                              ("a Other.*:Suite.*", []), ("a Suite.Fails", [("tests/mutants/x.txt", 2)]),
                              ("b Suite.Works", [("tests/mutants/x.txt", 2)])]:
            files["tests/mutants/x.txt"] = mutant.format(wanted)
            self.assertEqual(self.found(mutants.check, files), found, wanted)

    def test_a_missing_licence_line_is_found_and_added(self):
        files = {"LICENSE": "  Apache License\n  Version 2.0, January 2004\n",
                 "good.h": "// SPDX-License-Identifier: Apache-2.0\nint x;\n", "bad.cc": "int x;\n",
                 "run.sh": "#!/bin/bash\necho\n", "CMakeLists.txt": "# SPDX-License-Identifier: MIT\n"}
        tree = self.tree(files)
        self.assertEqual([(f.file, f.line) for f in licences.check(tree)],
                         [("CMakeLists.txt", 1), ("bad.cc", 1), ("run.sh", 2)])
        licences.fix(tree)
        self.assertEqual(licences.check(Tree(self.folder.name, list(files))), [])
        self.assertEqual((tree.root / "run.sh").read_text(),
                         "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\necho\n")

    def test_an_include_that_runs_up_is_found(self):
        table = "base:\nhall/low: base\nhall/high: base hall/low\ntop: base hall\n"
        files = {"scripts/floors.txt": table, "base/a.h": "", "hall/low/b.h": "", "hall/high/c.h": "", "top/d.h": "",
                 "hall/low/b.cc": '#include "base/a.h"\n#include "hall/high/c.h"\n',
                 "hall/high/c.cc": '#include "hall/low/b.h"\n', "top/d.cc": '#include "hall/high/c.h"\n',
                 "base/a.cc": '\n#include "top/d.h"\n', "new/e.cc": ""}
        self.assertEqual(self.found(imports.check, files),
                         [("base/a.cc", 2), ("hall/low/b.cc", 2), ("new/e.cc", 1)])

    def test_a_table_that_names_what_stands_below_is_found(self):
        self.assertEqual(self.found(imports.check, {"scripts/floors.txt": "# floors\nbase: top\ntop: base\n"}),
                         [("scripts/floors.txt", 2)])

    def test_one_of_several_folders_may_not_include_the_other(self):
        files = {"scripts/floors.txt": "tasks:\ntasks/*: tasks\n", "tasks/t.h": "", "tasks/a/a.h": "",
                 "tasks/a/a.cc": '#include "tasks/a/a.h"\n#include "tasks/t.h"\n',
                 "tasks/b/b.cc": '#include "tasks/a/a.h"\n'}
        self.assertEqual(self.found(imports.check, files), [("tasks/b/b.cc", 1)])

    def test_what_the_documentation_names_and_is_not_there_is_found(self):
        good = ("`base/a.h`, `base/{a,b}.h`, `base/a.h/.cc`, `base/`, `Thing::Do`, `a.h`, [a](base/a.h)\n"
                "`kvla two-words --flag 3`, `scripts/run.sh --fast`, `--gtest_filter=Suite.*`, `runs/x.db`\n")
        bad = ["`base/c.h`", "`base/{a,c}.h`", "`Thing::Gone`", "`c.h`", "[c](base/c.h)", "`kvla three`",
               "`kvla two-words --gone`", "`scripts/gone.sh`", "`scripts/run.sh --slow`",
               "`scripts/run.sh --gtest_filter=Gone.*`", "    build/release/kvla two-words --gone"]
        files = {"base/a.h": "class Thing { void Do(); };", "base/b.h": "", "base/a.cc": "",
                 "scripts/run.sh": "--fast",
                 "apps/two_words.cc": 'add_subcommand("two-words"); add_flag("--flag", x);',
                 "tests/base/a_test.cc": "TEST(Suite, Name) {\n}\n", "README.md": good + "\n".join(bad) + "\n"}
        self.assertEqual(self.found(docs.check, files), [("README.md", 3 + i) for i in range(len(bad))])

    def test_files_that_are_too_long_are_found(self):
        files = {"a.h": "\n" * 220, "b.h": "\n" * 221, "a.cc": "\n" * 550, "b.cc": "\n" * 551}
        self.assertEqual(self.found(sizes.check, files), [("b.cc", 551), ("b.h", 221)])

    def test_a_long_function_without_a_paragraph_is_found(self):
        body = "  Do();\n" * 60
        long_one = "Status Long(int a,\n            int b) {\n" + body + "}\n"
        for name, source, line in [
                ("function", "namespace kvla {\n\n" + long_one + "}  // namespace kvla\n", 3),
                ("member", "class A {\n public:\n  void F() {\n" + "    Do();\n" * 60 + "  }\n};\n", 3),
                ("one line of comment", "// Why.\n" + long_one, 2),
                ("paragraph", "// First this,\n// then that.\n" + long_one, None),
                ("paragraph inside", "void F() {\n  // First this,\n  // then that.\n" + body + "}\n", None),
                ("short", "void F() {\n" + "  Do();\n" * 58 + "}\n" + "void G() {\n" + "  Do();\n" * 58 + "}\n", None),
                ("list", "const int kList[] = {\n" + "  F(1),\n" * 80 + "};\n", None)]:
            with self.subTest(name):
                self.assertEqual(self.found(sizes.check, {"a.cc": source}), [("a.cc", line)] if line else [])

    def test_the_hook_wants_a_short_subject_and_an_empty_line(self):
        for message, good in [("a" * 72 + "\n\nwhy\n", True), ("a" * 73 + "\n", False), ("short\nwhy\n", False),
                              ("short\n# comment\n", True)]:
            with self.subTest(message):
                path = pathlib.Path(self.folder.name, "message")
                path.write_text(message)
                done = subprocess.run(["bash", str(ROOT / "scripts/hooks/commit-msg"), str(path)], capture_output=True)
                self.assertEqual(done.returncode == 0, good)


class TidyTest(unittest.TestCase):
    def test_precompiled_headers_of_gcc_are_left_out(self):
        self.assertEqual(
            tidy.flags_of("/usr/bin/c++ -DA -I/x -O3 -std=c++20 -Winvalid-pch -include /b/cmake_pch.hxx "
                          "-include other.h -o a.o -c /x/a.cc"),
            ("-DA", "-I/x", "-std=c++20", "-include", "other.h"))

    def test_what_a_unit_is_kept_under_changes_with_its_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            files = {"a.cc": '#include "a.h"\n', "a.h": '#include "b.h"\n', "b.h": "int x;\n", "c.h": ""}
            for name, text in files.items():
                pathlib.Path(folder, name).write_text(text)
            key = tidy.Unit(Tree(folder, list(files)), "a.cc", (), b"").key
            pathlib.Path(folder, "c.h").write_text("int y;\n")
            self.assertEqual(tidy.Unit(Tree(folder, list(files)), "a.cc", (), b"").key, key)
            pathlib.Path(folder, "b.h").write_text("int y;\n")
            self.assertNotEqual(tidy.Unit(Tree(folder, list(files)), "a.cc", (), b"").key, key)

    @unittest.skipUnless(tools.clang_tool("clang-tidy")[0], "clang-tidy is not installed")
    def test_findings_of_units_read_together_are_each_ones_own(self):
        tool = tools.clang_tool("clang-tidy")[0]
        with tempfile.TemporaryDirectory() as folder:
            # Two of one name cannot stand together: the second is read in a batch of its own.
            files = {"x/a.cc": "static int F() { return 1; }\nint BadName = F();\n",
                     "x/b.cc": "static int F() { return 2; }\nint good = F();\n"}
            for name, text in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            (pathlib.Path(folder) / ".clang-tidy").write_text((ROOT / ".clang-tidy").read_text())
            tree, found, root = Tree(folder, list(files)), {}, tidy.ROOT
            tidy.ROOT = pathlib.Path(folder)
            try:
                units = [tidy.Unit(tree, name, ("-std=c++20",), b"") for name in files]
                tidy.check(tool, units, 1, lambda unit, findings: found.update({unit.name: findings}))
            finally:
                tidy.ROOT = root
        self.assertEqual({name: [line for _, line, _ in findings] for name, findings in found.items()},
                         {"x/a.cc": [2], "x/b.cc": []})


if __name__ == "__main__":
    unittest.main()
