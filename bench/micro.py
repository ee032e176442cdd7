"""The figures of small programs that time themselves and print one JSON line a figure."""
import json
import subprocess
from statistics import median

from figures import Unmeasured
from process import cores, pinned, say

RUNS = 3
TIMEOUT_SECONDS = 300


def run_program(program, env=None):
    """The medians of what the program prints, by name."""
    told = {}
    for _ in range(RUNS):
        try:
            done = subprocess.run(pinned(cores()[0], [program]), capture_output=True, text=True,
                                  timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL, env=env)
        except subprocess.TimeoutExpired:
            raise Unmeasured(f"{program} took longer than {TIMEOUT_SECONDS} s") from None
        if done.returncode != 0:
            raise Unmeasured(f"{program} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                figure = json.loads(line)
                told.setdefault(figure["name"], []).append((figure["value"], figure["unit"]))
    return {name: (median(value for value, _ in runs), runs[0][1]) for name, runs in told.items()}


def programs(context, wanted):
    """Each program under bench/micro_* and Go's, with how to run it."""
    for path in sorted((context.build / "bench").glob("micro_*")):
        if path.is_file() and not path.suffix:
            yield path.name, lambda path=path: run_program(path)
    if any(name.startswith("go_") for name in wanted):
        yield "go_micro", lambda: run_program(context.peers.go("go_micro"),
                                              {**context.environment, "GOMAXPROCS": "1"})


def measure(context, wanted, units):
    """units[name] is the unit in which the table wants a figure; another is a fault."""
    values, faults = {}, {}
    for name, run in programs(context, wanted):
        if wanted <= set(values):
            break
        say(f"running {name}, {RUNS} times")
        try:
            told = run()
        except (OSError, ValueError, KeyError, Unmeasured) as fault:
            say(f"  {name}: {fault}")
            faults[name] = str(fault)
            continue
        for figure, (value, unit) in told.items():
            if units.get(figure, unit) == unit:
                values[figure] = value
            else:
                faults[figure] = f"{name} tells it in {unit}, the limit is in {units[figure]}"
            units.setdefault(figure, unit)
    return values, faults
