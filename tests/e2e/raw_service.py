"""A service whose every byte a test decides, for a gateway to call.

    with RawService(lambda request: reply({"id": 7})) as s: s.url

What the function returns is sent; None ends the connection without an answer. A function that
takes two arguments gets the connection as well, and may send by itself."""

import inspect
import json
import socket
import struct
import threading

LIMIT_S = 20


class Request:
    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.head = head
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
        self.connection = connection

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        return next(iter(self.all(name)), None)

    def body(self):
        """The whole body, by length or chunked."""
        if self.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.connection.line(), 16):
                whole += self.connection.take(size)
                self.connection.line()
            self.connection.line()
            return whole
        return self.connection.take(int(self.get("Content-Length") or 0))

    def skip_body(self):
        """Takes the body of a given length without keeping it, and gives its size."""
        size = int(self.get("Content-Length"))
        left = size - len(self.connection.take(min(size, len(self.connection.read))))
        while left and (data := self.connection.sock.recv(min(left, 1 << 20))):
            left -= len(data)
        return size - left


class Connection:
    def __init__(self, sock):
        self.sock, self.read = sock, b""

    def fill(self):
        data = self.sock.recv(65536)
        self.read += data
        return bool(data)

    def until(self, mark):
        while mark not in self.read:
            if not self.fill():
                return None
        found, _, self.read = self.read.partition(mark)
        return found

    def line(self):
        return self.until(b"\r\n")

    def take(self, size):
        while len(self.read) < size and self.fill():
            pass
        taken, self.read = self.read[:size], self.read[size:]
        return taken

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RawService:
    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.stopped = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """From here on connections are refused, and those that were open are gone."""
        self.stopped.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for sock in list(self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def revive(self):
        self.stopped.clear()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        listener = self.listener
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        connection = Connection(sock)
        takes_two = len(inspect.signature(self.answer).parameters) == 2
        try:
            while (head := connection.until(b"\r\n\r\n")) is not None:
                request = Request(head, connection)
                self.requests.append(request)
                said = self.answer(request, connection) if takes_two else self.answer(request)
                if said is None:
                    break
                connection.send(said)
        except OSError:
            pass  # whoever asked has gone
        finally:
            self.open.discard(sock)
            sock.close()


def reply(value, status=200, head=""):
    """An answer with a JSON body; bytes are sent as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return (f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{head}\r\n").encode() + body
