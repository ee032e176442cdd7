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

    version, says, tls = "1", HTTP1, False
    curl = ["--http1.1"]

    def setUp(self):
        super().setUp()
        self.service = sides.weir(SERVICE, self.folder, self.tls)
        self.url = self.start(self.service)
        self.ca = []
        if self.tls:
            self.ca = [peer.certificate(self.folder)[0]]
            self.url = f"https://localhost:{self.service.port}"

    def test_go(self):
        self.assertEqual(sides.by_go(self.url, version=self.version, ca=self.ca),
                         expected(self.says))

    def test_node(self):
        self.assertEqual(sides.by_node(self.url, version=self.version, ca=self.ca),
                         expected(self.says))

    def test_curl(self):
        options = self.curl + (["--cacert", self.ca[0]] if self.tls else [])
        self.assertEqual(sides.by_curl(self.url, self.folder, *options), expected(self.says))

    def through(self, proxy, ways=tuple(WAYS), **more):
        """A client that is known to be right, by way of the proxy, so that its client is tested."""
        started = proxy(self.folder, self.service.port, target_tls=self.tls, **more)
        self.assertEqual(sides.by_go(self.start(started), ways), expected(HTTP1, ways))

    def test_haproxy(self):
        self.through(sides.haproxy, target_http2=self.version == "2")

    def test_envoy(self):
        self.through(sides.envoy, target_http2=self.version == "2")

    def test_h2load(self):
        options = ["--max-concurrent-streams", "50"] if self.version == "2" else ["--h1"]
        spoken, right, wrong = sides.by_h2load(self.url + "/size/16384", *options)
        self.assertIn(spoken, ("h2", "h2c") if self.version == "2" else ("http/1.1",))
        self.assertEqual((right, wrong), (2000, 0))


class ServerHttp1(Server):
    """What only HTTP/1.1 is spoken with."""

    def test_nginx_as_it_comes(self):
        self.through(sides.nginx, ONE_WAY, buffered=True)

    def test_nginx_in_pieces(self):
        self.through(sides.nginx, ONE_WAY)


class ServerTls(ServerHttp1):
    """The same over TLS."""

    tls = True


class ServerHttp2(Server):
    """The same over HTTP/2 without TLS, by prior knowledge."""

    version, says = "2", HTTP2
    curl = ["--http2-prior-knowledge"]

    def test_nghttp(self):
        self.assertEqual(sides.by_nghttp(self.url, self.folder, self.ca), expected(HTTP2))


class ServerHttp2Tls(ServerHttp2):
    """The same over HTTP/2, chosen by ALPN."""

    tls = True
    curl = ["--http2"]


class Client(Sides):
    """weir's client, that asks other servers."""

    version, says, tls = "1", HTTP1, False

    def ask(self, server, ways=tuple(WAYS), **more):
        url, ca = self.start(server), []
        if self.tls:
            url, ca = f"https://localhost:{server.port}", [peer.certificate(self.folder)[0]]
        return sides.by_weir(CALLER, url, ways, self.version, ca, **more)

    def test_go(self):
        self.assertEqual(self.ask(sides.go(self.folder, self.tls)), expected(self.says))

    def test_node(self):
        server = sides.node(self.folder, self.version, self.tls)
        self.assertEqual(self.ask(server), expected(self.says))

    def test_several_at_once(self):
        self.assertEqual(self.ask(sides.go(self.folder, self.tls), at_once=8), expected(self.says))

    def through(self, proxy, ways=tuple(WAYS), **more):
        """By way of the proxy to a server that is known to be right, so that its server is
        tested."""
        service = self.enterContext(sides.go(self.folder))
        self.assertEqual(self.ask(proxy(self.folder, service.port, self.tls, **more), ways),
                         expected(self.says, ways))

    def test_nginx_as_it_comes(self):
        self.through(sides.nginx, ONE_WAY, http2=self.version == "2", buffered=True)

    def test_nginx_in_pieces(self):
        self.through(sides.nginx, ONE_WAY, http2=self.version == "2")

    def test_haproxy(self):
        self.through(sides.haproxy)

    def test_envoy(self):
        self.through(sides.envoy)


class ClientTls(Client):
    """The same over TLS."""

    tls = True


class ClientHttp2(Client):
    """The same over HTTP/2 without TLS, by prior knowledge."""

    version, says = "2", HTTP2

    def test_nghttpd(self):
        server, ways = sides.nghttpd(self.folder, self.tls), ("size", "back", "echo", "echo_pieces")
        # It does not tell the version; it speaks no other.
        self.assertEqual(self.ask(server, ways), expected("", ways))


class ClientHttp2Tls(ClientHttp2):
    """The same over HTTP/2, chosen by ALPN."""

    tls = True


del Server  # what the others have in common


if __name__ == "__main__":
    unittest.main(verbosity=2)
