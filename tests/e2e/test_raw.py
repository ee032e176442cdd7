"""The tasks of a program that can't tell them: read out of its memory, and by gdb.

    test_raw.py WEIR PITFALLS [unittest arguments]"""

import json
import os
import shutil
import signal
import subprocess
import sys
import unittest

WEIR, PITFALLS = sys.argv.pop(1), sys.argv.pop(1)
GDB_SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "gdb", "weir.py")
LIMIT_S = 60


def weir_ps(*arguments):
    done = subprocess.run([WEIR, "ps", *arguments], capture_output=True, text=True,
                          timeout=LIMIT_S)
    return done.returncode, done.stdout, done.stderr


class Raw(unittest.TestCase):
    def setUp(self):
        self.program = subprocess.Popen([os.path.join(PITFALLS, "leaked")],
                                        stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.program.stderr.close)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        for _ in range(2):  # two jobs are done, and all wait from then on
            self.assertIn("is done", self.program.stderr.readline())

    def tasks(self):
        """What it shows, once the three workers wait."""
        for _ in range(200):
            code, out, error = weir_ps("--raw", str(self.program.pid), "--json", "--stack")
            self.assertEqual(code, 0, error)
            tasks = json.loads(out)["tasks"]
            if sum(t.get("waits_for") == "receive from a channel" for t in tasks) == 3:
                return tasks
        self.fail(f"three workers should wait: {tasks}")

    def test_a_stopped_program_is_read_with_its_stacks(self):
        self.tasks()
        self.program.send_signal(signal.SIGSTOP)
        tasks = self.tasks()
        work = [t for t in tasks if t["name"] == "work"]

        self.assertEqual(len(work), 3)
        self.assertTrue(all(t["path"].endswith("day > workshop") for t in work))
        self.assertTrue(all("examples/pitfalls/leaked.c:" in t["site"] for t in work))
        # clang makes the former's call of the latter its last: then only that one is there
        self.assertTrue(all("weir_chan_recv" in t["stack"] or "chan_park" in t["stack"]
                            for t in work), work[0])
        self.assertTrue(all("work  examples/pitfalls/leaked.c:" in t["stack"] for t in work))

    def test_it_is_folded_for_people(self):
        self.tasks()
        code, out, _ = weir_ps("--raw", str(self.program.pid))
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^ +3 .*receive from a channel.*leaked\.c:\d+ work")

    @unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
    def test_gdb_lists_tasks_and_shows_a_stack(self):
        task = next(t["task"] for t in self.tasks() if t["name"] == "work")
        done = subprocess.run(["gdb", "-nx", "-q", "-batch", "-p", str(self.program.pid),
                               "-ex", f"source {GDB_SCRIPT}", "-ex", "weir tasks",
                               "-ex", f"weir stack {task}", "-ex", "weir stack 9.9.9"],
                              capture_output=True, text=True, timeout=LIMIT_S)
        self.assertRegex(done.stdout, task + r" +parked +receive from a channel .*leaked\.c")
        self.assertRegex(done.stdout, r"(?m)^#\d+ +work  .*leaked\.c:\d+")
        self.assertIn("there is no task '9.9.9'", done.stderr)


class Mistakes(unittest.TestCase):
    def test_each_is_named(self):
        for arguments, text in ((("--raw", "999999999"), "there is no process 999999999"),
                                (("--raw", str(os.getpid())), "no runtime of this version"),
                                (("--raw",), "--raw"), (("--raw", "x"), "--raw takes the number")):
            code, out, error = weir_ps(*arguments)
            self.assertNotEqual(code, 0, arguments)
            self.assertIn(text, error)


if __name__ == "__main__":
    unittest.main()
