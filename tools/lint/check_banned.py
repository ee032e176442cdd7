"""Calls that the project does without."""

import re

from tree import Finding, line_at

SUMMARY = "no banned call (sprintf, strcpy, atoi ...), no sleep in a test, no raw malloc on a hot path"

BANNED = {
    "sprintf": "use snprintf, or weir_format in a task",
    "vsprintf": "use vsnprintf",
    "strcpy": "use slices (weir_str), or memcpy with a checked length",
    "stpcpy": "use slices (weir_str), or memcpy with a checked length",
    "strcat": "use a strbuf",
    "strncat": "use a strbuf",
    "gets": "use fgets",
    "strtok": "walk a weir_str",
    "strtok_r": "walk a weir_str",
    "atoi": "parse with a check for rest and range",
    "atol": "parse with a check for rest and range",
    "atoll": "parse with a check for rest and range",
    "atof": "parse with a check for rest and range",
    "alloca": "use the arena, or a fixed array",
}
SLEEP = ("sleep", "usleep", "nanosleep", "clock_nanosleep")
MALLOC = ("malloc", "calloc", "realloc", "strdup", "strndup", "asprintf", "vasprintf",
          "aligned_alloc", "posix_memalign")
HOT = ("src/rt/", "src/net/", "src/http/")
# Made and freed seldom: what these functions take from the heap is no hot path.
LIFE_CYCLE = re.compile(r"_(new|new_opt|init|open|open_opt|start|run|run_opt|setup|grow|listen|create)$")
CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
IGNORE = re.compile(r"\bWEIR_IGNORE\s*\(")


def enclosing(tree, path, offset):
    for function in tree.functions(path):
        if function.start <= offset < function.end:
            return function.name
    return ""


def fault_of(tree, path, name, offset):
    """(rule, what, advice) of a call, or None."""
    if name in BANNED:
        return name, f"{name}() is banned", BANNED[name]
    if name in SLEEP and path.startswith("tests/"):
        return ("sleep", f"{name}() in a test",
                "wait for the event itself, or use virtual time")
    if name in MALLOC and path.startswith(HOT) and \
            not LIFE_CYCLE.search(enclosing(tree, path, offset)):
        return ("malloc", f"{name}() where requests may pass",
                "take it from the arena, a slab or a pool; off the hot path, say so with "
                "/* lint: allow(malloc): why */")
    return None


def check_python(tree, path):
    for number, text in enumerate(tree.text(path).split("\n"), 1):
        if re.search(r"\btime\.sleep\(", text) and not tree.allowed(path, number, "sleep"):
            yield Finding(path, number, "time.sleep() in a test",
                          "wait for the event itself; a poll for another program's start may say so "
                          "with # lint: allow(sleep): why")


def check(tree):
    ignored = 0
    for path in tree.files(".c", ".h"):
        code = tree.code(path)
        if path != "include/weir/export.h":
            ignored += len(IGNORE.findall(code))
        for match in CALL.finditer(code):
            fault = fault_of(tree, path, match.group(1), match.start())
            line = line_at(code, match.start())
            if fault and not tree.allowed(path, line, fault[0]):
                yield Finding(path, line, fault[1], fault[2])
    for path in tree.files(".py", under=("tests/",)):
        yield from check_python(tree, path)
    tree.notes.append(f"{ignored} results are dropped on purpose (WEIR_IGNORE)")
