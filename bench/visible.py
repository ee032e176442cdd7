"""What it costs that the runtime can be looked at: user instructions a plaintext request, counted by
callgrind, against a build without it.

Instructions do not depend on what else the machine does. Each program answers a few requests over
one connection, then many; the difference holds neither its start nor its end."""
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from figures import Unmeasured
from process import free_port, needed, say

ROOT = Path(__file__).resolve().parent.parent
REQUEST = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n"
FEW, MANY = 1000, 5000
LOOKS = 200
REQUESTS_A_LOOK = 10_000  # a look a second, at so many requests a second
READY_SECONDS = 60


def connect(port, child):
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and child.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), READY_SECONDS)
        except OSError:
            time.sleep(0.05)
    raise Unmeasured(f"the service did not open port {port} under callgrind")


def look(asker):
    """What `weir top` asks each second."""
    for request in b"kinds\n", b"loops\n":
        asker.sendall(request)
        answer = b""
        while not answer.endswith(b"\n"):
            answer += asker.recv(1 << 20)
        if b'"error"' in answer:
            raise Unmeasured(f"a look was refused: {answer[:200]!r}")


def instructions(program, mode, requests, looks=0):
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        return count(program, mode, requests, looks, folder)


def count(program, mode, requests, looks, folder):
    port = free_port()
    child = subprocess.Popen(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                              needed(program), mode, f"127.0.0.1:{port}"],
                             stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "XDG_RUNTIME_DIR": folder})
    try:
        with connect(port, child) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(requests):
                connection.sendall(REQUEST)
                if not connection.recv(4096).endswith(b"Hello, World!"):
                    raise Unmeasured("the answer is not Hello, World!")
            if looks:
                with socket.socket(socket.AF_UNIX) as asker:
                    asker.connect(f"{folder}/weir/{child.pid}.sock")
                    for _ in range(looks):
                        look(asker)
    finally:
        child.terminate()
        said = child.communicate(timeout=READY_SECONDS)[1]
    counted = re.search(r"Collected : (\d+)", said)
    if not counted:
        raise Unmeasured(f"callgrind told nothing: {said[-300:]}")
    return int(counted[1])


def per_request(program, mode):
    return (instructions(program, mode, MANY) - instructions(program, mode, FEW)) / (MANY - FEW)


def per_look(program, mode):
    return (instructions(program, mode, FEW, LOOKS + 1) - instructions(program, mode, FEW, 1)) / LOOKS


def build(folder, visible):
    """A release build of the program, with or without."""
    for command in (["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
                     "-DCMAKE_C_FLAGS_RELEASE=-g1 -O3 -DNDEBUG", "-DWEIR_LTO=ON",
                     "-DWEIR_TESTS=OFF", "-DWEIR_SHARED=OFF", f"-DWEIR_VISIBLE={visible}"],
                    ["ninja", "-C", folder, "bench_visible"]):
        done = subprocess.run([*map(str, command)], capture_output=True, text=True,
                              env={**os.environ, "CMAKE_C_COMPILER_LAUNCHER": "ccache"}
                              if Path("/usr/bin/ccache").exists() else None)
        if done.returncode != 0:
            raise Unmeasured(f"{command[0]}: {(done.stderr or done.stdout)[-400:]}")
    return folder / "bench/visible"


def measure(context):
    say("building without what is measured")
    without = per_request(build(ROOT / "build/invisible", "OFF"), "none")
    program = context.build / "bench/visible"
    idle, recorded = per_request(program, "idle"), per_request(program, "recorded")
    a_look = per_look(program, "recorded")
    attached = recorded + a_look / REQUESTS_A_LOOK
    return {"visible_idle": idle / without, "visible_recorded": recorded / without,
            "visible_attached": attached / without, "visible_instructions_look": a_look,
            "visible_instructions_without": without, "visible_instructions_idle": idle,
            "visible_instructions_recorded": recorded}, {}
