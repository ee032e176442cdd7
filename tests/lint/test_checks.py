"""Runs one check of tools/lint over small trees that it must reject, and over one that it must pass.

    test_checks.py CHECK     ends with 77 (skipped) where a tool that the check needs is missing

A sample is a name, the files of a tree, and what the check must say: FILE:LINE and a part of the
text. What must not stand in the project's own files is put together from parts.
"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

HEADER = """\
/* Counting. */
#ifndef WEIR_COUNT_H
#define WEIR_COUNT_H

#define WEIR_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

/* The next number.
 *
 * Checkpoint: never.
 * Returns:    a number above the last one.
 * Ownership:  takes nothing.
 * Thread:     any.
 * Since:      0.1 */
WEIR_API int weir_count(int last);

#ifdef __cplusplus
}
#endif

#endif
"""
SOURCE = """\
/* Counting: why it is a module of its own would stand here. */
#include <weir/str.h>

int weir_count(int last)
{
    return last + 1;
}
"""
BUILD = """\
cmake_minimum_required(VERSION 3.25)
project(sample LANGUAGES C)
add_library(weir STATIC src/base/count.c)
target_include_directories(weir PUBLIC include)
target_compile_options(weir PRIVATE -Wall -Wextra -fvisibility=hidden $<$<BOOL:${WEIR_WERROR}>:-Werror>)
set_target_properties(weir PROPERTIES ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/src)
"""
GOOD = {"include/weir/str.h": HEADER, "src/base/count.c": SOURCE, "CMakeLists.txt": BUILD}


def of_base(body, includes=""):
    return {"src/base/bad.c": f"/* A module that does what it must not. */\n{includes}{body}"}


def changed(path, old, new):
    assert old in GOOD[path]
    return {path: GOOD[path].replace(old, new)}


LONG = "int f(int a);\nint f(int a)\n{\n" + "    a++;\n" * 68 + "    return a;\n}\n"
SLEEPS = "int f(void)\n{\n    " + "us" "leep(1000);\n    return 0;\n}\n"

# check: (name, files, "FILE:LINE", part of the text)
SAMPLES = {
    "scripts": [
        ("python", {"tools/a.py": "def f(:\n"}, "tools/a.py:1", "Python"),
        ("shell", {"tools/a.sh": "if true; then\n"}, "tools/a.sh:1", "a.sh"),
    ],
    "words": [
        ("unfinished", of_base("/* TO" "DO: the rest */\n"), "src/base/bad.c:2", "work left open"),
        ("machine", {"docs/a.md": "See /ho" "me/ada/weir.\n"}, "docs/a.md:1", "a path of one machine"),
        ("scratch", of_base('const char *p = "/t' 'mp/x";\n'), "src/base/bad.c:2", "temporary folder"),
        ("registry", {"tools/a.sh": "curl https://py" "pi.org/x\n"}, "tools/a.sh:1", "host"),
    ],
    "layers": [
        ("upward", of_base("", '#include "rt/rt.h"\n'), "src/base/bad.c:2", "above it"),
        ("public", of_base("", "#include <weir/scope.h>\n"), "src/base/bad.c:2", "above it"),
        ("header", {"include/weir/error.h": "#include <weir/app.h>\n"}, "include/weir/error.h:1", "above it"),
        ("unknown", {"include/weir/odd.h": "\n"}, "include/weir/odd.h:1", "no layer"),
        ("folder", {"src/odd/a.c": "/* odd */\n"}, "src/odd/a.c:1", "no layer"),
        ("beside", {"src/data/a.c": '#include "flow/a.h"\n'}, "src/data/a.c:1", "above it"),
        ("system", of_base("", "#include <sys/socket.h>\n"), "src/base/bad.c:2", "input or output"),
        ("example", {"examples/a.c": '#include "rt/rt.h"\n'}, "examples/a.c:1", "public headers"),
    ],
    "banned": [
        ("call", of_base('void f(char *s)\n{\n    spr' 'intf(s, "x");\n}\n'), "src/base/bad.c:4", "banned"),
        ("space", of_base("int f(char *s)\n{\n    return at" "oi (s);\n}\n"), "src/base/bad.c:4", "banned"),
        ("sleep", {"tests/base/test_a.c": SLEEPS}, "tests/base/test_a.c:3", "in a test"),
        ("python", {"tests/e2e/a.py": "import time\ntime." "sleep(1)\n"}, "tests/e2e/a.py:2", "in a test"),
        ("malloc", {"src/http/a.c": "void *f(void)\n{\n    return mal" "loc(1);\n}\n"},
         "src/http/a.c:3", "where requests may pass"),
    ],
    "length": [
        ("function", of_base(LONG), "src/base/bad.c:3", "f() has 72 lines"),
        ("file", of_base("\n" * 1001), "src/base/bad.c:1001", "1000 at most"),
    ],
    "opening": [
        ("none", {"src/base/bad.c": "int f(void);\n"}, "src/base/bad.c:1", "no comment at its head"),
        ("empty", {"cmd/bad.c": "/* bad */\nint f(void);\n"}, "cmd/bad.c:1", "no comment at its head"),
    ],
    "apidoc": [
        ("bare", changed("include/weir/str.h", " * Since:      0.1 */\n", " * Since:      0.1 */\n\n"),
         "include/weir/str.h:19", "no documentation block"),
        ("field", changed("include/weir/str.h", " * Thread:     any.\n", ""),
         "include/weir/str.h:17", "without Thread"),
        ("empty", changed("include/weir/str.h", "Thread:     any.", "Thread:"),
         "include/weir/str.h:18", "without Thread"),
        ("checkpoint", changed("include/weir/str.h", "Checkpoint: never", "Checkpoint: at times"),
         "include/weir/str.h:18", "always or never"),
        ("order", changed("include/weir/str.h", " * Thread:     any.\n * Since:      0.1 */",
                          " * Since:      0.1\n * Thread:     any. */"),
         "include/weir/str.h:18", "out of order"),
        ("prefix", changed("include/weir/str.h", "int weir_count", "int count"),
         "include/weir/str.h:18", "prefix"),
    ],
    "headers": [
        ("lacks", changed("include/weir/str.h", "int last", "size_t last"),
         "include/weir/str.h:18", "size_t"),
        ("cxx", changed("include/weir/str.h", "int last", "int class"),
         "include/weir/str.h:18", "c++17"),
        ("twice", changed("include/weir/str.h", "#define WEIR_COUNT_H\n", "struct a { int b; };\n"),
         "include/weir/str.h:3", "redefinition"),
        ("dependency", {"include/weir/str.h": HEADER.replace("#define WEIR_COUNT_H",
                                                             "#define WEIR_COUNT_H\n#include <weir/yyjson.h>"),
                        "include/weir/yyjson.h": "\n"},
         "include/weir/str.h:1", "pulls in"),
    ],
    "format": [
        ("layout", of_base("int  f( int a );\n"), "src/base/bad.c:2", "not in the project's format"),
    ],
    "warnings": [
        ("unused", changed("src/base/count.c", "    return last + 1;", "    int spare;\n    return last + 1;"),
         "src/base/count.c:6", "spare"),
    ],
    "symbols": [
        ("prefix", {"src/base/count.c": SOURCE + '\n__attribute__((visibility("default"))) int odd;\n'},
         "count.c:1", "odd is exported without the prefix"),
        ("undeclared", {"src/base/count.c": SOURCE + "\nint weir_odd;\n"},
         "count.c:1", "weir_odd has the public prefix"),
        ("missing", changed("src/base/count.c", "weir_count", "count"),
         "include/weir/str.h:18", "not in the library"),
        ("hidden", changed("src/base/count.c", "#include <weir/str.h>\n", "int weir_count(int last);\n"),
         "count.c:1", "hidden in the library"),
    ],
    "tidy": [
        ("null", changed("src/base/count.c", "    return last + 1;",
                         "    int *p = 0;\n\n    return *p + last;"),
         "src/base/count.c:8", "null pointer"),
        ("forgotten", {"src/base/spare.c": "/* A source that nothing builds. */\n"},
         "src/base/spare.c:1", "no build list"),
    ],
}

NEEDED = {
    "format": ("clang-format-19",),
    "headers": ("gcc", "g++", "clang-19", "clang++-19"),
    "warnings": ("cmake", "ninja", "gcc", "clang-19"),
    "symbols": ("cmake", "ninja", "gcc", "readelf"),
    "tidy": ("cmake", "ninja", "clang-19", "clang-tidy-19"),
}


def run(check, files):
    """The check's exit status and output on a tree of these files over the good ones."""
    with tempfile.TemporaryDirectory() as folder:
        tree = dict(GOOD)
        tree.update(files)
        for path, text in tree.items():
            path = os.path.join(folder, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(os.path.join(ROOT, name), folder)
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "lint", "run.py"),
                               "--root", folder, check], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def examine(check, name, files, place, text):
    status, output = run(check, files)
    hits = [line for line in output.split("\n") if line.startswith(place + ": ") and text in line]
    if status == 1 and hits:
        return True
    print(f"{check}: the sample \"{name}\" must be rejected with {place}: ... {text}; "
          f"it ended with {status} and said:\n{output}")
    return False


def main():
    check = sys.argv[1]
    missing = [tool for tool in NEEDED.get(check, ()) if not shutil.which(tool)]
    if missing:
        print(f"{check}: not run: {', '.join(missing)} is missing (./dev lint installs it)")
        return 77
    status, output = run(check, {})
    passed = status == 0
    if not passed:
        print(f"{check}: the good sample must pass; it ended with {status} and said:\n{output}")
    for sample in SAMPLES[check]:
        passed = examine(check, *sample) and passed
    print(f"{check}: {len(SAMPLES[check])} bad samples")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
