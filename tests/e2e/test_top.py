"""weir top on a program, in a terminal of its own and as text: what it shows, its keys, and
that the terminal is given back however it ends.

    test_top.py WEIR HELLO [unittest arguments]"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

WEIR, HELLO = sys.argv.pop(1), sys.argv.pop(1)
LIMIT_S = 60
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Program:
    def __init__(self, folder):
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        self.child = subprocess.Popen([HELLO, "--listen", "127.0.0.1:0", "--loops", "2"],
                                      env=self.environment, stderr=subprocess.PIPE)
        self.child.stderr.readline()  # it listens
        end = time.monotonic() + LIMIT_S
        while self.once().returncode != 0:
            assert time.monotonic() < end and self.child.poll() is None

    def once(self, *flags):
        return subprocess.run([WEIR, "top", str(self.child.pid), "--once", *flags], text=True,
                              env=self.environment, capture_output=True, timeout=LIMIT_S)

    def end(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.terminate()
        self.child.communicate(timeout=LIMIT_S)


class Terminal:
    """weir top in a pty of so many lines and columns."""

    def __init__(self, program, lines=20, columns=100, interval="200ms"):
        self.master, self.slave = pty.openpty()
        self.resize(lines, columns)
        self.settings = termios.tcgetattr(self.slave)
        self.text = ""
        self.child = subprocess.Popen(
            [WEIR, "top", str(program.child.pid), "--interval", interval], stdin=self.slave,
            stdout=self.slave, stderr=self.slave, env=program.environment,
            start_new_session=True)

    def resize(self, lines, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys.encode())

    def frames(self):
        return [frame.replace("\x1b[2K", "") for frame in self.text.split("\x1b[H")[1:]]

    def wait_for(self, found, from_now=True):
        """Read until a frame, the newest, is what found() looks for."""
        end = time.monotonic() + LIMIT_S
        if from_now:
            self.text = ""
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode()
            for frame in self.frames():
                if found(SEQUENCE.sub("", frame)):
                    return frame
        self.child.kill()
        self.child.wait()
        raise AssertionError(f"not seen; the last frames: {self.frames()[-2:]}")

    def see(self, text):
        return self.wait_for(lambda frame: text in frame)

    def end(self):
        """What it said last, and its exit code. The terminal must be as it was."""
        code = None
        end = time.monotonic() + LIMIT_S
        while code is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.text += os.read(self.master, 65536).decode()
            code = self.child.poll()
        while select.select([self.master], [], [], 0.05)[0]:
            self.text += os.read(self.master, 65536).decode()
        now = termios.tcgetattr(self.slave)
        os.close(self.master)
        os.close(self.slave)
        assert now == self.settings, "the terminal is not as it was"
        assert self.text.count("\x1b[?1049l") == 1, "its screen has not been given back"
        assert "\x1b[?25h" in self.text, "its cursor has not been given back"
        return self.text.split("\x1b[?1049l")[1], code


class Top(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.program = Program(folder.name)
        self.addCleanup(self.program.end)

    def test_one_frame_is_text(self):
        done = self.program.once()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertRegex(done.stdout, rf"process {self.program.child.pid}, up 0:00:\d\d, ")
        # "-": there was no second look to compare with.
        self.assertRegex(done.stdout, r"loop 0 +busy +(-|[\d.]+) %  max turn +(-|[\d.]+) ms +lag")
        self.assertRegex(done.stdout, r"loop 1 ")
        self.assertIn("COUNT*", done.stdout)
        self.assertRegex(done.stdout, r" 1 .* parked +signal ")
        self.assertIn("WAITS*", self.program.once("--sort", "wait").stdout)

    def test_keys_lead_in_and_back(self):
        terminal = Terminal(self.program)
        terminal.see("parked")
        terminal.press("a")
        terminal.see("AGE*")
        terminal.press("w")
        terminal.see("WAITS*")
        terminal.press("\r")
        terminal.see("NAME in SCOPES")
        terminal.wait_for(lambda frame: re.search(r"\n0\.\d+\.\d+ ", frame))
        terminal.press("\r")
        terminal.see("stack, innermost first:")
        terminal.press("\x1b")
        terminal.see("NAME in SCOPES")
        terminal.press("\x1b")
        terminal.see("STARTED AT")
        terminal.press("q")
        self.assertEqual(terminal.end(), ("", 0))

    def test_the_row_that_is_selected_stays_so(self):
        terminal = Terminal(self.program)
        terminal.see("COUNT*")
        marked = re.compile(r"\x1b\[7m([^\x1b]*)")
        before = marked.search(terminal.wait_for(lambda frame: "parked" in frame)).group(1)
        terminal.press("\x1b[B\x1b[B\x1b[A\x1b[A")
        after = marked.search(terminal.wait_for(lambda frame: "parked" in frame)).group(1)
        self.assertEqual(before.split()[-1], after.split()[-1])
        terminal.press("\x03")
        self.assertEqual(terminal.end(), ("", 0))

    def test_a_resize_is_followed(self):
        terminal = Terminal(self.program)
        terminal.see("COUNT*")
        for lines, columns in ((5, 30), (50, 200), (1, 1), (20, 80)):
            terminal.resize(lines, columns)
            os.kill(terminal.child.pid, signal.SIGWINCH)
            terminal.wait_for(lambda frame, lines=lines, columns=columns:
                              frame.count("\n") == lines - 1 and
                              all(len(line.strip("\r")) <= columns for line in frame.split("\n")))
        terminal.press("q")
        self.assertEqual(terminal.end(), ("", 0))

    def test_a_signal_ends_it(self):
        terminal = Terminal(self.program)
        terminal.see("COUNT*")
        terminal.child.terminate()
        self.assertEqual(terminal.end(), ("", 0))

    def test_the_end_of_the_program_is_told(self):
        terminal = Terminal(self.program)
        terminal.see("COUNT*")
        self.program.end()
        said, code = terminal.end()
        self.assertIn(f"process {self.program.child.pid} has ended", said)
        self.assertEqual(code, 0)

    def test_two_watch_at_once(self):
        first, second = Terminal(self.program), Terminal(self.program)
        first.see("parked")
        second.see("parked")
        second.press("\r")
        second.see("NAME in SCOPES")
        for _ in range(3):
            first.see("busy")
            second.see("busy")
        self.assertEqual(self.program.once().returncode, 0)
        first.press("q")
        self.assertEqual(first.end(), ("", 0))
        second.see("busy")
        second.press("q")
        self.assertEqual(second.end(), ("", 0))

    def test_a_stopped_program_leaves_the_keys_working(self):
        terminal = Terminal(self.program)
        terminal.see("COUNT*")
        self.program.child.send_signal(signal.SIGSTOP)
        terminal.see("no answer for")
        self.program.child.send_signal(signal.SIGCONT)
        terminal.see("sort by")
        self.program.child.send_signal(signal.SIGSTOP)
        terminal.press("q")
        self.assertEqual(terminal.end(), ("", 0))

    def test_what_cannot_be_watched_is_told(self):
        def top(*words):
            return subprocess.run([WEIR, "top", *words], text=True, capture_output=True,
                                  stdin=subprocess.DEVNULL, env=self.program.environment,
                                  timeout=LIMIT_S)

        self.assertEqual(top("999999999").returncode, 1)
        self.assertIn("no process", top("999999999", "--once").stderr)
        self.assertIn("not a weir program", top(str(os.getpid()), "--once").stderr)
        self.assertEqual(top("bogus").returncode, 2)
        self.assertEqual(top(str(os.getpid()), "--interval", "1ms").returncode, 2)
        done = top(str(self.program.child.pid))
        self.assertEqual(done.returncode, 1)
        self.assertIn("--once", done.stderr)


if __name__ == "__main__":
    unittest.main()
