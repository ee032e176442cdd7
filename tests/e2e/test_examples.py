"""The example programs do what their first comments say.

    test_examples.py FOLDER [unittest arguments]"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from program import Program
from services import Services

FOLDER = sys.argv.pop(1)


def example(name, **more):
    return Program(os.path.join(FOLDER, name), **more)


class Hello(unittest.TestCase):
    def test_answers_and_ends(self):
        with example("hello") as p:
            status, headers, body = p.get("/plaintext")
            self.assertEqual((status, body), (200, b"Hello, World!"))
            self.assertTrue(headers["Content-Type"].startswith("text/plain"))
            status, headers, body = p.get("/json")
            self.assertEqual((status, body), (200, b'{"message":"Hello, World!"}'))
            self.assertEqual(headers["Content-Type"], "application/json")
            self.assertEqual(p.end(), 0)
            self.assertRegex(p.messages()[-1], r"^drained in \d+ ms, 0 requests cut$")

    def test_one_connection_serves_many(self):
        with example("hello") as p:
            connection = p.connect()
            for _ in range(100):
                connection.request("GET", "/plaintext")
                self.assertEqual(connection.getresponse().read(), b"Hello, World!")
            connection.close()
            self.assertEqual(p.end(), 0)


class Pool(unittest.TestCase):
    def test_computes_off_the_loop(self):
        with example("pool") as p:
            status, _, body = p.get("/primes/1000")
            self.assertEqual((status, json.loads(body)), (200, {"below": 1000, "primes": 168}))
            self.assertEqual(p.get("/primes/x")[0], 404)
            self.assertEqual(p.get("/primes/99999999")[0], 400)
            self.assertEqual(p.end(), 0)


class Chat(unittest.TestCase):
    def setUp(self):
        self.program = subprocess.Popen([os.path.join(FOLDER, "chat"), "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.program.stdout.close)
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        self.port = int(self.program.stdout.readline().split()[-1])

    def member(self):
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(stream.close)
        return stream, stream.makefile("rb")

    def test_all_others_hear_what_one_says(self):
        one, hears_one = self.member()
        two, hears_two = self.member()
        self.addCleanup(hears_one.close)
        self.addCleanup(hears_two.close)
        self.assertEqual(hears_one.readline(), b"* 2 has come\n")
        one.sendall(b"hel")
        one.sendall(b"lo\r\n\nagain\x07\n")
        self.assertEqual(hears_two.readline(), b"1: hello\n")
        self.assertEqual(hears_two.readline(), b"1: again\n")
        two.sendall(b"hi\n")
        self.assertEqual(hears_one.readline(), b"2: hi\n")
        two.shutdown(socket.SHUT_RDWR)
        self.assertEqual(hears_one.readline(), b"* 2 has gone\n")

    def test_who_does_not_read_is_dropped_and_the_others_go_on(self):
        one, hears_one = self.member()
        slow, never_read = self.member()
        three, hears_three = self.member()
        for file in (hears_one, never_read, hears_three):
            self.addCleanup(file.close)
        self.assertEqual(hears_one.readline(), b"* 2 has come\n")
        self.assertEqual(hears_one.readline(), b"* 3 has come\n")
        line, heard = b"x" * 300 + b"\n", b""
        for _ in range(100000):
            one.sendall(line)
            heard = hears_three.readline()
            if heard.startswith(b"*"):
                break
        self.assertEqual(heard, b"* 2 has been too slow\n")
        one.sendall(b"still here\n")
        while heard != b"1: still here\n":
            heard = hears_three.readline()
            self.assertTrue(heard)


class Pipeline(unittest.TestCase):
    LINE = '10.0.0.{} - - [10/Oct/2025:13:55:36 +0000] "GET /{} HTTP/1.1" {} 2326\n'

    def run_on(self, *words):
        return subprocess.run([os.path.join(FOLDER, "pipeline"), *words], capture_output=True,
                              text=True, timeout=30)

    def test_counts_a_log_of_many_blocks(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "access.log")
            with open(path, "w") as log:
                for i in range(20000):
                    log.write(self.LINE.format(i % 250, "x" * (i % 97), (200, 404, 503, 301)[i % 4]))
                log.write("nonsense\n" + self.LINE.format(1, "last", 200).rstrip("\n"))
            done = self.run_on(path)
            self.assertEqual(done.stdout.split("\n"),
                             ["1xx 0", "2xx 5001", "3xx 5000", "4xx 5000", "5xx 5000",
                              "unreadable 1", ""])
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_says_what_is_wrong(self):
        done = self.run_on("/nowhere/access.log")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/access.log can't be opened: No such file", done.stderr)
        done = self.run_on(os.path.dirname(__file__))
        self.assertEqual(done.returncode, 1)
        self.assertIn("the log can't be read", done.stderr)
        self.assertIn("usage", self.run_on().stderr)


@unittest.skipUnless(os.path.exists(os.path.join(FOLDER, "libuv")), "libuv was not found")
class Libuv(unittest.TestCase):
    def test_serves_inside_libuv(self):
        with subprocess.Popen([os.path.join(FOLDER, "libuv"), "127.0.0.1:0"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            port = int(p.stdout.readline().split()[-1])
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                    lines = client.makefile("rw")
                    self.assertRegex(lines.readline(), r"^libuv has ticked \d+ times\n$")
                    lines.write("hello\n")
                    lines.flush()
                    self.assertEqual(lines.readline(), "hello\n")
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.recv(100)
                p.send_signal(signal.SIGINT)
                self.assertEqual(client.recv(100), b"") # it does not wait for it
            self.assertEqual(p.wait(timeout=20), 0)
            self.assertEqual(p.stderr.read(), "")


class Fanout(unittest.TestCase):
    def test_merges_what_three_services_say(self):
        with Services({"/users/7": (200, b'{"name":"Ada"}'), "/orders?user=7": (200, b"[1]"),
                       "/offers/today": (200, b'"tea"')}) as s:
            with example("fanout", env={"SERVICES": s.url}) as p:
                status, _, body = p.get("/profile/7")
                self.assertEqual((status, body),
                                 (200, b'{"user":{"name":"Ada"},"orders":[1],"offers":"tea"}'))
                self.assertEqual(sorted(s.seen), ["/offers/today", "/orders?user=7", "/users/7"])
                self.assertEqual(p.end(), 0)

    def test_leaves_out_what_is_late(self):
        late = lambda: (s.gate.wait(20), (200, b'"tea"'))[1]
        with Services({"/users/7": (200, b"{}"), "/orders?user=7": (200, b"[]"),
                       "/offers/today": late}) as s:
            with example("fanout", env={"SERVICES": s.url}) as p:
                status, _, body = p.get("/profile/7")
                self.assertEqual((status, body), (200, b'{"user":{},"orders":[],"offers":null}'))
                self.assertEqual(p.end(), 0)

    def test_answers_504_and_502_with_one_line(self):
        late = lambda: (s.gate.wait(20), (200, b"{}"))[1]
        with Services({"/users/7": late, "/orders?user=7": (200, b"[]"),
                       "/users/8": (500, b"{}"), "/orders?user=8": (200, b"[]")}) as s:
            with example("fanout", env={"SERVICES": s.url}) as p:
                self.assertEqual(p.get("/profile/7")[0], 504)
                status, headers, body = p.get("/profile/8")
                self.assertEqual(status, 502)
                self.assertEqual(headers["Content-Type"], "application/problem+json")
                self.assertNotIn(b"/users/8", body)
                self.assertEqual(p.end(), 0)
                lines = [line for line in p.lines if line and "/profile/" in line]
                self.assertEqual(len(lines), 2, lines)
                self.assertIn("profile of 8", lines[1])


if __name__ == "__main__":
    unittest.main()
