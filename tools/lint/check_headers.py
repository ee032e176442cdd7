"""Public headers compile alone, as C and as C++, and pull in no dependency's header."""

import concurrent.futures
import os
import re
import subprocess

import compilers
from tree import Finding

SUMMARY = "each public header compiles alone as C17 and C++17, twice included, without dependencies"
WAYS = (
    ("gcc", "c", "gnu17"), ("clang-19", "c", "gnu17"),
    ("g++", "c++", "c++17"), ("clang++-19", "c++", "c++17"),
)
DEPENDENCY = re.compile(r"/(openssl|nghttp2|ares|yyjson|yaml|zlib|brotli|zstd|liburing|libpq|hiredis)[^/]*(/|\.h$)")


def compile_header(tree, header, way):
    compiler, language, standard = way
    include = f"#include <{header[len('include/'):]}>\n"
    run = subprocess.run(
        [compiler, f"-x{language}", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
         "-H", "-I", "include", "-"],
        input=include + include, cwd=tree.root, capture_output=True, text=True)
    fault = re.search(r"^(\S+?):(\d+):\d+: (?:fatal )?error: (.*)$", run.stderr, re.M)
    if run.returncode != 0:
        path, line, what = fault.groups() if fault else (header, "1", run.stderr.strip()[-200:])
        path = os.path.relpath(os.path.join(tree.root, path), tree.root) if fault else header
        path = header if path.startswith("<stdin>") else path
        return Finding(path, int(line), f"{header} alone, {compiler} {standard}: {what}",
                       "include what it uses, and keep to what C and C++ share")
    taken = [line for line in run.stderr.split("\n") if re.match(r"\.+ ", line)]
    for line in taken:
        if DEPENDENCY.search(line):
            return Finding(header, 1, f"pulls in {line.lstrip('. ')}",
                           "keep dependencies out of the public headers: an opaque type does")
    return None


def check(tree):
    work = [(header, way) for header in tree.files(".h", under=("include/weir/",)) for way in WAYS]
    with concurrent.futures.ThreadPoolExecutor(compilers.jobs()) as pool:
        for finding in pool.map(lambda w: compile_header(tree, *w), work):
            if finding:
                yield finding
