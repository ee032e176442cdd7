"""weir's HTTP server and client beside others: bodies of 0, 1, 16 KiB and 10 MB, down, up and both
ways at once, with their length and without.

    test_peers.py SERVICE CALLER [unittest arguments]"""

import sys
import unittest
from pathlib import Path

for folder in ("support", "e2e"):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / folder))

import peer  # noqa: E402
import sides  # noqa: E402
from raw_service import RawService, reply  # noqa: E402
from sides import HTTP1, HTTP2, ONE_WAY, WAYS, expected  # noqa: E402

SERVICE, CALLER = sys.argv.pop(1), sys.argv.pop(1)


class Sides(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(peer.Folder())

    def start(self, server):
        """The URL of a server that runs until the test ends."""
        self.enterContext(server)
        return f"http://127.0.0.1:{server.port}"


class Control(Sides):
    """A server whose answer differs in one byte, or in its length, is told by each client."""

    def told(self, body):
        """What each client says of the body, as an answer of 16 KiB."""
        with RawService(lambda request: reply(body) if request.target.endswith("/16384")
                        else None) as service:
            for client in (lambda *asked: sides.by_weir(CALLER, *asked), sides.by_go,
                           sides.by_node):
                lines = client(service.url, ["size"])
                self.assertEqual(len(lines), len(sides.LENGTHS), lines)
                yield lines[sides.LENGTHS.index(16384)]

    def test_wrong_bytes_are_seen(self):
        right = sides.pattern(16384)

        # weir's client is told the version by the server, and this one does not say it.
        self.assertEqual(list(self.told(right)),
                         ["size 16384  ok"] + ["size 16384 HTTP/1.1 ok"] * 2)
        for line in self.told(right[:9999] + b"!" + right[10000:]):
            self.assertIn("another byte than expected after", line)
        for line in self.told(right[:-1]):
            self.assertIn("16383 bytes", line)


class Server(Sides):
    """weir's server, asked by other clients."""

    def setUp(self):
        super().setUp()
        self.service = sides.weir(SERVICE, self.folder)
        self.url = self.start(self.service)

    def test_go(self):
        self.assertEqual(sides.by_go(self.url), expected(HTTP1))

    def test_node(self):
        self.assertEqual(sides.by_node(self.url), expected(HTTP1))

    def test_curl(self):
        self.assertEqual(sides.by_curl(self.url, self.folder, "--http1.1"), expected(HTTP1))

    def through(self, proxy, ways=tuple(WAYS)):
        """A client that is known to be right, by way of the proxy, so that its client is tested."""
        self.assertEqual(sides.by_go(self.start(proxy), ways), expected(HTTP1, ways))

    def test_nginx_as_it_comes(self):
        self.through(sides.nginx(self.folder, self.service.port, buffered=True), ONE_WAY)

    def test_nginx_in_pieces(self):
        self.through(sides.nginx(self.folder, self.service.port), ONE_WAY)

    def test_haproxy(self):
        self.through(sides.haproxy(self.folder, self.service.port))

    def test_envoy(self):
        self.through(sides.envoy(self.folder, self.service.port))


class Client(Sides):
    """weir's client, that asks other servers."""

    version, says = "1", HTTP1

    def by_weir(self, server, ways=tuple(WAYS), **more):
        self.assertEqual(sides.by_weir(CALLER, self.start(server), ways, self.version, **more),
                         expected(self.says, ways))

    def test_go(self):
        self.by_weir(sides.go(self.folder))

    def test_node(self):
        self.by_weir(sides.node(self.folder, self.version))

    def test_several_at_once(self):
        self.by_weir(sides.go(self.folder), at_once=8)

    def through(self, proxy, ways=tuple(WAYS), **more):
        """By way of the proxy to a server that is known to be right, so that its server is
        tested."""
        service = self.enterContext(sides.go(self.folder))
        self.by_weir(proxy(self.folder, service.port, **more), ways)

    def test_nginx_as_it_comes(self):
        self.through(sides.nginx, ONE_WAY, buffered=True)

    def test_nginx_in_pieces(self):
        self.through(sides.nginx, ONE_WAY)

    def test_haproxy(self):
        self.through(sides.haproxy)

    def test_envoy(self):
        self.through(sides.envoy)


class ClientHttp2(Client):
    """The same over HTTP/2 without TLS, by prior knowledge."""

    version, says = "2", HTTP2

    def test_nginx_as_it_comes(self):
        self.through(sides.nginx, ONE_WAY, http2=True, buffered=True)

    def test_nginx_in_pieces(self):
        self.through(sides.nginx, ONE_WAY, http2=True)

    def test_nghttpd(self):
        for way in ("size", "back", "echo", "echo_pieces"):
            with self.subTest(way=way):
                told = sides.by_weir(CALLER, self.start(sides.nghttpd(self.folder)), [way], "2")
                # it does not tell the version
                self.assertEqual(told, expected("", [way]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
