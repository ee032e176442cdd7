#!/usr/bin/env python3
"""Measures weir's figures beside the same jobs in other stacks, and holds them against the limits.

Every ratio comes from one run, in which the programs take turns. A figure that could not be
measured is an error, never a number. Ends with 0 when all that was asked was measured and holds,
1 when a limit does not hold, 2 when a figure could not be measured.
"""
import argparse
import json
import os
import platform
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import backends  # noqa: E402
import echo  # noqa: E402
import gateway  # noqa: E402
import memory  # noqa: E402
import micro  # noqa: E402
import pair  # noqa: E402
import plaintext  # noqa: E402
import secure  # noqa: E402
import visible  # noqa: E402
import watched  # noqa: E402
from figures import FIGURES, SLOW_PEERS, Unmeasured  # noqa: E402
from peers import Peers  # noqa: E402
from process import free_port, say  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


class Context:
    """Where things are, and how long to measure."""

    def __init__(self, options, folder):
        self.build = Path(options.build).resolve()
        self.folder = Path(folder)
        self.peers = Peers(ROOT / "bench/peers", ROOT / "build/peers")
        self.rounds, self.seconds, self.all = options.rounds, options.seconds, options.all
        self.environment = dict(os.environ)

    def port(self):
        return free_port()


def measure_group(context, group, wanted):
    units = {figure.name: figure.unit for figure in FIGURES}
    if group == "micro":
        return micro.measure(context, wanted, units)
    if group == "backends":
        return backends.measure(context, wanted)
    measure = {"echo": echo.measure, "pair": pair.measure, "plaintext": plaintext.measure,
               "gateway": gateway.measure, "heap": memory.measure_heap,
               "http2": secure.measure_http2, "idle": memory.measure_idle,
               "tls": secure.measure_tls, "visible": visible.measure,
               "watched": watched.measure}[group]
    return measure(context)


def measure(context, figures):
    """Values by name, and for each figure without one the reason."""
    values, faults = {}, {}
    for group in dict.fromkeys(figure.group for figure in figures):
        wanted = {figure.name for figure in figures if figure.group == group}
        say(f"measuring {', '.join(sorted(wanted))}")
        try:
            told, missed = measure_group(context, group, wanted)
        except (OSError, Unmeasured) as fault:
            told, missed = {}, dict.fromkeys(wanted, str(fault))
        values.update(told)
        for name in wanted - set(told):
            others = "; ".join(f"{program}: {why}" for program, why in missed.items())
            faults[name] = missed.get(name) or f"no program told it. {others}".strip()
    return values, faults


def choose(names, everything):
    """The figures of the given names; a name may also be a group or the beginning of names."""
    if not names:
        return everything
    chosen = []
    for name in names:
        found = [figure for figure in everything if name in (figure.name, figure.group)]
        found = found or [figure for figure in everything if figure.name.startswith(name)]
        if not found:
            sys.exit(f"bench: no figure or group \"{name}\": see ./dev bench --list")
        chosen += [figure for figure in found if figure not in chosen]
    return chosen


def limit_text(figure):
    if figure.limit is None:
        return ""
    return f"{'>=' if figure.at_least else '<='} {figure.limit:g}"


def value_text(value):
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def print_table(figures, values, out=sys.stdout):
    print(f"{'figure':27} {'value':>9} {'unit':6} {'limit':>8}  holds  question", file=out)
    for figure in figures:
        if figure.name not in values:
            value, holds = "-", "?"
        else:
            value = value_text(values[figure.name])
            holds = {True: "yes", False: "NO", None: ""}[figure.holds(values[figure.name])]
        print(f"{figure.name:27} {value:>9} {figure.unit:6} {limit_text(figure):>8}  {holds:5}  "
              f"{figure.question}", file=out)


def as_json(figures, values):
    """A figure that was not measured has the value null, and does not hold."""
    rows = []
    for figure in figures:
        value = values.get(figure.name)
        holds = (figure.holds(value) if value is not None
                 else None if figure.limit is None else False)
        rows.append({"name": figure.name, "value": None if value is None else round(value, 6),
                     "unit": figure.unit, "limit": figure.limit, "holds": holds})
    return json.dumps(rows, indent=1)


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (f"{time.strftime('%Y-%m-%d')}, {model[1] if model else platform.machine()}, "
            f"{os.cpu_count()} cores, Linux {platform.release()}")


def write_results(path, figures, values):
    """Puts the table between the two marks in the page, in place of the one before."""
    text = path.read_text()
    first, last = "<!-- results: begin -->\n", "<!-- results: end -->\n"
    before, found, rest = text.partition(first)
    _, ended, after = rest.partition(last)
    if not found or not ended:
        sys.exit(f"bench: {path} has no lines {first.strip()} and {last.strip()}")
    lines = [f"Measured {machine()}.", "", "| figure | value | limit | holds |", "|---|---|---|---|"]
    for figure in figures:
        measured = figure.name in values
        value = f"{value_text(values[figure.name])} {figure.unit}" if measured else "not measured"
        holds = {True: "yes", False: "no", None: ""}[
            figure.holds(values[figure.name]) if measured else None]
        lines.append(f"| `{figure.name}` | {value} | {limit_text(figure)} | {holds} |")
    path.write_text(before + first + "\n".join(lines) + "\n" + last + after)


def parse_options():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures or groups; all, if none")
    parser.add_argument("--json", action="store_true",
                        help="print an array of {name, value, unit, limit, holds}")
    parser.add_argument("--list", action="store_true", help="print the names, measure nothing")
    parser.add_argument("--all", action="store_true", help="compare with Fastify and FastAPI too")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (5)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a measurement (3)")
    parser.add_argument("--write", type=Path, metavar="PAGE",
                        help="put the results into this page too, docs/performance.md for one")
    parser.add_argument("--build", default=ROOT / "build/release", metavar="FOLDER",
                        help="the build to measure (build/release)")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("rounds and seconds must be more than 0")
    if options.write and options.names:
        parser.error("--write puts a whole run into the page: give no names with it")
    return options


def list_figures(figures):
    for figure in figures:
        print(f"{figure.name:27} {figure.group:10} {limit_text(figure):>8} {figure.unit:6} "
              f"{figure.question}")


def main():
    options = parse_options()
    figures = choose(options.names, FIGURES + (SLOW_PEERS if options.all else []))
    if options.list:
        list_figures(figures)
        return 0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        values, faults = measure(Context(options, folder), figures)
    if options.json:
        print(as_json(figures, values))
    else:
        print_table(figures, values)
    if options.write:
        write_results(options.write, figures, values)
    for name, why in faults.items():
        print(f"bench: error: {name} was not measured: {why}", file=sys.stderr)
    if faults:
        return 2
    return 1 if any(figure.holds(values[figure.name]) is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
