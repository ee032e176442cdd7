"""Every public function says what a caller has to know, in the same five fields."""

import re

import public
from tree import Finding

SUMMARY = "every public function is documented with " + ", ".join(public.FIELDS)


def fault_of(function):
    if not function.name.startswith("weir_"):
        return "is public but lacks the prefix weir_", "rename it, or make it internal"
    if function.macro_part:
        return None
    if not function.block:
        return "has no documentation block above it", "add one with the fields " + ", ".join(public.FIELDS)
    missing = [name for name in public.FIELDS if not function.fields.get(name)]
    if missing:
        return "is documented without " + ", ".join(missing), "fill the field in"
    if not re.match(r"(always|never)\b", function.fields["Checkpoint"]):
        return "must be a checkpoint always or never", "begin the field Checkpoint with one of the two"
    if not re.match(r"\d+\.\d+$", function.fields["Since"]):
        return "has no version in Since", "write the first version that has it, as 0.1"
    present = [name for name in function.fields]
    if present != list(public.FIELDS):
        return "has its fields out of order", "order them " + ", ".join(public.FIELDS)
    return None


def check(tree):
    count = 0
    for function in public.functions(tree):
        count += 1
        fault = fault_of(function)
        if fault:
            yield Finding(function.path, function.line, f"{function.name}() {fault[0]}", fault[1])
    tree.notes.append(f"{count} public functions")
