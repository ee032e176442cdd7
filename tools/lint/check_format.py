"""Everything in C reads as .clang-format says."""

import os
import re
import subprocess

from tree import Finding

SUMMARY = "C sources are formatted as .clang-format says (clang-format-19)"
FAULT = re.compile(r"^(.*?):(\d+):\d+: error: code should be clang-formatted")


def check(tree):
    files = tree.files(".c", ".h")
    if not files:
        return
    run = subprocess.run(["clang-format-19", "--dry-run", "-Werror", "--style=file", *files],
                         cwd=tree.root, capture_output=True, text=True)
    seen = set()
    for line in run.stderr.split("\n"):
        fault = FAULT.match(line)
        if fault and fault.group(1) not in seen:
            seen.add(fault.group(1))
            path = os.path.relpath(os.path.join(tree.root, fault.group(1)), tree.root)
            yield Finding(path, int(fault.group(2)), "not in the project's format",
                          f"run clang-format-19 -i {path}")
    if run.returncode != 0 and not seen:
        yield Finding(".clang-format", 1, "clang-format-19 failed",
                      run.stderr.strip().split("\n")[0])
