"""Writes the API reference out of the public headers: one page a header, and an index.

    api-reference.py DIR      writes DIR/api/*.md

A header is read as its authors laid it out: its opening comment, then entries, each a comment and
the declarations right under it. Functions get their five fields as a list.
"""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools", "lint"))

import public  # noqa: E402 (the folder has to be on the path first)

COMMENT = re.compile(r"/\*(.*?)\*/", re.S)
SECTION = re.compile(r"^/\* -{2,} (.*?) -{2,} \*/$")
HIDDEN_NAME = re.compile(r"\b\w+_\s*\(")


def plain(comment):
    """A comment's text without its frame."""
    return re.sub(r"^ ?\*? ?", "", comment.strip("/*").strip(), flags=re.M).rstrip()


def prose(text):
    """Text as Markdown: indented parts become code."""
    out, code = [], False
    for line in text.split("\n"):
        indented = line.startswith("    ")
        if indented and not code:
            out += ["", "```c"]
        elif code and not indented and line.strip():
            out += ["```", ""]
            code = False
        code = code or indented
        out.append(line[4:] if indented else line)
    if code:
        out.append("```")
    return "\n".join(out)


def entries(text):
    """(comment, code) of what stands between empty lines after the opening comment."""
    for part in re.split(r"\n\s*\n(?=/\*|typedef|#define|WEIR_API|static inline|struct|enum)", text):
        part = part.strip()
        if SECTION.match(part.split("\n")[0]):
            yield SECTION.match(part.split("\n")[0]).group(1), None
            part = "\n".join(part.split("\n")[1:]).strip()
        match = COMMENT.match(part)
        comment = match.group() if match else ""
        code = part[len(comment):].strip()
        if code:
            yield comment, code


def skipped(comment, code):
    """What is only machinery: guards, includes, and parts of macros."""
    code = "\n".join(line for line in code.split("\n")
                     if not re.match(r"#\s*(include|ifndef|ifdef|endif|else|if)|WEIR_(BEGIN|END)$", line)).strip()
    names = public.NAME.search(public.ATTRIBUTES.sub(" ", code)) if code else None
    return not code or (names and names.group(1).endswith("_")) or \
        (not comment and not code.startswith(("WEIR_API", "typedef")))


def title_of(code):
    function = public.NAME.search(public.ATTRIBUTES.sub(" ", code)) if "WEIR_API" in code else None
    if function:
        return function.group(1) + "()"
    name = re.match(r"#define\s+(\w+)", code) or re.search(r"\}\s*(\w+);\s*$", code) or \
        re.match(r"typedef\s.*?(\w+)\s*(\(.*\))?;", code, re.S) or re.search(r"(\w+)\s*\(", code)
    return name.group(1) if name else code.split("\n")[0]


def declaration(code):
    if "WEIR_API" not in code:
        return code
    shown = re.sub(r"\bWEIR_API\s*", "", code)
    return shown.strip()


def entry(comment, code):
    out = [f"### `{title_of(code)}`", ""]
    fields = public.fields_of(comment)
    text = plain(comment)
    if fields:
        text = text.split("\nCheckpoint:")[0].rstrip()
    out += [prose(text), "", "```c", declaration(code), "```", ""]
    for name in public.FIELDS:
        if name in fields:
            body = re.sub(r"\n {2,}(?=(-E|WEIR_E|CODE)\S*)", "\n  - ", fields[name])
            body = re.sub(r"\n {3,}", " ", body)
            out.append(f"- **{name}**: {body.strip()}")
    return "\n".join(out).rstrip() + "\n"


def page_of(header):
    with open(header, encoding="utf-8") as file:
        text = file.read()
    opening = COMMENT.match(text)
    name = "weir/" + os.path.basename(header)
    summary = plain(opening.group()) if opening else ""
    out = [f"# `<{name}>`", "", prose(summary), ""]
    for comment, code in entries(text[opening.end() if opening else 0:]):
        if code is None:
            out += [f"## {comment}", ""]
        elif not skipped(comment, code):
            out += [entry(comment, code)]
    return name, re.split(r"[.:]\s|\.$", summary.replace("\n", " "))[0], "\n".join(out)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: api-reference.py DIR")
    where = os.path.join(sys.argv[1], "api")
    os.makedirs(where, exist_ok=True)
    index = ["# API reference", "", "Made from the public headers.", ""]
    headers = sorted(glob.glob(os.path.join(ROOT, "include", "weir", "*.h")))
    for header in headers:
        name, summary, page = page_of(header)
        file_name = os.path.basename(header)[:-2] + ".md"
        with open(os.path.join(where, file_name), "w", encoding="utf-8") as file:
            file.write(page)
        index.append(f"- [`<{name}>`]({file_name}): {summary}")
    with open(os.path.join(where, "README.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(index) + "\n")
    print(f"docs: the API reference of {len(headers)} headers is in {where}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
