"""A module says why it exists before its first line of code."""

import re

from tree import Finding

SUMMARY = "each source under src, cmd and examples opens with a comment on why it exists"
WORDS_MIN = 5


def check(tree):
    for path in tree.files(".c", ".S", under=("src/", "cmd/", "examples/")):
        opening = re.match(r"\s*/\*(.*?)\*/", tree.text(path), re.S)
        if not opening or len(opening.group(1).split()) < WORDS_MIN:
            yield Finding(path, 1, "no comment at its head",
                          "say why the module exists, its states and its invariants")
