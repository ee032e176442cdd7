"""HTTP/2 as h2spec tests it, with the strict cases, over TLS and without.

    test_h2spec.py HELLO [unittest arguments]

nghttpd stands as the control: what it is known to fail has to fail here, and nothing else, so a
runner that loses or skips cases, or can't see a failure, is found out."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import h2spec  # noqa: E402
import peer  # noqa: E402

HELLO = sys.argv.pop(1)
CASES, RUNS, RUN_MAX_S = 146, 20, 2
# nghttp2 leaves it to who uses it to see that a stream's number is smaller than the one before.
CONTROL_FAILS = [("http2/5.1.1", "Sends stream identifier that is numerically smaller than "
                                 "previous")]


class Control(unittest.TestCase):
    def both_ways(self, tls):
        with peer.Folder() as folder:
            # Some cases are skipped where an answer is shorter than five bytes.
            (folder / "hello").write_text("Hello, World!")
            port = peer.free_port()
            cert, key = peer.certificate(folder)
            command = [peer.program("nghttpd"), "--address=127.0.0.1", "-d", folder]
            command += [port, key, cert] if tls else ["--no-tls", port]
            with peer.Server("nghttpd", command, port, folder):
                return h2spec.run(port, "/hello", folder, tls)

    def check(self, result):
        self.assertEqual(len(result.ended), CASES)
        self.assertEqual(result.those("error"), CONTROL_FAILS, result.said)
        self.assertEqual(len(result.those("passed")), CASES - 1)

    def test_without_tls(self):
        self.check(self.both_ways(False))

    def test_with_tls(self):
        self.check(self.both_ways(True))


class Hello(unittest.TestCase):
    """examples/hello: all cases, none skipped, so many times in a row on one server."""

    def check(self, tls):
        with peer.Folder() as folder:
            port = peer.free_port()
            command = [HELLO, "--listen", f"127.0.0.1:{port}", "--loops", "1"]
            command += ["--tls", *peer.certificate(folder)] if tls else []
            with peer.Server("hello", command, port, folder) as server:
                for number in range(RUNS):
                    with self.subTest(run=number):
                        result = h2spec.run(port, "/plaintext", folder, tls)
                        self.assertEqual(len(result.those("passed")), CASES,
                                         f"{result.said}\n{server.said()}")
                        self.assertEqual(len(result.ended), CASES)
                        self.assertLess(result.seconds, RUN_MAX_S)

    def test_without_tls(self):
        self.check(False)

    def test_with_tls(self):
        self.check(True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
