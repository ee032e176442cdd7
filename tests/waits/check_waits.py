#!/usr/bin/env python3
"""Every public function that is a checkpoint has a sweep of its own: a SWEPT() in this folder.

A function is called under its own name or by a macro of the public headers that expands to it.
With --list, says for each function where it is swept.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "lint"))

import public  # noqa: E402
import tree  # noqa: E402

MACRO = re.compile(r"^#define (weir_\w+)\(((?:.*\\\n)*.*)", re.M)


def checkpoints(source):
    """The functions whose field says that they may wait, or look for a cancel."""
    for function in public.functions(source):
        if function.fields.get("Checkpoint", "").startswith("always"):
            yield function


def macros(source):
    """Each function's macros."""
    found = {}
    for path in source.files(".h", under=("include/weir/",)):
        for name, body in MACRO.findall(source.text(path)):
            for called in re.findall(r"\bweir_\w+(?=\()", body):
                found.setdefault(called, set()).add(name)
    return found


def names(function, forms):
    """Under which names a function is called: its own, and those of macros, and of theirs."""
    every, fresh = set(), {function}
    while fresh:
        every |= fresh
        fresh = set().union(*(forms.get(name, set()) for name in fresh)) - every
    return every


def swept(folder):
    """What is called in each SWEPT(), and where."""
    calls = {}
    for path in sorted(folder.glob("test_*.c")):
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"\bSWEPT(?:\(|_THEN\([^;]*?,)\s*(weir_\w+)\(", text):
            calls.setdefault(match.group(1), f"{path.name}:{text[:match.start()].count(chr(10)) + 1}")
        # Joins and the like hold their scope themselves.
        for match in re.finditer(r"sweep_at\(.*?sweep_over\(\)", text, re.S):
            for name in re.findall(r"\brc = (weir_\w+)\(", match.group()):
                calls.setdefault(name, f"{path.name}:{text[:match.start()].count(chr(10)) + 1}")
    return calls


def main():
    source = tree.Tree(ROOT)
    calls, forms, missing, count = swept(pathlib.Path(__file__).parent), macros(source), [], 0
    for function in checkpoints(source):
        count += 1
        where = [calls[name] for name in sorted(names(function.name, forms)) if name in calls]
        if not where:
            missing.append(function)
        elif "--list" in sys.argv:
            print(f"{function.name}: {', '.join(where)}")
    for function in missing:
        print(f"{function.path}:{function.line}: {function.name}() is a checkpoint that no test in "
              "tests/waits sweeps: add a scenario with SWEPT(), and a line to the table of its theme")
    print(f"{count} checkpoints, {len(missing)} not swept")
    return 1 if missing or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
