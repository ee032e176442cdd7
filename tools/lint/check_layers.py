"""One way down: a folder under src/ includes only itself and the folders below it."""

import os
import re

import layers
from tree import Finding, line_at

SUMMARY = "each layer includes only itself and those below it: " + " < ".join(layers.ORDER)
INCLUDE = re.compile(r"""^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]""", re.M)
# What does input or output has no place in the two layers that are free of it.
SYSTEM = re.compile(r"^(sys/(socket|epoll|eventfd|timerfd|uio|un|select)|netinet/|arpa/|netdb|poll|fcntl)")
PURE = ("base", "type")


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[0] == "include":
        return layers.of_public(os.path.splitext(parts[-1])[0])
    return "cmd" if parts[0] in ("cmd", "examples") else None


def target_layer(tree, path, quote, name):
    """The layer that an include reaches, or None for a system or dependency header."""
    head, _, rest = name.partition("/")
    if head == "weir":
        return layers.of_public(os.path.splitext(rest)[0]) or "?"
    if quote == '"' and rest and head in layers.ORDER:
        return head
    if quote == '"' and os.path.exists(os.path.join(tree.root, os.path.dirname(path), name)):
        return layer_of(path)
    return None


def check_include(tree, path, layer, line, quote, name):
    other = target_layer(tree, path, quote, name)
    if other == "?":
        return Finding(path, line, f"<{name}> belongs to no layer",
                       "name the header's layer in tools/lint/layers.py")
    if other and not layers.may_use(layer, other):
        return Finding(path, line, f"{layer} includes \"{name}\", which is of {other}, above it",
                       "move what both need down, or let the lower layer declare a hook")
    if layer in PURE and SYSTEM.match(name):
        return Finding(path, line, f"<{name}> does input or output, and {layer} must do none",
                       "take bytes and time as arguments; system calls belong to rt and above")
    if path.startswith("examples/") and quote == '"' and "/" in name:
        return Finding(path, line, f"an example includes \"{name}\", which users don't have",
                       "use the public headers <weir/...> only")
    return None


def check(tree):
    for path in tree.files(".c", ".h", ".S", under=("src/", "include/", "cmd/", "examples/")):
        layer = layer_of(path)
        if layer is None:
            if path.startswith("include/"):
                yield Finding(path, 1, "a public header that belongs to no layer",
                              "name its layer in tools/lint/layers.py")
            continue
        if layer not in layers.ORDER:
            yield Finding(path, 1, f"src/{layer} is no layer", "put it into one, or add the layer")
            continue
        code = tree.code(path)
        for match in INCLUDE.finditer(code):
            finding = check_include(tree, path, layer, line_at(code, match.start(1)),
                                    match.group(1), match.group(2))
            if finding:
                yield finding
