"""The program's commands, and `weir check`: every fault of a file at once, each in its place.

config/NAME.yaml is checked; what is told must be config/NAME.expected (nothing, where there is no
such file). With --write the expected files are written anew: read what changes."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
WEIR = sys.argv.pop(1)
FOLDER = Path(__file__).resolve().parent / "config"
WRITE = "--write" in sys.argv
LIMIT_S = 20


def run(*command, folder=FOLDER):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([WEIR, *map(str, command)], cwd=folder, capture_output=True, text=True,
                          timeout=LIMIT_S)
    return done.returncode, done.stdout, done.stderr


class Check(unittest.TestCase):
    maxDiff = None

    def test_faults(self):
        files = sorted(FOLDER.glob("*.yaml"))
        self.assertGreater(len(files), 5)
        for file in files:
            expected = file.with_suffix(".expected")
            code, out, err = run("check", file.name)
            if WRITE and err:
                expected.write_text(err)
            with self.subTest(file.name):
                if expected.exists():
                    self.assertEqual((code, out, err), (2, "", expected.read_text()))
                    self.assertEqual(run("gateway", file.name), (2, "", err))
                else:
                    self.assertEqual((code, err), (0, ""))
                    self.assertRegex(out, rf"^{file.name}: ok, \d+ services?, \d+ routes?\n$")

    def test_files_that_cannot_be(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            self.assertEqual(run("check", "none.yaml", folder=folder),
                             (2, "", "weir check: none.yaml: No such file or directory\n"))
            self.assertEqual(run("check", ".", folder=folder),
                             (2, "", "weir check: .: Is a directory\n"))
            file = Path(folder) / "f.yaml"
            file.write_bytes(b"\xff\xfe\x00 not text")
            self.assertEqual(run("check", file)[0], 2)
            file.write_bytes(b"a: " + b"x" * (4 << 20))
            code, _, err = run("check", file)
            self.assertEqual(code, 2)
            self.assertIn("4194304", err)

    def test_a_byte_order_mark(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            file = Path(folder) / "f.yaml"
            text = (FOLDER / "good.yaml").read_bytes()
            file.write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
            self.assertEqual(run("check", file)[0], 0)
            file.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbf" + text)
            self.assertEqual(run("check", file)[0], 2)

    def test_a_path_with_a_nul(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            file = Path(folder) / "f.yaml"
            file.write_text("listen: \":0\"\nservices: { a: { url: \"http://127.0.0.1:1\" } }\n"
                            "routes:\n  - { path: \"/u/\\0x\", proxy: { service: zzz } }\n")
            code, _, err = run("check", file)
            self.assertEqual(code, 2)
            self.assertIn(":4:13: `path`: white space or a control byte in it (as in", err)
            self.assertIn("there is no service `zzz` (name one that stands under", err)

    def test_many_faults_are_bounded(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            file = Path(folder) / "f.yaml"
            file.write_text("listen: \":0\"\nservices: { a: { url: \"http://127.0.0.1:1\" } }\n"
                            "routes:\n" + "".join(f"  - {{ path: /{i}, proxy: {{ service: b }} }}\n"
                                                  for i in range(1000)))
            code, _, err = run("check", file)
            self.assertEqual(code, 2)
            self.assertEqual(len(err.splitlines()), 65)
            self.assertRegex(err.splitlines()[-1], "and 936 more$")


class Commands(unittest.TestCase):
    def test_help(self):
        code, out, err = run("help")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(run("--help"), (0, out, ""))
        for command in ("gateway", "demo", "check", "version"):
            self.assertIn(f"\n  {command} ", out)
            code, text, err = run(command, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(text.startswith(f"Usage: weir {command}"), text)
            self.assertEqual(run("help", command), (0, text, ""))
            self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_version(self):
        code, out, _ = run("version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^weir \d+\.\d+\.\d+\n")
        self.assertEqual(run("--version"), (0, out, ""))

    def test_mistakes(self):
        for command, said in (
                ((), "Usage"),
                (("gatway",), "there is no command `gatway`; did you mean `gateway`?"),
                (("help", "chek"), "did you mean `check`?"),
                (("gateway",), "FILE is missing"),
                (("gateway", "a", "b"), "one FILE is taken, not `a` and `b`"),
                (("gateway", "--lops", "2", "a"), "did you mean `--loops`?"),
                (("gateway", "--loops", "0", "a"), "--loops `0`: it must be a number from 1"),
                (("gateway", "--backend", "kqueue", "a"),
                 "--backend `kqueue`: it must be auto, epoll or io_uring"),
                (("gateway", "--loops"), "--loops needs a value"),
                (("gateway", "--grace=never", "a"), "it must be a time as in 10s"),
                (("gateway", "--log-level", "loud", "a"), "error, warn, info or debug"),
                (("demo", "8080"), "`8080` is no flag, and nothing else is taken"),
                (("demo", "--print-config=yes"), "--print-config takes no value"),
                (("demo", "--port", "99999"), "a port from 1 to 65535"),
                (("check", "-x", "a"), "there is no flag `-x`")):
            code, out, err = run(*command)
            self.assertEqual((code, out), (2, ""), command)
            self.assertIn(said, err)

    def test_an_address_that_is_taken(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            text = run("demo", "--print-config")[1]
            file = Path(folder) / "f.yaml"
            file.write_text(text.replace("127.0.0.1:8080", "192.0.2.1:8080"))
            code, _, err = run("gateway", file)
            self.assertEqual(code, 1)
            self.assertIn("192.0.2.1:8080", err)


if __name__ == "__main__":
    unittest.main(argv=[word for word in sys.argv if word != "--write"])
