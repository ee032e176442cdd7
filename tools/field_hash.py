#!/usr/bin/env python3
"""Write field_hash.inc: a perfect hash of the known field names in names.h, and
those names in lower case.

Run it in src/http after a change of HTTP_FIELDS. The hash takes the first and
the last four bytes of a name in lower case, and its length (see field_find.h)."""
import random
import re

SLOTS_LOG2 = 9
rows = re.findall(r'X\((\w+), "([A-Za-z-]+)"\)', open("names.h").read())
keys = []
for ident, name in rows:
    n = name.lower().encode()
    if len(n) >= 4:
        a, b = n[:4], n[-4:]
    else:
        a = b = bytes([n[0], n[1], n[-1], 0x20])
    keys.append((int.from_bytes(a, "little"), int.from_bytes(b, "little"), len(n), ident))

rng = random.Random(1)
while True:
    m1, m2 = rng.getrandbits(32) | 1, rng.getrandbits(32) | 1
    slots = {}
    for a, b, n, ident in keys:
        h = ((a * m1 + (b + n) * m2) & 0xFFFFFFFF) >> (32 - SLOTS_LOG2)
        if h in slots:
            break
        slots[h] = ident
    else:
        break

with open("field_hash.inc", "w") as f:
    f.write("/* Written by tools/field_hash.py from names.h; do not edit. */\n")
    f.write(f"#define FIELD_HASH_BITS {SLOTS_LOG2}\n")
    f.write(f"#define FIELD_HASH_M1 0x{m1:08x}u\n#define FIELD_HASH_M2 0x{m2:08x}u\n")
    f.write("#define FIELD_HASH_SLOTS \\\n")
    body = [f"    [{h}] = HTTP_{slots[h]}," for h in sorted(slots)]
    f.write(" \\\n".join(body) + "\n")
    f.write("#define FIELD_LOWER_NAMES \\\n")
    body = [f'    [HTTP_{i}] = {{ "{n.lower()}", {len(n)} }},' for i, n in rows]
    f.write(" \\\n".join(body) + "\n")
