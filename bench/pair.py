"""Two threads that hand each other work: loops, channels, tasks and the blocking pool, beside the
same jobs in Go, in Tokio and with bare system calls.

Each program does a job a number of times and prints its CPU and elapsed time an operation. In
each round all run in turn, on all cores; a ratio is the median of the rounds' ratios.
"""
import json
import subprocess
from statistics import median

from figures import Unmeasured
from process import OTHERS_MAX, Others, needed, say

TIMEOUT_SECONDS = 300

# How often each job is done in a run, and who is compared.
JOBS = {
    "pingpong": (100_000, ("weir", "raw", "go", "tokio")),
    "busy": (10_000_000, ("weir", "go", "tokio")),
    "spawn": (1_000_000, ("weir", "go", "tokio")),
    "block": (100_000, ("weir", "raw")),
}


def program(context, name):
    if name == "go":
        return context.peers.go("go_pair")
    if name == "tokio":
        return context.peers.cargo("tokio_pair", "tokio_pair")
    return needed(context.build / "bench" / {"weir": "pair", "raw": "raw_pair"}[name])


def run_once(context, name, job, count):
    others = Others()
    done = subprocess.run([program(context, name), job, str(count)], capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Unmeasured(f"{name} {job}: {done.stderr.strip()[-400:]}")
    told = json.loads(done.stdout)
    share = others.share()
    say(f"  {name:6} {told['cpu_ns']:10.1f} ns CPU, {told['elapsed_ns']:10.1f} ns elapsed"
        + (f" (other programs used {share:.0%} of the machine)" if share > OTHERS_MAX else ""))
    return told


def rounds(context, job):
    """Per program the runs, in the order of the rounds."""
    count, names = JOBS[job]
    runs = {name: [] for name in names}
    for number in range(context.rounds):
        say(f"{job}, {count} times, round {number + 1} of {context.rounds}")
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            runs[name].append(run_once(context, name, job, count))
    return runs


def ratio(runs, name, other, clock):
    return median(a[clock] / b[clock] for a, b in zip(runs[name], runs[other], strict=True))


def measure(context):
    values, faults = {}, {}
    for job in JOBS:
        try:
            runs = rounds(context, job)
        except (Unmeasured, ValueError, KeyError, subprocess.TimeoutExpired) as fault:
            faults.update({f"{job}_vs_{other}": str(fault) for other in JOBS[job][1][1:]})
            say(f"  {job}: {fault}")
            continue
        for name in runs:
            values[f"{job}_cpu_{name}"] = median(run["cpu_ns"] for run in runs[name])
        for other in JOBS[job][1][1:]:
            values[f"{job}_vs_{other}"] = ratio(runs, "weir", other, "cpu_ns")
        if job in ("pingpong", "block"):
            values[f"{job}_elapsed_vs_raw"] = ratio(runs, "weir", "raw", "elapsed_ns")
    return values, faults
