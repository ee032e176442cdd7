#!/usr/bin/env python3
"""Runs cmocka tests of a build folder under Valgrind's memcheck: no error, no block lost.

    tools/valgrind.py BUILD-FOLDER [PATTERN]

Without a pattern a sample of each layer is run. Tests that fork, or that measure time, are not
meant for it."""

import json
import os
import re
import subprocess
import sys

SAMPLE = r"^(arena|buf|map|type_json_decode|type_yaml|scope|chan|sync|stream|h1_request|server_basic|client_basic)$"
# On a processor as Valgrind imitates it everything takes some 30 times as long.
TIMEOUT_S = 300


def tests(build, pattern):
    """(name, command) of each test that is a program of the build folder."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "-R", pattern],
                             capture_output=True, text=True, check=True).stdout
    for test in json.loads(listing)["tests"]:
        command = test.get("command", [])
        if command and os.path.basename(command[0]).startswith("test_"):
            yield test["name"], command


def run(name, command):
    """Whether it passes; what is wrong is printed."""
    memcheck = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
                "--errors-for-leak-kinds=definite,indirect", "--num-callers=24"]
    try:
        done = subprocess.run(memcheck + command, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        print(f"FAILED  {name}: not done after {TIMEOUT_S} s")
        return False
    if done.returncode == 0:
        print(f"ok      {name}", flush=True)
        return True
    print(f"FAILED  {name} ({done.returncode})\n{done.stdout[-4000:]}{done.stderr[-8000:]}", flush=True)
    return False


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    chosen = list(tests(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else SAMPLE))
    if not chosen:
        print(f"valgrind: no test of {sys.argv[1]} matches", file=sys.stderr)
        return 1
    failed = [name for name, command in chosen if not run(name, command)]
    print(f"valgrind: {len(chosen) - len(failed)} of {len(chosen)} tests without an error")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
