"""The library's symbols are its public functions: no fewer, no more, and no other prefix."""

import os
import re
import subprocess

import compilers
import public
from tree import Finding

SUMMARY = "the library exports exactly the public functions, all with the prefix weir_"
# readelf: number, value, size, type, binding, visibility, section, name
SYMBOL = re.compile(r"^\s*\d+:\s+[0-9a-f]+\s+\S+\s+(FUNC|OBJECT|NOTYPE|TLS|GNU_IFUNC)\s+"
                    r"(GLOBAL|WEAK)\s+(\w+)\s+(\d+|ABS|COM)\s+(\S+)", re.M)
MEMBER = re.compile(r"^File: .*\((.*)\)$", re.M)


def archive_of(tree):
    """The library to read, or (None, why not)."""
    if tree.archive:
        return tree.archive, None
    wrong = compilers.configure(tree, "gcc")
    if wrong:
        return None, wrong.split("\n")[0]
    run = compilers.build(tree, "gcc", "weir")
    if run.returncode != 0:
        return None, run.stdout.strip().split("\n")[-1]
    return os.path.join(compilers.folder(tree, "gcc"), "src", "libweir.a"), None


def defined(archive):
    """(member, visibility, name) of every global symbol that the library defines."""
    listing = subprocess.run(["readelf", "-sW", archive], capture_output=True, text=True).stdout
    parts = MEMBER.split(listing)
    for member, text in zip(parts[1::2], parts[2::2]):
        for match in SYMBOL.finditer(text):
            yield member, match.group(3), match.group(5)


def check(tree):
    archive, wrong = archive_of(tree)
    if not archive:
        yield Finding("src/CMakeLists.txt", 1, "the library can't be built", wrong)
        return
    declared = {f.name: f for f in public.functions(tree)}
    present = set()
    for member, visibility, name in defined(archive):
        source = member.removesuffix(".o")
        present.add(name)
        if visibility == "DEFAULT" and not name.startswith("weir_"):
            yield Finding(source, 1, f"{name} is exported without the prefix weir_",
                          "make it static, or leave its visibility hidden")
        elif name.startswith("weir_") and name not in declared:
            yield Finding(source, 1, f"{name} has the public prefix, and no public header declares it",
                          "declare it with WEIR_API, or name it module_verb")
        elif name in declared and visibility != "DEFAULT":
            yield Finding(source, 1, f"{name} is declared public, and hidden in the library",
                          "include its public header where it is defined")
    for name, function in declared.items():
        if name not in present:
            yield Finding(function.path, function.line, f"{name}() is declared, and not in the library",
                          "write it, or take the declaration away")
