"""weir ps on a program: its tables, one task, what it says when there is nothing to ask.

    test_ps.py WEIR HELLO [unittest arguments]"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

WEIR, HELLO = sys.argv.pop(1), sys.argv.pop(1)
LIMIT_S = 60


class Ps(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(folder.cleanup)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": folder.name}
        self.program = subprocess.Popen([HELLO, "--listen", "127.0.0.1:0", "--loops", "2"],
                                        env=self.environment, stderr=subprocess.PIPE)
        self.addCleanup(self.program.stderr.close)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        self.program.stderr.readline()  # it listens
        self.pid = str(self.program.pid)
        self.socket = f"{folder.name}/weir/{self.pid}.sock"
        end = time.monotonic() + LIMIT_S
        while self.ps(self.pid)[0] != 0:
            self.assertLess(time.monotonic(), end)

    def ps(self, *arguments):
        done = subprocess.run([WEIR, "ps", *arguments], capture_output=True, text=True,
                              env=self.environment, timeout=LIMIT_S)
        return done.returncode, done.stdout, done.stderr

    def first_task(self):
        code, out, error = self.ps(self.pid, "--json")
        self.assertEqual(code, 0, error)
        return json.loads(out)["tasks"][0]

    def test_the_table_is_the_same_by_number_and_by_path(self):
        for process in self.pid, self.socket:
            code, out, error = self.ps(process, "--stack", "--sort", "wait")
            self.assertEqual((code, error), (0, ""))
            self.assertRegex(out, r"^\d+ tasks?\n +COUNT +WAITS")
            self.assertRegex(out, r"parked +signal +weir_run\(\) main  main  in application\n    ")

    def test_a_task_is_shown_with_its_stack(self):
        task = self.first_task()
        code, out, error = self.ps(self.pid, task["task"])
        self.assertEqual((code, error), (0, ""))
        self.assertRegex(out, rf"(?m)^task +{re.escape(task['task'])}$")
        self.assertIn("\nstack, innermost first:\n    ", out)
        self.assertEqual(json.loads(self.ps(self.pid, task["task"], "--json")[1])["task"],
                         task["task"])

    def test_states_and_loops_are_chosen(self):
        self.assertRegex(self.ps(self.pid, "--state", "running")[1], r"^0 tasks\n")
        self.assertRegex(self.ps(self.pid, "--loop", "1", "--json")[1], r'"loops":\[\{"loop":1,')
        code, _, error = self.ps(self.pid, "--loop", "7")
        self.assertEqual(code, 1)
        self.assertIn("there are 2, from 0 on", error)
        code, _, error = self.ps(self.pid, "--loop", "7", "--raw")
        self.assertEqual(code, 1)
        self.assertIn("there are 2 loops, from 0 on", error)

    def test_stacks_in_json_are_of_one_task_or_raw(self):
        code, _, error = self.ps(self.pid, "--json", "--stack")
        self.assertEqual(code, 2)
        self.assertIn("--raw", error)
        raw = json.loads(self.ps(self.pid, "--json", "--stack", "--raw")[1])
        self.assertEqual(raw["pid"], int(self.pid))
        self.assertIn("stack", raw["tasks"][0])

    def test_the_processes_are_listed(self):
        code, out, _ = self.ps()
        self.assertEqual(code, 0)
        self.assertRegex(out, rf"(?m)^ +{self.pid}  hello --listen 127.0.0.1:0 --loops 2$")

    def test_what_can_not_be_asked_is_told_apart(self):
        for process, code, words in [
                ("2147483647", 1, "there is no process"), (str(os.getpid()), 1, "no control socket"),
                ("hello", 2, "is no process"), ("/nowhere/x.sock", 1, "connecting to /nowhere")]:
            with self.subTest(process=process):
                ended, out, error = self.ps(process)
                self.assertEqual((ended, out), (code, ""))
                self.assertIn(words, error)
        for task, code, words in [("0.99.99", 1, "has ended"), ("main", 2, "is no task"),
                                  ("99.1.1", 1, "asking loop 99")]:
            with self.subTest(task=task):
                ended, out, error = self.ps(self.pid, task)
                self.assertEqual((ended, out), (code, ""))
                self.assertIn(words, error)

    def test_a_stopped_program_keeps_nobody_waiting_for_ever(self):
        self.program.send_signal(signal.SIGSTOP)
        for _ in range(20):  # each leaves a connection that is not accepted
            code, out, _ = self.ps()
            self.assertEqual(code, 0)
            if "takes no connection" in out:
                break
        self.assertRegex(out, rf"{self.pid}  hello .*  \(takes no connection\)")
        code, _, error = self.ps(self.pid)
        self.assertEqual(code, 1)
        self.assertIn(f"`weir ps --raw {self.pid}`", error)
        self.assertEqual(self.ps(self.pid, "--raw")[0], 0)
        self.program.send_signal(signal.SIGCONT)
        self.assertEqual(self.ps(self.pid)[0], 0)


if __name__ == "__main__":
    unittest.main()
