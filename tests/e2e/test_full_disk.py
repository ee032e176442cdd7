"""The disk of the log is full: the service goes on, and the log tells of it when there is room.

    test_full_disk.py HELLO [unittest arguments]"""

import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HELLO = sys.argv.pop(1)
LIMIT_S = 60
REQUESTS = 2000
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class FullDisk(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, folder, limit=None):
        def before():
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        self.path = os.path.join(folder, "log")
        with open(self.path, "wb") as log:
            self.program = subprocess.Popen(
                [HELLO, "--listen", "127.0.0.1:0", "--loops", "1", "--log-level", "debug",
                 "--log-format", "json"], stderr=log, preexec_fn=before,
                env={**os.environ, "XDG_RUNTIME_DIR": self.folder})
        self.addCleanup(self.program.wait)
        self.addCleanup(self.program.kill)
        self.port = int(self.wait_for(r"listening on http://127\.0\.0\.1:(\d+)")[1])

    def log(self):
        with open(self.path, encoding="utf-8") as log:
            return log.read()

    def wait_for(self, pattern):
        end = time.monotonic() + LIMIT_S
        while not (found := re.search(pattern, self.log())):
            self.assertLess(time.monotonic(), end, self.log()[-2000:])
            self.assertIsNone(self.program.poll())
        return found

    def get(self, times):
        """Each request is a line of the log."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        for _ in range(times):
            connection.request("GET", "/plaintext")
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (200, b"Hello, World!"))
        connection.close()

    def goes_on(self, make_room):
        """With more to write than there is room for, on the disk and in memory."""
        self.get(REQUESTS)
        size = os.path.getsize(self.path)
        self.program.send_signal(signal.SIGQUIT)  # a dump finds no room either
        self.get(REQUESTS)
        self.assertEqual(os.path.getsize(self.path), size)
        make_room()
        told = self.wait_for(r"the log could not be written for (\d+) ms: [^\"]*\(([A-Z]+)\)")
        self.get(1)
        self.program.send_signal(signal.SIGTERM)
        self.assertEqual(self.program.wait(LIMIT_S), 0)
        for line in self.log().splitlines():  # also the one that had begun
            if line.startswith("{"):  # the rest is the dump's, which is not the log's
                json.loads(line)
        self.assertIn('"drained in', self.log())
        return told[2]

    def test_a_file_that_may_not_grow(self):
        self.start(self.folder, 20000)
        self.assertEqual(self.goes_on(lambda: resource.prlimit(
            self.program.pid, resource.RLIMIT_FSIZE, UNLIMITED)), "EFBIG")

    def test_a_small_disk(self):
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk],
                          capture_output=True, check=False).returncode != 0:
            self.skipTest("this user may not mount a file system")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        with open(os.path.join(disk, "other"), "wb") as other:
            other.write(bytes(90 * 1024))
        self.start(disk)

        def make_room():
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)

        self.assertEqual(self.goes_on(make_room), "ENOSPC")
        self.program.wait(LIMIT_S)


if __name__ == "__main__":
    unittest.main()
