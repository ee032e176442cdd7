"""A loop that is held up is reported, and one that is not never is.

    test_watchdog.py PROGRAM [unittest arguments]"""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

PROGRAM = sys.argv.pop(1)
LIMIT_S = 60
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def start(*arguments, **more):
    return subprocess.Popen([PROGRAM, *arguments], stderr=subprocess.PIPE, text=True,
                            env=dict(os.environ, **more))


def lines_of(text):
    return [json.loads(line) for line in text.splitlines() if line]


def finish(test, program):
    """What it has logged, after it has ended well."""
    _, said = program.communicate(timeout=LIMIT_S)
    test.assertEqual(program.returncode, 0, said)
    return lines_of(said)


def about_holds(lines):
    return [line for line in lines if "held up" in line["message"]]


class Held(unittest.TestCase):
    def run_kind(self, kind):
        return about_holds(finish(self, start(kind)))

    def assert_reported(self, lines, doing="on the CPU", task="holder"):
        self.assertEqual([line["message"] for line in lines],
                         ["a loop is held up by a task", "a loop that was held up turns again"])
        self.assertEqual([line["task"] for line in lines], [task, task])
        self.assertEqual(lines[0]["doing"], doing)
        self.assertGreaterEqual(lines[0]["held_ms"], 100)
        self.assertLessEqual(lines[0]["held_ms"], lines[1]["held_ms"])
        self.assertRegex(lines[0]["site"], r"^tests/e2e/held\.c:\d+")

    def test_once(self):
        lines = self.run_kind("once")
        self.assert_reported(lines)
        self.assertIn("burn  tests/e2e/held.c", lines[0]["stack"])

    def test_further_holds_at_a_place_are_counted(self):
        lines = self.run_kind("again")
        self.assert_reported(lines[:2])
        self.assertEqual([line["message"] for line in lines[2:]], ["loops were held up again"])
        self.assertEqual(lines[2]["times"], 2)
        self.assertGreater(lines[2]["all_ms"], lines[2]["longest_ms"])

    def test_many_tasks(self):
        lines = self.run_kind("many")
        self.assertEqual(lines[0]["message"],
                         "a loop is held up by many tasks, one after another")
        self.assertIn("short_one", lines[0]["site"])
        # They are several turns, each of them long enough to count.
        self.assertLessEqual({line["message"] for line in lines[1:]},
                             {"loops were held up again"})

    def test_on_the_loops_stack(self):
        lines = self.run_kind("loop-stack")
        self.assert_reported(lines)
        self.assertIn("on_loop_stack  tests/e2e/held.c", lines[0]["stack"])

    def test_a_fork(self):
        self.assert_reported(self.run_kind("fork"))

    def test_off_and_slower(self):
        self.assertEqual(self.run_kind("off"), [])
        self.assertEqual(self.run_kind("slower"), [])

    def test_without_a_handler(self):
        lines = self.run_kind("no-handlers")
        self.assert_reported(lines)
        self.assertEqual(lines[0]["stack"], "")

    def test_a_loop_in_a_foreign_one(self):
        self.assert_reported(self.run_kind("embed"))
        self.assertEqual(self.run_kind("embed-works"), [])

    def test_a_simulation_is_left_alone(self):
        self.assertEqual(self.run_kind("simulated"), [])


class Healthy(unittest.TestCase):
    def start_working(self, ms=3000):
        return start("works", HELD_MS=str(ms))

    def test_a_busy_machine(self):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(2 * os.cpu_count())]
        try:
            self.assertEqual(about_holds(finish(self, self.start_working(4000))), [])
        finally:
            for process in busy:
                process.kill()
                process.wait()

    def test_a_stop_of_the_process(self):
        program = self.start_working()
        for _ in range(5):
            time.sleep(0.2)  # lint: allow(sleep): how long a stop lasts
            program.send_signal(signal.SIGSTOP)
            time.sleep(0.4)  # lint: allow(sleep): how long a stop lasts
            program.send_signal(signal.SIGCONT)
        self.assertEqual(about_holds(finish(self, program)), [])

    def test_a_debugger_that_stops_a_loops_thread(self):
        libc = ctypes.CDLL(None, use_errno=True)
        program = self.start_working()
        time.sleep(0.2)  # lint: allow(sleep): how long a stop lasts
        for _ in range(3):
            tid = program.pid  # the first loop's
            self.assertEqual(libc.ptrace(PTRACE_SEIZE, tid, 0, 0), 0, ctypes.get_errno())
            self.assertEqual(libc.ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0)
            os.waitpid(tid, WALL)
            time.sleep(0.5)  # lint: allow(sleep): how long a stop lasts
            self.assertEqual(libc.ptrace(PTRACE_DETACH, tid, 0, 0), 0)
            time.sleep(0.1)  # lint: allow(sleep): how long a stop lasts
        self.assertEqual(about_holds(finish(self, program)), [])


class Served(unittest.TestCase):
    def test_route_and_ids_are_reported_and_counted(self):
        program = start("serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                        "--blocked", "50ms")
        trace = "0af7651916cd43dd8448eb211c80319c"
        urls, said = [], []
        while len(urls) < 2:
            said.append(program.stderr.readline())
            urls += re.findall(r"http://[0-9.:]+", json.loads(said[-1])["message"])
        request = urllib.request.Request(urls[0] + "/slow/7", headers={
            "X-Request-Id": "order-9", "Traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        self.assertEqual(urllib.request.urlopen(request, timeout=LIMIT_S).read(), b"late")
        metrics = urllib.request.urlopen(urls[1] + "/metrics", timeout=LIMIT_S).read().decode()
        program.send_signal(signal.SIGTERM)
        lines = about_holds(finish(self, program))

        self.assertEqual(lines[0]["route"], "/slow/{n}")
        self.assertEqual(lines[0]["correlation_id"], "order-9")
        self.assertEqual(lines[0]["trace_id"], trace)
        self.assertIn("slow  tests/e2e/held.c", lines[0]["stack"])
        self.assertEqual(sum(float(n) for n in re.findall(
            r"^weir_loop_blocked_total\{[^}]*\} (\S+)$", metrics, re.M)), 1)

    def test_a_flag_that_cant_be(self):
        for value in ["0", "never", "-1s"]:
            done = subprocess.run([PROGRAM, "serve", "--blocked", value], capture_output=True,
                                  text=True, timeout=LIMIT_S)
            self.assertEqual(done.returncode, 2)
            self.assertIn("--blocked", done.stderr)


if __name__ == "__main__":
    unittest.main()
