"""The public functions as the headers declare them, with their documentation blocks."""

import re
from dataclasses import dataclass, field

from tree import line_at

FIELDS = ("Checkpoint", "Returns", "Ownership", "Thread", "Since")
DECLARATION = re.compile(r"^WEIR_API\b[^;{]*;", re.M | re.S)
ATTRIBUTES = re.compile(r"\bWEIR_(?:API|MUST_USE)\b|\bWEIR_(?:NONNULL|PRINTF)\([^()]*\)|__attribute__\s*\(\(.*?\)\)",
                        re.S)
NAME = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
FIELD = re.compile(r"^ \* (" + "|".join(FIELDS) + r"):[ \t]*(.*)$")


@dataclass
class Public:
    name: str
    path: str
    line: int
    signature: str
    block: str  # the comment's text, or ""
    fields: dict = field(default_factory=dict)

    @property
    def macro_part(self):
        """Parts of macros end in an underscore; the macro is what is documented."""
        return self.name.endswith("_")


def block_before(text, offset):
    """The comment that ends on the line above, if there is one."""
    before = text[:offset].rstrip(" \t")
    if not before.endswith("*/\n"):
        return ""
    return before[before.rindex("/*"):].rstrip()


def fields_of(block):
    found, current = {}, None
    for line in block.split("\n"):
        match = FIELD.match(line)
        if match:
            current = match.group(1)
            found[current] = match.group(2)
        elif current:
            found[current] += "\n" + re.sub(r"^ \*", "", line).replace("*/", "")
    return {name: text.replace("*/", "").strip() for name, text in found.items()}


def functions(tree):
    for path in tree.files(".h", under=("include/weir/",)):
        text, code = tree.text(path), tree.code(path)
        for match in DECLARATION.finditer(code):
            name = NAME.search(ATTRIBUTES.sub(" ", match.group()))
            if not name:
                continue
            block = block_before(text, match.start())
            signature = re.sub(r"\s+", " ", ATTRIBUTES.sub(" ", text[match.start():match.end()])).strip()
            yield Public(name.group(1), path, line_at(code, match.start()), signature, block,
                         fields_of(block))
