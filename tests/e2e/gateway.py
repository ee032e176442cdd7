"""`weir gateway` under test: a configuration in a folder of its own, on free ports."""

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from program import LIMIT_S, Program


class Gateway(Program):
    """with Gateway(weir, services, routes) as g: g.get("/api")

    services are lines of YAML below `services:`, routes below `routes:`, top is more of the
    uppermost level."""

    def __init__(self, weir, services, routes, *flags, env=None, top="", scheme="http"):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-e2e-")
        file = Path(self.folder.name) / "gateway.yaml"
        file.write_text("listen: \"127.0.0.1:0\"\nadmin: \"127.0.0.1:0\"\n" + top +
                        "services:\n" + indent(services, 2) + "routes:\n" + indent(routes, 2))
        self._start([weir, "gateway", "--log-format", "json", "--loops", "1", *flags, str(file)],
                    env, scheme)

    def _start(self, command, env, scheme="http"):
        self.lines = []
        self.news = threading.Condition()
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = self._address(f"listening on {scheme}://")
        self.admin = self._address("/healthz, /readyz, /status and /metrics on http://")

    def __exit__(self, fault=None, *rest):
        super().__exit__(fault, *rest)
        self.folder.cleanup()

    def metric(self, line):
        """The value of the metric whose line begins so; None when it is not there."""
        for text in self.get("/metrics", address=self.admin)[2].decode().splitlines():
            if text.startswith(line):
                return float(text.rsplit(" ", 1)[1])
        return None

    def resident_kib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")


def indent(text, by):
    lines = [line for line in text.strip("\n").splitlines()]
    return "".join(" " * by + line + "\n" for line in lines)


def service(name, url, more="timeout: 2s"):
    return f"{name}: {{ url: \"{url}\", {more} }}\n"


def until(what, limit_s=LIMIT_S):
    """Asks again and again until it holds, and gives what it said."""
    ends = time.monotonic() + limit_s
    pause = threading.Event()
    while time.monotonic() < ends:
        said = what()
        if said:
            return said
        pause.wait(0.02)
    raise AssertionError("it did not come about in time")
