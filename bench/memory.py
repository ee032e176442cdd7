"""What a request takes from the general heap, and what an idle connection holds."""
import re
import socket
import struct
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from figures import Unmeasured
from plaintext import hello
from process import Process, cores, needed

IDLE_CONNECTIONS = 10000
HEAP_CONNECTIONS = 16
HEAP_REQUESTS = 10000


class Client:
    """One keep-alive connection, one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def get(self, path):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while True:
            got = self.socket.recv(65536)
            if not got:
                raise Unmeasured(f"the connection was closed instead of an answer to {path}")
            answer += got
            head, found, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if found and (not length or len(body) >= int(length[1])):
                break
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Unmeasured(f"{path} was answered {head[:60]!r}")


def start(context, env=None):
    port = context.port()
    return port, Process("hello", hello(context)(port), cores()[0], context.folder, env)


def count_calls(context, path):
    """Calls to the heap a request: the median of three stretches, so that one which a timer made
    between requests is not taken for theirs."""
    counts = context.folder / "malloc_count"
    counts.write_bytes(bytes(16))
    library = needed(context.build / "bench/malloc_count.so")
    port, server = start(context, {"LD_PRELOAD": str(library), "WEIR_MALLOC_COUNT": str(counts)})

    def calls():
        return struct.unpack("=QQ", counts.read_bytes())[0]

    with server, ExitStack() as stack:
        server.wait_for_port(port)
        if calls() == 0:
            raise Unmeasured("the heap counter saw no call at all: was it preloaded?")
        clients = [stack.enter_context(Client(port)) for _ in range(HEAP_CONNECTIONS)]
        stretches = []
        for _ in range(4):
            before = calls()
            for i in range(HEAP_REQUESTS):
                clients[i % HEAP_CONNECTIONS].get(path)
            stretches.append((calls() - before) / HEAP_REQUESTS)
    return median(stretches[1:])  # the first warms up


def measure_heap(context):
    values, faults = {}, {}
    for name in ("plaintext", "json"):
        try:
            values[f"{name}_heap_allocations"] = count_calls(context, f"/{name}")
        except (OSError, Unmeasured) as fault:
            faults[f"{name}_heap_allocations"] = str(fault)
    return values, faults


def resident_bytes(pid):
    """Pages of the process that are in memory or in swap; exact, unlike /proc/PID/statm."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Swap): +(\d+) kB", text, re.MULTILINE))
    return (int(found["Rss"]) + int(found["Swap"])) * 1024


def settled_bytes(pid):
    now = resident_bytes(pid)
    for _ in range(20):
        before = now
        time.sleep(0.25)
        now = resident_bytes(pid)
        if now == before:
            break
    return now


def measure_idle(context):
    port, server = start(context)
    with server, ExitStack() as stack:
        server.wait_for_port(port)
        warm = stack.enter_context(Client(port))
        for _ in range(1000):
            warm.get("/plaintext")
        before = settled_bytes(server.pid)
        clients = []
        for _ in range(IDLE_CONNECTIONS):
            clients.append(stack.enter_context(Client(port)))
            clients[-1].get("/plaintext")
        grown = settled_bytes(server.pid) - before
        for client in clients[:: IDLE_CONNECTIONS // 100]:
            client.get("/plaintext")  # they are still there
    return {"idle_connection_bytes": grown / IDLE_CONNECTIONS}, {}
