"""Holds the documentation to what the project does: its code compiles, its commands run, its
links lead somewhere.

    doc-blocks.py [--build DIR] [--weir PROGRAM] [PAGE...]

What stands behind the three backquotes says what a block is:
  c            a translation unit; with main() it is also linked, where DIR holds the library
  c test       a program that is also run, and must end with 0
  c body       statements, compiled inside a function
  c sketch     not compiled: what is planned, or a shape with parts left out
  sh test      a script, run at the top of the tree (WEIR_BUILD is DIR)
  yaml gateway a configuration that `weir check` must accept, where there is a PROGRAM
Other blocks are left alone. C that a page need not show is put in front of a block by a comment
right above it:  <!-- c: struct user { int id; }; -->
A block of C that includes nothing is given <weir/weir.h>.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLOCK = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```[ \t]*$", re.M | re.S)
HIDDEN = re.compile(r"<!-- c:((?:(?!-->).)*)-->\s*\Z", re.S)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter",
            "-Wno-unused-variable", "-Wno-unused-but-set-variable", "-fno-diagnostics-show-caret"]
TIME_LIMIT_S = 120


@dataclass
class Block:
    page: str
    line: int
    kind: str
    text: str
    hidden: str


def blocks_of(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read()
    for match in BLOCK.finditer(text):
        hidden = HIDDEN.search(text[:match.start()])
        indent = match.group(1)
        body = re.sub(r"^" + indent, "", match.group(3), flags=re.M) if indent else match.group(3)
        yield Block(page, text.count("\n", 0, match.start()) + 2, match.group(2).strip(), body,
                    hidden.group(1).strip() if hidden else "")


def unit_of(block):
    """The block as a translation unit that reports faults at the page's own lines."""
    includes = "" if re.search(r"^#include", block.text, re.M) else "#include <weir/weir.h>\n"
    here = f'#line {block.line} "{block.page}"\n'
    if block.kind == "c body":
        return (f"{includes}{block.hidden}\nint doc_block(void);\nint doc_block(void)\n{{\n"
                f"{here}{block.text}\nreturn 0;\n}}\n")
    # Includes come first, the hidden part after them.
    heads = "".join(re.findall(r"^#include[^\n]*\n", block.text, re.M)) if block.hidden else ""
    return f"{includes}{heads}{block.hidden}\n{here}{block.text}"


def libraries(build):
    """What the library in this build stands on, as its pkg-config file names it."""
    with open(os.path.join(build, "weir.pc"), encoding="utf-8") as file:
        needed = re.search(r"^Requires.private: (.*)$", file.read(), re.M).group(1).split()
    run = subprocess.run(["pkg-config", "--libs", *needed], capture_output=True, text=True)
    return run.stdout.split()


def check_c(block, options):
    library = os.path.join(options.build, "src", "libweir.a") if options.build else ""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "block.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(unit_of(block))
        command = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O1", *WARNINGS, "-I", "include", source]
        if re.search(r"^int main\(", block.text, re.M) and os.path.exists(library) and options.link:
            command += [library, *libraries(options.build), "-pthread", "-o", os.path.join(folder, "block")]
        else:
            command += ["-c", "-o", os.path.join(folder, "block.o")]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        program = os.path.join(folder, "block")
        if run.returncode == 0 and block.kind == "c test" and os.path.exists(program):
            try:
                run = subprocess.run([program], capture_output=True, text=True, timeout=TIME_LIMIT_S)
            except subprocess.TimeoutExpired:
                return f"did not end within {TIME_LIMIT_S} s"
            if run.returncode != 0:
                return f"ended with {run.returncode}:\n{run.stdout}{run.stderr}"
    return None if run.returncode == 0 else run.stderr.strip()


def check_sh(block, options):
    environment = dict(os.environ, WEIR_BUILD=options.build or "build/debug")
    try:
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=ROOT, text=True,
                             env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"did not end within {TIME_LIMIT_S} s"
    return None if run.returncode == 0 else f"ended with {run.returncode}:\n{run.stdout}"


def check_gateway(block, options):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(block.text)
        file.flush()
        run = subprocess.run([options.weir, "check", file.name], capture_output=True, text=True,
                             timeout=TIME_LIMIT_S)
    return None if run.returncode == 0 else (run.stdout + run.stderr).strip()


def check_block(block, options):
    """(counted as, fault or None)"""
    if block.kind in ("c", "c test", "c body"):
        runs = block.kind == "c test" and options.build and options.link
        return "run" if runs else "compiled", check_c(block, options)
    if block.kind == "c sketch":
        return "sketched", None
    if block.kind.startswith("c "):
        return "unknown", f"no kind of block \"{block.kind}\": c, c test, c body or c sketch"
    if block.kind == "sh test":
        return "run", check_sh(block, options)
    if block.kind == "yaml gateway" and options.weir:
        return "checked", check_gateway(block, options)
    return None, None


def check_links(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = BLOCK.sub(lambda m: "\n" * m.group().count("\n"), file.read())
    for match in LINK.finditer(text):
        target = match.group(1)
        if re.match(r"[a-z]+:", target):
            continue
        if not os.path.exists(os.path.join(ROOT, os.path.dirname(page), target)):
            yield text.count("\n", 0, match.start()) + 1, target


def pages():
    found = glob.glob("*.md", root_dir=ROOT) + glob.glob("docs/**/*.md", root_dir=ROOT, recursive=True)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description="Checks the code, commands and links of the documentation.")
    parser.add_argument("pages", nargs="*", metavar="PAGE")
    parser.add_argument("--build", help="a build folder with the library")
    parser.add_argument("--weir", help="the program, for configurations")
    parser.add_argument("--no-link", dest="link", action="store_false",
                        help="compile programs only (the library is instrumented)")
    options = parser.parse_args()
    if options.build:
        options.build = os.path.abspath(options.build)
    counts, faults = {}, 0
    for page in options.pages or pages():
        for block in blocks_of(page):
            kind, fault = check_block(block, options)
            if kind:
                counts[kind] = counts.get(kind, 0) + 1
            if fault:
                faults += 1
                print(f"{page}:{block.line}: the block ({block.kind}) does not hold: mend the page or "
                      f"the code:\n{fault}")
        for line, target in check_links(page):
            faults += 1
            print(f"{page}:{line}: the link leads nowhere: {target}: mend or drop it")
    print("docs: blocks " + (", ".join(f"{kind}: {n}" for kind, n in sorted(counts.items())) or "none") +
          (f"; {faults} to mend" if faults else "; all hold"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
