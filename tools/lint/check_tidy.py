"""clang-tidy over the sources. A source that passed is not read again until it, a header or the
configuration changes."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

import compilers
from tree import Finding

SUMMARY = "clang-tidy-19 finds nothing in src, cmd and examples (.clang-tidy says what it looks for)"
FAULT = re.compile(r"^(\S.*?):(\d+):\d+: (?:warning|error): (.*)$", re.M)


def shared_hash(tree):
    digest = hashlib.sha256()
    for path in tree.files(".h", ".clang-tidy", "CMakeLists.txt", ".cmake"):
        digest.update(path.encode() + tree.text(path).encode())
    return digest


def built(tree):
    """The sources that the build knows, relative to the tree."""
    with open(os.path.join(compilers.folder(tree, "clang"), "compile_commands.json"),
              encoding="utf-8") as file:
        return {os.path.relpath(os.path.realpath(entry["file"]), os.path.realpath(tree.root))
                for entry in json.load(file)}


def is_listed(tree, source):
    """Is it built where a library is absent that is here?"""
    folder, name = os.path.split(source)
    lists = os.path.join(folder, "CMakeLists.txt")
    return (os.path.exists(os.path.join(tree.root, lists)) and
            re.search(rf"(?<![\w/.-]){re.escape(name)}(?![\w.-])", tree.text(lists)) is not None)


def examine(tree, source, stamps, digest):
    digest = digest.copy()
    digest.update(source.encode() + tree.text(source).encode())
    stamp = os.path.join(stamps, digest.hexdigest())
    if os.path.exists(stamp):
        return []
    run = subprocess.run(["clang-tidy-19", "-p", compilers.folder(tree, "clang"), "--quiet", source],
                         cwd=tree.root, capture_output=True, text=True)
    findings = []
    for path, line, text in dict.fromkeys(FAULT.findall(run.stdout)):
        path = os.path.relpath(os.path.join(tree.root, path), tree.root)
        findings.append(Finding(path, int(line), text, "mend it, or say in a NOLINT why it stands"))
    if run.returncode != 0 and not findings:
        tail = (run.stdout + run.stderr).strip().split("\n")[-1]
        findings.append(Finding(source, 1, "clang-tidy failed", tail))
    if not findings:
        with open(stamp, "w", encoding="utf-8"):
            pass
    return findings


def check(tree):
    wrong = compilers.configure(tree, "clang")
    if wrong:
        yield Finding("CMakeLists.txt", 1, "can't be configured with clang", wrong.split("\n")[0])
        return
    stamps = os.path.join(tree.build, "lint-tidy")
    os.makedirs(stamps, exist_ok=True)
    digest = shared_hash(tree)
    sources = tree.files(".c", under=("src/", "cmd/", "examples/"))
    known = built(tree)
    for source in sources:
        if source not in known and not is_listed(tree, source):
            yield Finding(source, 1, "no build list names it", "add it to its folder's CMakeLists.txt")
    sources = [source for source in sources if source in known]
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(compilers.jobs()) as pool:
        for findings in pool.map(lambda s: examine(tree, s, stamps, digest), sources):
            for finding in findings:
                if str(finding) not in seen:
                    seen.add(str(finding))
                    yield finding
