"""Nothing unfinished, and nothing of one machine or one network, in what is kept."""

import re

from tree import Finding, line_at

SUMMARY = "no unfinished-work marks, no paths of one machine, no package registry's host"

# Spelled in parts, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")
MACHINE = re.compile(r"""(?<![\w.$}/-])/(""" + "|".join(("wo" "rk", "ho" "me", "ro" "ot", "Us" "ers")) + r""")/\w""")
SCRATCH = re.compile(r"(?<![\w.$}/-])/" "tmp" r"/\w")
REGISTRY = re.compile(
    r"\b(deb\.debian\.org|security\.debian\.org|archive\.ubuntu\.com|ports\.ubuntu\.com|pypi\.org|"
    r"files\.pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|static\.crates\.io|"
    r"index\.crates\.io|proxy\.golang\.org|sum\.golang\.org|repo1?\.maven\.org|rubygems\.org)\b")
RULES = (
    (UNFINISHED, ("",), "work left open", "finish it, or write it up as an issue"),
    (MACHINE, ("",), "a path of one machine", "take it from an argument, or relative to the tree"),
    (SCRATCH, ("src/", "include/", "cmd/", "examples/"), "a fixed path under the temporary folder",
     "take it from an argument, or use mkdtemp"),
    (REGISTRY, ("",), "a package registry's host", "leave it to the machine's own configuration"),
)
# The licence is quoted, not written.
QUOTED = ("LICENSE",)


def binary(text):
    return "\0" in text[:4096]


def check(tree):
    for path in tree.files():
        if path in QUOTED:
            continue
        text = tree.text(path)
        if binary(text):
            continue
        for pattern, folders, what, advice in RULES:
            if path.startswith(tuple(folders)):
                for match in pattern.finditer(text):
                    yield Finding(path, line_at(text, match.start()),
                                  f"{what} (\"{match.group()}\")", advice)
