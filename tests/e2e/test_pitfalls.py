"""Each program that goes wrong on purpose is told about it, with file and line.

    test_pitfalls.py FOLDER [unittest arguments]"""

import json
import os
import re
import subprocess
import sys
import unittest

FOLDER = sys.argv.pop(1)
SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "pitfalls")
GUIDE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "guide-inspect.md")
LIMIT_S = 60


def run(name, *arguments):
    """The program's exit code, and what it logged: one dictionary a line."""
    done = subprocess.run([os.path.join(FOLDER, name), *arguments], capture_output=True,
                          text=True, timeout=LIMIT_S)
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines() if line]


def line_of(name, mark):
    """Where the source of a program has this text, as "examples/pitfalls/NAME.c:12"."""
    with open(os.path.join(SOURCES, name + ".c")) as source:
        for number, line in enumerate(source, 1):
            if mark in line:
                return f"examples/pitfalls/{name}.c:{number}"
    raise AssertionError(f"{name}.c has no {mark!r}")


def said(lines, pattern):
    """The one line whose message matches."""
    found = [line for line in lines if re.search(pattern, line["message"])]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} lines match {pattern!r}:\n" +
                             "\n".join(json.dumps(line) for line in lines))
    return found[0]


class Blocked(unittest.TestCase):
    def test_each_task_that_holds_the_loop_up_is_named_once(self):
        code, lines = run("blocked")
        held = [line for line in lines if line["message"] == "a loop is held up by a task"]
        ended = [line for line in lines if "turns again" in line["message"]]

        self.assertEqual(code, 0)
        self.assertEqual([line["task"] for line in held], ["computes", "reads"])
        self.assertEqual([line["task"] for line in ended], ["computes", "reads"])
        self.assertEqual([line["doing"] for line in held],
                         ["on the CPU", "in the system call clock_nanosleep"])
        self.assertIn(line_of("blocked", "weir_go(s, computes"), held[0]["site"])
        self.assertIn(line_of("blocked", "held up here"), held[0]["stack"])
        self.assertIn(line_of("blocked", "and here"), held[1]["stack"])
        self.assertLess(held[0]["held_ms"], 500)
        self.assertGreater(ended[0]["held_ms"], held[0]["held_ms"])


class Unseen(unittest.TestCase):
    def failure(self, lines, task):
        found = [line for line in lines if line.get("failed_task") == task]

        self.assertEqual(len(found), 1, lines)
        self.assertEqual(found[0]["level"], "error")
        return found[0]

    def test_a_failure_in_the_background_is_told_with_the_place_of_each_link(self):
        code, lines = run("unseen")
        line = self.failure(lines, "refresh")

        self.assertEqual(code, 0)
        self.assertIn(line_of("unseen", "refresh, NULL)"), line["site"])
        self.assertEqual((line["scopes"], line["error"]), ("application", "ECONNREFUSED"))
        self.assertEqual(line["links"].splitlines(), [
            line_of("unseen", "and goes through here") + ": loading the price list",
            line_of("unseen", "begins here") + ": connecting to prices.example"])

    def test_so_is_that_of_a_child_whose_scope_was_left_without_a_join(self):
        code, lines = run("unseen")
        line = self.failure(lines, "send_mail")

        self.assertEqual(code, 0)
        self.assertIn(line_of("unseen", "weir_go(s, send_mail"), line["site"])
        self.assertEqual(line["scopes"], "application > orders > " +
                         line_of("unseen", '.name = "order")'))
        self.assertEqual(line["links"], line_of("unseen", "the mail's failure */") +
                         ": \"nobody at all\" is no address")


class Deadlock(unittest.TestCase):
    def test_both_tasks_are_named_with_the_lock_that_each_holds(self):
        code, lines = run("deadlock")
        line = said(lines, "deadlock: 2 tasks wait for each other")

        self.assertEqual(code, 0)
        self.assertEqual(line["waiting_behind"], 1)  # the task that joins them
        for name, start in (("task_1", "weir_go(s, transfer, &there)"),
                            ("task_2", "weir_go(s, transfer, &back)")):
            self.assertIn(line_of("deadlock", start), line[name])
            self.assertIn("taken at " + line_of("deadlock", "took the first"), line[name])
            self.assertIn(line_of("deadlock", "waits for the second"), line[name])


class Backpressure(unittest.TestCase):
    def test_a_queue_that_stays_full_is_named_with_who_fills_and_who_drains_it(self):
        code, lines = run("backpressure")
        line = said(lines, "a queue has been full for a second")

        self.assertEqual(code, 0)
        self.assertEqual((line["queue"], line["capacity"]), ("readings", 32))
        self.assertEqual(line["opened_at"], line_of("backpressure", "opened here"))
        self.assertIn(line_of("backpressure", "weir_go(s, measure"), line["filled_by"])
        self.assertGreater(line["refused"], 100)
        self.assertIn(line_of("backpressure", "weir_go(s, store"), line["drained_by"])
        self.assertIn(line_of("backpressure", "a slow disk"), line["drainer"])


class Leaked(unittest.TestCase):
    def test_tasks_that_nobody_is_left_to_wake_are_named(self):
        code, lines = run("leaked")
        line = said(lines, "nobody is left to wake them")

        self.assertEqual(code, 0)
        self.assertEqual((line["channel"], line["tasks"]), ("jobs", 3))
        self.assertEqual(line["opened_at"], line_of("leaked", "opened here"))
        self.assertIn(line_of("leaked", "weir_go(s, order_jobs, NULL);"), line["last_sender"])
        self.assertIn(line_of("leaked", "weir_go(s, work"), line["task_1"])
        self.assertIn(line_of("leaked", "waits here"), line["task_1"])


class Guide(unittest.TestCase):
    def test_the_places_that_it_shows_are_those_that_are_printed(self):
        with open(GUIDE) as guide:
            # Of collatz(), any of its lines may be the one that was found.
            shown = re.findall(r"(?<!collatz  )(examples/pitfalls/(\w+)\.c:\d+)\b",
                               guide.read())
        programs = {name for _, name in shown}

        self.assertEqual(programs, {"blocked", "unseen", "deadlock", "backpressure", "leaked"})
        for program in sorted(programs):
            printed = json.dumps(run(program)[1])
            for place in sorted({place for place, name in shown if name == program}):
                with self.subTest(place=place):
                    self.assertRegex(printed, re.escape(place) + r"\b")


if __name__ == "__main__":
    unittest.main()
