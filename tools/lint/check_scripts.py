"""The project's own scripts can at least be read by what runs them."""

import subprocess

from tree import Finding

SUMMARY = "shell and Python scripts have no syntax error"


def check(tree):
    for path in tree.files():
        text = tree.text(path)
        if path.endswith(".py") or text.startswith("#!/usr/bin/env python3"):
            try:
                compile(text, path, "exec")
            except SyntaxError as fault:
                yield Finding(path, fault.lineno or 1, f"Python: {fault.msg}", "mend the syntax")
        elif path.endswith(".sh") or text.startswith("#!/usr/bin/env bash"):
            run = subprocess.run(["bash", "-n", path], cwd=tree.root, capture_output=True, text=True)
            if run.returncode != 0:
                yield Finding(path, 1, run.stderr.strip().split("\n")[0], "mend the syntax")
