"""Several programs at the same job: run in turn, round after round, and compared by medians."""
from statistics import median

from figures import Unmeasured
from process import OTHERS_MAX, Process, cores, run_load, say

# Above this share of errors a program's cost is that of failing, not of the job.
ERRORS_MAX = 0.001


class Entry:
    """One program: command(port) gives what to run, building it if need be."""

    def __init__(self, name, command, env=None):
        self.name, self.command, self.env = name, command, env
        self.cpu_us, self.errors, self.requests, self.fault = [], 0, 0, None


class Job:
    """What all entries are asked: a path, by so many connections, for so long a round."""

    def __init__(self, path, connections, seconds, warmup, check, pipeline=1):
        self.path, self.connections, self.pipeline = path, connections, pipeline
        self.seconds, self.warmup, self.check = seconds, warmup, check


def prepare(context, entry):
    """Builds what the entry runs, so that no build falls between measurements."""
    try:
        entry.command(context.port())
    except Unmeasured as fault:
        entry.fault = str(fault)
        say(f"{entry.name}: {fault}")


def run_once(context, entry, job):
    port = context.port()
    with Process(entry.name, entry.command(port), cores()[0], context.folder, entry.env) as server:
        server.wait_for_port(port)
        load = run_load(context, server, port, job.path, job.connections, job.seconds, job.warmup,
                        job.pipeline)
    job.check(load.body)
    entry.cpu_us.append(load.cpu_us())
    entry.errors += load.errors
    entry.requests += load.requests
    told = load.told
    say(f"  {entry.name:8} {load.cpu_us():8.2f} us a request, {load.requests / job.seconds:9.0f} "
        f"requests/s, p50 {told['p50_us'] / 1000:.2f} ms, p99 {told['p99_us'] / 1000:.2f} ms, "
        f"{load.errors} errors, load generator {told['load_busy']:.0%} busy")
    if load.others > OTHERS_MAX:
        say(f"  meanwhile other programs used {load.others:.0%} of the machine: "
            "what is measured in such a round costs more than it does alone")


def run_rounds(context, entries, job):
    """Each round runs every entry once, beginning with another one each time, so that a machine
    that gets slower or faster meanwhile does so for all."""
    for entry in entries:
        prepare(context, entry)
    for number in range(context.rounds):
        say(f"{job.path}, round {number + 1} of {context.rounds}")
        shift = number % len(entries)
        for entry in entries[shift:] + entries[:shift]:
            if entry.fault:
                continue
            try:
                run_once(context, entry, job)
            except Unmeasured as fault:
                entry.fault = str(fault)
                say(f"  {entry.name}: {fault}")
    for entry in entries:
        if not entry.fault and entry.errors > ERRORS_MAX * entry.requests:
            entry.fault = f"{entry.name}: {entry.errors} errors in {entry.requests} requests"


def costs(entries, prefix):
    """The figures of what each entry costs, and why those of some are missing."""
    values, faults = {}, {}
    for entry in entries:
        if entry.fault:
            faults[prefix + entry.name] = entry.fault
        else:
            values[prefix + entry.name] = median(entry.cpu_us)
    return values, faults


def ratio(entry, other):
    """The median over the rounds of one's cost divided by the other's in the same round."""
    for one in (entry, other):
        if one.fault:
            raise Unmeasured(one.fault)
    return median(a / b for a, b in zip(entry.cpu_us, other.cpu_us, strict=True))
