"""Processes under measurement: where they are pinned, when they are ready, that they are ended."""
import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

from figures import Unmeasured

READY_SECONDS = 30
STOP_SECONDS = 3
# Above this share of the machine, what others run disturbs what is measured.
OTHERS_MAX = 0.05


def say(*words):
    print("bench:", *words, file=sys.stderr, flush=True)


def cores():
    """The server's core, and the one for all that calls or serves it."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        raise Unmeasured("two cores are needed: one for the server, one for its load")
    return mine[0], mine[1]


def pinned(core, command):
    # taskset becomes the program, so the process id is the program's own.
    return ["taskset", "-c", str(core), *map(str, command)]


def needed(path):
    if not Path(path).exists():
        raise Unmeasured(f"{path} is not there")
    return path


def free_port():
    """A port that nothing listens on, outside the range that outgoing connections use."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        port = random.randrange(min(10000, first - 1000), first)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unmeasured("no free port")


def machine_seconds():
    """CPU time that the whole machine has spent on anything, stolen time included."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Others:
    """How much of the machine was used by programs that this one did not start."""

    def __init__(self):
        self.since, self.before = time.monotonic(), machine_seconds() - self._ours()

    @staticmethod
    def _ours():
        own = os.times()
        return own.user + own.system + own.children_user + own.children_system + sum(
            process.cpu_seconds() for process in Process.running)

    def share(self):
        spent = machine_seconds() - self._ours() - self.before
        return max(0.0, spent / (time.monotonic() - self.since) / os.cpu_count())


class Process:
    """A program that runs while the `with` block does; its output goes to a file in folder."""

    running = []

    def __init__(self, name, command, core, folder, env=None, cwd=None):
        self.name = name
        self.log = Path(folder) / f"{name}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(pinned(core, command), stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL, cwd=cwd,
                                          env={**os.environ, **(env or {})})
        self.pid = self.child.pid
        self.running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def cpu_seconds(self):
        try:
            tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
            return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            return 0.0

    def last_words(self):
        return self.log.read_text(errors="replace").strip()[-400:]

    def alive(self):
        return self.child.poll() is None

    def check(self):
        if not self.alive():
            raise Unmeasured(f"{self.name} ended with {self.child.returncode}: "
                             f"{self.last_words() or 'it said nothing'}")

    def wait_for(self, ready, what):
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            self.check()
            if ready():
                return self
            time.sleep(0.02)
        raise Unmeasured(f"{self.name}: {what} within {READY_SECONDS} s: {self.last_words()}")

    def wait_for_port(self, port):
        def ready():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
            return True
        return self.wait_for(ready, f"port {port} did not open")

    def stop(self):
        self.running.remove(self)
        if self.alive():
            self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Load:
    """What bench/load measured in one run against one server."""

    def __init__(self, told, body, others):
        self.requests = told["requests"]
        self.errors = told["failed"] + told["refused"] + told["differing"] + told["slow"]
        self.told = told
        self.body = body
        self.others = others  # the share of the machine that was used by other programs

    def cpu_us(self):
        return self.told["cpu_ns"] / self.requests / 1000


def run_load(context, server, port, path, connections, seconds, warmup, pipeline=1):
    sample = context.folder / "sample"
    sample.unlink(missing_ok=True)
    command = [needed(context.build / "bench/load"), "--port", port, "--path", path, "--pid",
               server.pid, "--connections", connections, "--seconds", seconds, "--warmup", warmup,
               "--save", sample, "--pipeline", pipeline]
    others = Others()
    done = subprocess.run(pinned(cores()[1], command), capture_output=True, text=True,
                          timeout=seconds + warmup + 90)
    share = others.share()
    server.check()
    if done.returncode != 0:
        raise Unmeasured(f"{server.name}: {done.stderr.strip()}")
    load = Load(json.loads(done.stdout), sample.read_bytes() if sample.exists() else b"", share)
    if load.requests < connections:
        raise Unmeasured(f"{server.name}: {load.requests} answers in {seconds} s to {connections} "
                         f"connections are too few to measure: {done.stdout.strip()}")
    return load
