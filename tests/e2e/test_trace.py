"""A few seconds of a program, recorded: the file is whole, its slices nest, and a reader that
stops reading holds nobody up.

    test_trace.py WEIR HELLO [unittest arguments]"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

WEIR, HELLO = sys.argv.pop(1), sys.argv.pop(1)
LIMIT_S = 60
# Both ends of a slice are rounded to a nanosecond.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hello:
    """The program, under load from this one, for as long as the `with` block lasts."""

    def __init__(self, folder):
        self.url = f"http://127.0.0.1:{free_port()}"
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        self.socket = None
        self.child = subprocess.Popen([HELLO, "--listen", self.url[7:], "--loops", "2"],
                                      env=self.environment, stderr=subprocess.PIPE, text=True)
        self.over = threading.Event()
        self.load = threading.Thread(target=self.ask_on)
        self.answers = 0

    def ask_on(self):
        while not self.over.is_set():
            try:
                with urllib.request.urlopen(self.url + "/plaintext", timeout=LIMIT_S) as answer:
                    assert answer.read() == b"Hello, World!"
                self.answers += 1
            except urllib.error.URLError:
                time.sleep(0.02)  # lint: allow(sleep): the service starts

    def wait_for_answers(self, count):
        end, until = time.monotonic() + LIMIT_S, self.answers + count
        while self.answers < until:
            assert time.monotonic() < end and self.child.poll() is None
            time.sleep(0.01)  # lint: allow(sleep): another thread asks

    def __enter__(self):
        self.load.start()
        self.wait_for_answers(10)
        return self

    def __exit__(self, *_):
        self.over.set()
        self.load.join()
        self.child.terminate()
        self.said = self.child.communicate(timeout=LIMIT_S)[1]
        assert self.child.returncode == 0, self.said

    def trace(self, *arguments):
        return subprocess.run([WEIR, "trace", str(self.child.pid), *arguments], text=True,
                              env=self.environment, capture_output=True, timeout=LIMIT_S)


def overlapping(slices):
    """Pairs of slices of one thread of which neither lies in the other, to the nanosecond."""
    found, open_ends = [], []
    spans = [(round(event["ts"] * 1000), round(event["dur"] * 1000)) for event in slices]
    for begin, length in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_ends and open_ends[-1] <= begin:
            open_ends.pop()
        if open_ends and begin + length > open_ends[-1]:
            found.append((begin, length))
        open_ends.append(begin + length)
    return found


class Trace(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = os.path.join(self.folder.name, "trace.json")

    def events(self):
        with open(self.file) as trace:
            return json.load(trace)["traceEvents"]

    def test_slices_nest_and_wakes_lead_to_runs(self):
        with Hello(self.folder.name) as hello:
            done = hello.trace("--seconds", "1", "--output", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("examples/hello.c:", done.stdout)
        events = self.events()
        slices = [event for event in events if event["ph"] == "X"]
        threads = {event["tid"] for event in slices}
        self.assertEqual(threads, {1, 2})
        for thread in threads:
            self.assertEqual(overlapping([e for e in slices if e["tid"] == thread]), [])
        runs = [event for event in slices if event["name"] == "plaintext"]
        self.assertGreater(len(runs), 5)
        self.assertIn("examples/hello.c:", runs[0]["args"]["site"])
        self.assertTrue(any(run["args"].get("wake to run us", -1) >= 0 for run in runs))
        begun = {event["id"] for event in events if event["ph"] == "s"}
        ended = [event["id"] for event in events if event["ph"] == "f"]
        self.assertEqual(len(ended), len(set(ended)))
        self.assertLessEqual(set(ended), begun)
        self.assertTrue({"turn", "wait for input", "receive", "send", "spawn"} <=
                        {event["name"] for event in events})

    def test_a_file_that_is_full_is_whole(self):
        with Hello(self.folder.name) as hello:
            done = hello.trace("--seconds", "2", "--limit", "1", "--output", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(os.path.getsize(self.file), (1 << 20) + 4096)
        self.events()

    def test_a_reader_that_stops_reading_holds_nobody_up(self):
        with Hello(self.folder.name) as hello:
            path = os.path.join(self.folder.name, "weir", f"{hello.child.pid}.sock")
            with socket.socket(socket.AF_UNIX) as asker:
                asker.connect(path)
                asker.sendall(b"trace 60\n")
                hello.wait_for_answers(200)
                refused = hello.trace("--seconds", "1", "--output", self.file)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("a trace is being recorded already", refused.stderr)
            # Its end is seen, and the next one may begin.
            end = time.monotonic() + LIMIT_S
            while hello.trace("--seconds", "1", "--output", self.file).returncode != 0:
                self.assertLess(time.monotonic(), end)

    def test_mistakes_are_told(self):
        for arguments, sentence in ((["x"], "no process"), (["1", "--seconds", "0"], "from 1 to 60"),
                                    ([str(2 ** 22 + 1)], "no process")):
            done = subprocess.run([WEIR, "trace", *arguments], capture_output=True, text=True,
                                  timeout=LIMIT_S)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(sentence, done.stderr)


if __name__ == "__main__":
    unittest.main()
