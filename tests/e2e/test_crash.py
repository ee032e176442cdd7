"""A crash is told: where, in which task, with its stack, and what the others did.

    test_crash.py PROGRAM debug|release [unittest arguments]"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

PROGRAM = sys.argv.pop(1)
DEBUG = sys.argv.pop(1) == "debug"
SOURCE = os.path.join(os.path.dirname(__file__), "broken.c")
LIMIT_S = 30


def line_of(mark):
    with open(SOURCE) as source:
        for number, line in enumerate(source, 1):
            if mark in line:
                return f"broken.c:{number}"
    raise AssertionError(f"broken.c has no {mark!r}")


class Crash(unittest.TestCase):
    def crash(self, kind, number=signal.SIGSEGV):
        """What it said, after it has ended by the signal."""
        done = subprocess.run(["sh", "-c", 'ulimit -c 0; exec "$0" "$1"', PROGRAM, kind],
                              capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, -number, done.stderr)
        return done.stderr

    def report(self, kind, number=signal.SIGSEGV):
        said = self.crash(kind, number)
        before, found, report = said.partition("weir: CRASH: ")
        self.assertTrue(found, said)
        self.assertIn("the last line before", before)
        self.assertTrue(report.endswith(f"weir: the process ends by {number.name}\n"), said)
        self.assertTrue(report.startswith(number.name), said)
        return report

    def assert_names_the_task(self, report):
        self.assertRegex(report, r"task +culprit \([01]\.\d+\.1\)\n")
        self.assertRegex(report, r"started at +tests/e2e/" + line_of("started here"))
        self.assertRegex(report, r"scopes +application > the scope")
        self.assertRegex(report, r"route +/broken/\{kind\}")
        self.assertRegex(report, r"correlation id +id-7")
        self.assertRegex(report, r"trace id +trace-8")

    def test_an_access_to_nothing(self):
        report = self.report("null")
        self.assert_names_the_task(report)
        self.assertIn("where nothing is mapped, address 0x0;", report)
        self.assertIn("touches_nothing  tests/e2e/" + line_of("null here"), report)
        self.assertIn("breaks_null", report)
        self.assertRegex(report, r"its stack is \d+ bytes deep, of 262144")
        self.assertRegex(report, r"its last events, the newest last:\n(    .*\n)+")
        self.assertRegex(report, r"-\d+\.\d\d\d ms  spawn +task [01]\.\d+\.1  ")
        self.assertRegex(report, r"loop [01] waits for input\n")

    def test_other_signals(self):
        for kind, number, words in [("abort", signal.SIGABRT, "raised by the program itself"),
                                    ("divide", signal.SIGFPE, "a division by zero"),
                                    ("trap", signal.SIGILL, "instruction at 0x"),
                                    ("bus", signal.SIGBUS, "address 0x")]:
            with self.subTest(kind):
                report = self.report(kind, number)
                self.assert_names_the_task(report)
                self.assertIn(words, report)
                self.assertIn("breaks_" + kind + "  ", report)

    def test_a_stack_that_overflows(self):
        for kind in ["overflow", "sort"]:
            with self.subTest(kind):
                report = self.report(kind)
                self.assert_names_the_task(report)
                depth = re.search(r"STACK HAS OVERFLOWED: it is (\d+) bytes deep, of 262144",
                                  report)
                self.assertTrue(depth, report)
                self.assertGreater(int(depth[1]), 250000)
                self.assertIn("recurses  tests/e2e/broken.c", report)

    def test_within_the_allocator(self):
        began = time.monotonic()
        report = self.report("free", signal.SIGABRT)
        self.assert_names_the_task(report)
        self.assertLess(time.monotonic() - began, 10)

    def test_on_a_thread_that_runs_no_loop(self):
        report = self.report("block")
        self.assertIn("(calls), which runs no loop", report)
        self.assertIn("touches_nothing  tests/e2e/" + line_of("null here"), report)
        self.assertIn("loop 0", report)
        self.assertIn("loop 1", report)

    def test_in_a_child(self):
        said = self.crash("child")
        self.assertIn("weir: CRASH: SIGSEGV, where nothing is mapped", said)
        self.assertIn("no names could be found", said)
        self.assertIn("weir: CRASH: SIGSEGV, raised by the program itself", said)

    def test_a_crash_in_the_report_ends_the_process(self):
        said = self.crash("twice")
        self.assertIn("weir: a second crash, in the report of the first", said)

    def test_wrong_use_in_a_debug_build(self):
        if not DEBUG:
            self.skipTest("a release build counts it")
        report = self.report("wrong-use", signal.SIGABRT)
        self.assert_names_the_task(report)
        self.assertIn("breaks_wrong_use  ", report)


if __name__ == "__main__":
    unittest.main()
