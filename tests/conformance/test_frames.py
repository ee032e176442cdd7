"""The vectors of http2jp/http2-frame-test-case: 34 frames, 22 of them wrong, each sent to a server on
a connection of its own, in two pieces that are cut at every place.

    test_frames.py HELLO [unittest arguments]

The wrong ones have to be answered by one of the errors that the vector names; of the right ones,
those that have a place on a connection where one request is open are done, and the others are out
of place, which is an error as well."""

import json
import socket
import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import peer  # noqa: E402

HELLO = sys.argv.pop(1)
VECTORS, WRONG = 34, 22
LIMIT_S = 20
RST_STREAM, SETTINGS, PING, GOAWAY = 3, 4, 6, 7
ACK = 1
PROTOCOL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR = 1, 5, 9
MARK = b"are you?"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


# POST /plaintext, whose body is still to come.
BEGIN = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"") +
         frame(1, 4, 1, b"\x83\x86\x04\x0a/plaintext\x01\x09localhost"))
# What the right frames do there: errors, or the frame that answers.
RIGHT = {
    "ping/normal.json": (PING, ACK, b"deadbeef"),
    "settings/normal.json": (SETTINGS, ACK, b""),
    "goaway/normal.json": (PING, ACK, MARK),
    "priority/normal.json": (PING, ACK, MARK),
    "continuation/header.json": [PROTOCOL_ERROR],
    "continuation/normal.json": [PROTOCOL_ERROR],
    "data/normal.json": [PROTOCOL_ERROR, STREAM_CLOSED],
    "headers/normal.json": [PROTOCOL_ERROR, COMPRESSION_ERROR],
    "headers/priority.json": [PROTOCOL_ERROR, COMPRESSION_ERROR],
    "push_promise/normal.json": [PROTOCOL_ERROR],
    "rst_stream/normal.json": [PROTOCOL_ERROR],
    "window_update/normal.json": [PROTOCOL_ERROR],
}


def vectors():
    folder = peer.data("http2-frame-test-case")
    return {str(path.relative_to(folder)): json.loads(path.read_text())
            for path in sorted(folder.glob("*/*.json"))}


class Connection:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), LIMIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read = b""
        ours, theirs = self.sock.getsockname()[1], port
        self.name = f"0100007F:{theirs:04X} 0100007F:{ours:04X}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # it has ended the connection already, and what it said is still there

    def wait_taken(self):
        """Until the server has read all that was sent: its side of the connection is empty."""
        for _ in range(100000):
            for line in Path("/proc/net/tcp").read_text().splitlines():
                if self.name in line:
                    if line.split()[4].endswith(":00000000"):
                        return
                    break
            else:
                return  # closed
        raise AssertionError("the server does not read")

    def take(self, size):
        while len(self.read) < size:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.read += data
        taken, self.read = self.read[:size], self.read[size:]
        return taken

    def frames(self):
        """(type, flags, stream, payload) of each, until the end."""
        while (head := self.take(9)) is not None:
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = self.take(int.from_bytes(head[:3], "big"))
            if payload is None:
                return
            yield kind, flags, stream, payload


def error(kind, payload):
    """The code of a frame that tells an error, or None."""
    if kind == GOAWAY:
        return struct.unpack(">I", payload[4:8])[0]
    return struct.unpack(">I", payload)[0] if kind == RST_STREAM else None


def answer(port, wire, cut, wanted):
    """What came that was wanted, or all that came."""
    seen = []
    with Connection(port) as connection:
        connection.send(BEGIN + wire[:cut])
        connection.wait_taken()
        connection.send(wire[cut:] + frame(PING, 0, 0, MARK))
        for kind, flags, _, payload in connection.frames():
            code = error(kind, payload)
            if isinstance(wanted, list) and code in wanted:
                return code
            seen.append((kind, flags, payload))
            # The first acknowledgement of SETTINGS is for those that every connection begins with.
            if seen.count(wanted) == (2 if kind == SETTINGS else 1):
                return wanted
            if code or (kind == PING and payload == MARK):
                break
    return seen


class Frames(unittest.TestCase):
    def test_every_vector_at_every_cut(self):
        found = vectors()
        self.assertEqual(len(found), VECTORS)
        self.assertEqual(sum(vector["error"] is not None for vector in found.values()), WRONG)
        with peer.Folder() as folder:
            port = peer.free_port()
            with peer.Server("hello", [HELLO, "--listen", f"127.0.0.1:{port}", "--loops", "1"], port,
                             folder):
                for name, vector in found.items():
                    wire, wanted = bytes.fromhex(vector["wire"]), vector["error"] or RIGHT[name]
                    for cut in range(len(wire)):
                        with self.subTest(vector=name, cut=cut):
                            came = answer(port, wire, cut, wanted)
                            self.assertTrue(came == wanted or came in wanted, came)
                # Another error than the one that comes is not taken for it.
                wire = bytes.fromhex(found["error/ping-frame-size.json"]["wire"])
                self.assertIsInstance(answer(port, wire, 9, [PROTOCOL_ERROR]), list)


if __name__ == "__main__":
    unittest.main(verbosity=2)
