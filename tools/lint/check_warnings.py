"""The whole tree compiles without a warning, with both compilers."""

import os
import re

import compilers
from tree import Finding

SUMMARY = "gcc and clang 19 build everything at -O2 without a warning"
FAULT = re.compile(r"^(\S.*?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.M)


def check(tree):
    for compiler in compilers.COMPILERS:
        wrong = compilers.configure(tree, compiler)
        if wrong:
            yield Finding("CMakeLists.txt", 1, f"can't be configured with {compiler}",
                          wrong.split("\n")[0])
            continue
        run = compilers.build(tree, compiler)
        seen = set()
        for path, line, text in FAULT.findall(run.stdout):
            path = os.path.relpath(os.path.join(tree.root, path), tree.root)
            if (path, line, text) not in seen:
                seen.add((path, line, text))
                yield Finding(path, int(line), f"{compiler}: {text}", "mend the cause of the warning")
        if run.returncode != 0 and not seen:
            missing = dict.fromkeys(re.findall(r"undefined reference to .*", run.stdout))
            cause = "; ".join(missing) or " / ".join(run.stdout.strip().split("\n")[-3:])
            yield Finding("CMakeLists.txt", 1, f"the build with {compiler} failed", cause)
