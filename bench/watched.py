"""What it costs a program of many tasks to be watched: how long its loop is kept from its own work
at a time while `weir top` and `weir ps` look at it.

The time is the loop thread's CPU time between two runs of a task that always yields, so what other
programs use of the machine does not lengthen it; the longest of all is told, of the best round."""
import json
import os
import pty
import socket
import subprocess
import threading
import time

from figures import Unmeasured
from process import needed, say

TASKS = 100_000
ROUNDS = 5
SECONDS = 2
WATCHERS = 8
READY_SECONDS = 60


class Parked:
    """A program with so many parked tasks."""

    def __init__(self, context):
        self.weir = needed(context.build / "weir")
        self.socket = context.folder / "parked.sock"
        self.child = subprocess.Popen([needed(context.build / "bench/parked"), str(TASKS),
                                       self.socket], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.child.stdout.readline() != "ready\n":
            raise Unmeasured("the program with parked tasks did not begin")
        return self

    def __exit__(self, *_):
        self.child.communicate(timeout=READY_SECONDS)

    def told(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def while_doing(self, work):
        """What is told of the time in which work() runs again and again."""
        end, times = time.monotonic() + SECONDS, 0
        self.told()
        while time.monotonic() < end:
            work()
            times += 1
        return self.told(), times

    def once(self, *command):
        done = subprocess.run([self.weir, *command], capture_output=True, text=True, check=False)
        if done.returncode != 0 or f"{TASKS + 1:,}".replace(",", "") not in done.stdout:
            raise Unmeasured(f"weir {command[0]}: {done.stderr or done.stdout[:400]}")

    def top_once(self):
        self.once("top", str(self.socket), "--once")

    def ps_once(self):
        self.once("ps", str(self.socket))

    def top_live(self):
        """In a terminal, looking as often as it may."""
        master, slave = pty.openpty()
        child = subprocess.Popen([self.weir, "top", str(self.socket), "--interval", "100ms"],
                                 stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            os.read(master, 65536)
        os.write(master, b"q")
        child.wait(READY_SECONDS)
        os.close(master)

    def ask_all(self):
        """As many watchers as there may be, which ask for all tasks without a pause."""
        def ask(end):
            with socket.socket(socket.AF_UNIX) as asker:
                asker.connect(str(self.socket))
                while time.monotonic() < end:
                    asker.sendall(b"tasks\n")
                    while not asker.recv(1 << 20).endswith(b"\n"):
                        pass

        end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=ask, args=(end,)) for _ in range(WATCHERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def measure(context):
    values = {}
    with Parked(context) as parked:
        for name, work in {"alone": lambda: time.sleep(SECONDS), "top": parked.top_live,
                           "top_once": parked.top_once, "ps": parked.ps_once,
                           "all": parked.ask_all}.items():
            rounds = [parked.while_doing(work)[0] for _ in range(ROUNDS)]
            best = min(rounds, key=lambda told: told["longest_cpu_ms"])
            say(f"{TASKS:,} tasks, {name}: longest {best['longest_cpu_ms']:.3f} ms of CPU time, by "
                f"the clock {min(told['longest_wall_ms'] for told in rounds):.3f} ms")
            values[f"watched_turn_{name}"] = best["longest_cpu_ms"]
    return values, {}
