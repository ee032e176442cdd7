"""Other people's programs as peers of a test: found, started on free ports, and ended.

    with Folder() as folder, Server("nghttpd", [program("nghttpd"), ...], port, folder): ...

Every wait has a limit, and is for something that happens, not for a time. What a test starts it
ends, by its process id."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "build/peers"
LIMIT_S = 30
LAST_WORDS = 2000


def program(name):
    """Where the program is; an absent one fails the test that needs it, never skips it."""
    places = f"{PEERS / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin"
    path = shutil.which(name, path=places)
    if not path:
        raise AssertionError(f"{name} is not installed: ./dev test --conformance, or --components, "
                             "installs what its tests need")
    return path


def data(name):
    """A folder of test data that tools/peers.py has fetched."""
    folder = PEERS / name
    if not folder.is_dir():
        raise AssertionError(f"{folder} is not there: ./dev test --conformance fetches it, or says "
                             "what to put there")
    return folder


@contextlib.contextmanager
def Folder():
    """A folder of a test's own, that servers which run as another user can look into."""
    with tempfile.TemporaryDirectory(prefix="weir-peers-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def free_port():
    """A port that nothing listens on, outside the range that outgoing connections use."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        port = random.randrange(min(10000, first - 1000), first)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


class Server:
    """A program that listens while the `with` block runs; its output goes to a file in folder."""

    def __init__(self, name, command, port, folder, env=None):
        self.name, self.port = name, port
        self.log = Path(folder) / f"{name}-{port}.log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL, cwd=folder,
                                          env={**os.environ, **(env or {})})
        self.pid = self.child.pid

    def __enter__(self):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)  # lint: allow(sleep): another program starts
        self.__exit__()
        raise AssertionError(f"{self.name} does not listen on port {self.port}: {self.said()}")

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def said(self):
        return self.log.read_text(errors="replace").strip()[-LAST_WORDS:] or "it said nothing"


def certificate(folder):
    """(certificate, key) for localhost and 127.0.0.1, signed by itself, and good for two days."""
    cert, key = Path(folder) / "cert.pem", Path(folder) / "key.pem"
    if not cert.exists():
        subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=LIMIT_S)
        os.chmod(key, 0o644)
    return cert, key
