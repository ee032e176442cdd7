"""Runs the checks: python3 tools/lint/run.py [--root DIR] [--build DIR] [CHECK...]

A check is a module check_NAME.py with a SUMMARY and a function check(tree) that yields findings.
"""

import argparse
import glob
import importlib
import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from tree import Tree  # noqa: E402 (the folder has to be on the path first)

# The quick ones first, so that a slip shows before the compilers start.
ORDER = ("scripts", "words", "layers", "banned", "length", "opening", "apidoc", "headers", "format",
         "warnings", "symbols", "tidy")


def checks():
    found = {os.path.basename(p)[len("check_"):-len(".py")]
             for p in glob.glob(os.path.join(HERE, "check_*.py"))}
    return [name for name in ORDER if name in found] + sorted(found - set(ORDER))


def run_one(name, tree):
    begun = time.monotonic()
    tree.notes = []
    findings = list(importlib.import_module("check_" + name).check(tree))
    for finding in findings:
        print(finding)
    for note in tree.notes:
        print(f"lint: {name}: {note}")
    verdict = f"{len(findings)} to mend" if findings else "ok"
    print(f"lint: {name}: {verdict} ({time.monotonic() - begun:.1f} s)", flush=True)
    return len(findings)


def main():
    parser = argparse.ArgumentParser(description="Runs the checks of weir's source tree.")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="which checks; all unless given")
    parser.add_argument("--list", action="store_true", help="say what each check looks at")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(HERE)),
                        help="the tree to look at")
    parser.add_argument("--build", help="where to build; ROOT/build unless given")
    parser.add_argument("--archive", help="the library whose symbols are read, instead of building it")
    options = parser.parse_args()
    known = checks()
    if options.list:
        for name in known:
            print(f"{name:10} {importlib.import_module('check_' + name).SUMMARY}")
        return 0
    for name in options.checks:
        if name not in known:
            sys.exit(f"lint: no check \"{name}\": the checks are: {' '.join(known)}")
    tree = Tree(options.root, options.build, options.archive)
    count = {name: run_one(name, tree) for name in options.checks or known}
    bad = {name: n for name, n in count.items() if n}
    if bad:
        print("lint: FAILED: " + ", ".join(f"{name}: {n}" for name, n in bad.items()))
        return 1
    print(f"lint: {len(count)} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
