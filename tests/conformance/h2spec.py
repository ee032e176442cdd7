"""h2spec, run once against a server: which cases there were, and how each ended."""

import subprocess
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import peer

LIMIT_S = 120


class Result:
    """Each case is (section, title); `ended` says for each passed, error, failure or skipped: an
    error is a server that does what it must not, a failure one that broke off."""

    def __init__(self, report, seconds, said):
        self.seconds, self.said, self.ended = seconds, said, {}
        for suite in xml.parse(report).getroot().iter("testsuite"):
            for case in suite.iter("testcase"):
                name = (case.get("package"), case.get("classname"))
                if name in self.ended:
                    raise AssertionError(f"two cases are named {name}")
                fault = [child.tag for child in case if child.tag in ("failure", "skipped", "error")]
                self.ended[name] = fault[0] if fault else "passed"

    def those(self, verdict):
        return sorted(name for name, ended in self.ended.items() if ended == verdict)


def run(port, path, folder, tls):
    """All cases, the strict ones too, with at most 1 s to wait in each."""
    report = Path(folder) / f"h2spec-{port}.xml"
    report.unlink(missing_ok=True)
    command = [peer.program("h2spec"), "--strict", "--host", "127.0.0.1", "--port", str(port),
               "--path", path, "--timeout", "1", "--junit-report", report]
    begun = time.monotonic()
    done = subprocess.run(command + (["--tls", "--insecure"] if tls else []), timeout=LIMIT_S,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    if not report.exists():
        raise AssertionError(f"h2spec wrote no report: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    # What failed is told at the end, under this line.
    return Result(report, seconds, done.stdout.partition("Failures:")[2].strip())
