"""What the gateway passes on: both bodies as they come, heads without what belongs to a hop."""

import hashlib
import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
from gateway import Gateway, service, until  # noqa: E402
from program import LIMIT_S  # noqa: E402
from raw_service import RawService, reply  # noqa: E402

WEIR = sys.argv.pop(1)
SEED = time.time_ns()
MIB = 1 << 20
# What 100 MiB that wait may add to the gateway's memory; ThreadSanitizer keeps four bytes more for
# each that is touched.
with open(WEIR, "rb") as program:
    GROWTH_KIB = 2048 * (5 if b"__tsan_init" in program.read() else 1)


class Passed:
    def __init__(self, answer, more="timeout: 2s", path="/users/*", timeout=None):
        self.service = RawService(answer)
        limit = f"  timeout: {timeout}\n" if timeout else ""
        self.gateway = Gateway(WEIR, service("users", self.service.url, more),
                               f"- path: {path}\n{limit}  proxy: {{ service: users }}\n")

    def __enter__(self):
        return self.gateway, self.service

    def __exit__(self, *fault):
        self.gateway.__exit__(*fault)
        self.service.kill()


class UnixService(threading.Thread):
    """Answers each request on a unix socket with its head."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)
        self.start()

    def run(self):
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            with stream, stream.makefile("rb") as file:
                while head := b"".join(iter(file.readline, b"\r\n")):
                    if not head.endswith(b"\r\n"):
                        break
                    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                                   % (len(head), head))


class Unix(unittest.TestCase):
    def test_a_service_may_be_behind_a_unix_socket(self):
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            upstream = UnixService(f"{folder}/s.sock")
            self.addCleanup(upstream.listener.close)
            routes = ("- path: /users/*\n  proxy: { service: users }\n"
                      "- path: /part/{id}\n  aggregate:\n"
                      "    one: { service: users, path: \"/x/{id}\", required: true }\n")
            with Gateway(WEIR, service("users", f"unix:{folder}/s.sock"), routes) as g:
                for _ in range(3):
                    status, _, body = g.get("/users/7?a=b")
                    self.assertEqual(status, 200)
                    self.assertTrue(body.startswith(b"GET /users/7?a=b HTTP/1.1\r\nHost: "), body)
                # The head is no JSON, so the part can't be used: it was asked for all the same.
                self.assertEqual(g.get("/part/7")[0], 502)
                upstream.listener.shutdown(socket.SHUT_RDWR)
            with Gateway(WEIR, service("users", f"unix:{folder}/nobody.sock"), routes) as g:
                self.assertEqual(g.get("/users/7")[0], 502)


class Heads(unittest.TestCase):
    def test_method_path_and_query_go_through_as_they_are(self):
        with Passed(lambda r: reply({"m": r.method, "t": r.target})) as (g, s):
            for method, target in (("GET", "/users/7"), ("DELETE", "/users/7/x?a=1&b=%20&c"),
                                   ("POST", "/users/a%2Fb?"), ("PATCH", "/users/%C3%A4;v=1"),
                                   ("PROPFIND", "/users/"), ("OPTIONS", "/users/x?//")):
                status, _, body = g.request(method, target)
                self.assertEqual(status, 200, (method, target, body))
                self.assertEqual(json.loads(body), {"m": method, "t": target})

    def test_what_belongs_to_a_hop_stays(self):
        with Passed(lambda r: reply(1, head="Connection: X-Mine, close\r\nX-Mine: 1\r\n"
                                            "Keep-Alive: timeout=5\r\nX-Kept: 2\r\n"
                                            "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n")) as (g, s):
            connection = g.connect()
            connection.putrequest("GET", "/users/1")
            for name, value in (("Connection", "X-Secret, keep-alive"), ("X-Secret", "1"),
                                ("Keep-Alive", "timeout=9"), ("TE", "trailers"), ("X-Open", "1"),
                                ("Proxy-Authorization", "Basic eA=="), ("Cookie", "k=v"),
                                ("X-Forwarded-For", "192.0.2.1"), ("Via", "1.0 first"),
                                ("Weir-Deadline-Ms", "999999")):
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.headers.get_all("Set-Cookie"), ["a=1", "b=2"])
            self.assertEqual(answer.headers["X-Kept"], "2")
            self.assertEqual(answer.headers["Via"], "1.1 weir")
            for name in ("X-Mine", "Keep-Alive", "Connection"):
                self.assertIsNone(answer.headers[name], name)
            connection.close()
            r = s.requests[0]
            for name in ("X-Secret", "Keep-Alive", "TE", "Proxy-Authorization", "Connection"):
                self.assertIsNone(r.get(name), name)
            self.assertEqual(r.all("Host"), [s.url.removeprefix("http://")])
            self.assertEqual(r.all("X-Forwarded-For"), ["192.0.2.1, 127.0.0.1"])
            self.assertEqual(r.all("X-Forwarded-Proto"), ["http"])
            self.assertEqual(r.all("X-Forwarded-Host"), ["%s:%d" % g.address])
            self.assertEqual(r.all("Via"), ["1.0 first, 1.1 weir"])
            self.assertEqual((r.get("X-Open"), r.get("Cookie")), ("1", "k=v"))
            self.assertLess(int(r.get("Weir-Deadline-Ms")), 2001)

    def test_framing_is_written_anew(self):
        """Chunks of a body arrive as a body; what looks like framing in fields does not."""
        with Passed(lambda r: reply({"body": r.body().decode(), "te": r.all("Transfer-Encoding"),
                                     "cl": r.all("Content-Length")})) as (g, _):
            client = socket.create_connection(g.address)
            client.sendall(b"POST /users/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                           b"\r\n1;ext=1\r\na\r\n2\r\nbc\r\n0\r\nX-Trailer: 1\r\n\r\n")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(json.loads(answer.read()),
                             {"body": "abc", "te": ["chunked"], "cl": []})
            client.close()

    def test_statuses_and_bodiless_answers(self):
        said = {"/users/204": b"HTTP/1.1 204 No Content\r\n\r\n",
                "/users/304": b"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
                "/users/302": reply(b"", 302, "Location: /x\r\n"),
                "/users/500": reply({"mine": 1}, 500),
                "/users/103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(3)}
        with Passed(lambda r: said[r.target]) as (g, _):
            self.assertEqual(g.get("/users/204")[0], 204)
            self.assertEqual((g.get("/users/304")[0], g.get("/users/304")[1]["ETag"]), (304, '"1"'))
            self.assertEqual(g.get("/users/302")[1]["Location"], "/x")
            status, fields, body = g.get("/users/500")
            self.assertEqual((status, body), (500, b'{"mine": 1}'))
            self.assertEqual(g.get("/users/103")[2], b"3")

    def test_head_has_the_length_and_nothing_else(self):
        with Passed(lambda r: b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n") as (g, s):
            connection = g.connect()
            for _ in range(2):
                connection.request("HEAD", "/users/1")
                answer = connection.getresponse()
                self.assertEqual((answer.status, answer.headers["Content-Length"]), (200, "123456"))
                self.assertEqual(answer.read(), b"")
            connection.close()

    def test_what_is_not_passed_on(self):
        with Passed(lambda r: reply(1)) as (g, s):
            self.assertEqual(g.request("TRACE", "/users/1")[0], 405)
            upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
            self.assertEqual(g.get("/users/1", headers=upgrade)[0], 501)
            self.assertEqual(s.requests, [])
            offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                     "HTTP2-Settings": "AAMAAABkAAQAAP__"}
            self.assertEqual(g.get("/users/1", headers=offer)[0], 200)
            self.assertEqual([s.requests[0].get(name) for name in offer], [None] * 3)
            self.assertEqual(g.get("/users/../admin")[0], 400)
            self.assertEqual(g.get("/other")[0], 404)

    def test_expect_is_answered_here(self):
        with Passed(lambda r: reply({"n": len(r.body()), "e": r.get("Expect")})) as (g, _):
            client = socket.create_connection(g.address, timeout=LIMIT_S)
            client.sendall(b"PUT /users/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                           b"Expect: 100-continue\r\n\r\n")
            self.assertIn(b"100 Continue", client.recv(100))
            client.sendall(b"abc")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(json.loads(answer.read()), {"n": 3, "e": None})
            client.close()


class Bodies(unittest.TestCase):
    def setUp(self):
        self.big = random.Random(SEED).randbytes(10 * MIB)

    def test_ten_mib_each_way(self):
        def answer(request):
            body = request.body()
            return (f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body[::-1]

        with Passed(answer, more="timeout: 20s") as (g, _):
            for chunked in (False, True):
                pieces = (self.big[i:i + 50000] for i in range(0, len(self.big), 50000))
                status, fields, body = g.request("POST", "/users/1",
                                                 body=pieces if chunked else self.big)
                self.assertEqual(status, 200)
                self.assertEqual(fields["Content-Length"], str(len(self.big)))
                self.assertEqual(hashlib.sha256(body).digest(),
                                 hashlib.sha256(self.big[::-1]).digest(), f"seed {SEED}")

    def test_of_unknown_length(self):
        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(self.big), 70001):
                piece = self.big[at:at + 70001]
                connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
            return b"0\r\n\r\n"

        with Passed(answer) as (g, _):
            _, fields, body = g.get("/users/1")
            self.assertEqual(fields["Transfer-Encoding"], "chunked")
            self.assertTrue(body == self.big, f"seed {SEED}")

    def test_until_the_end_of_the_connection(self):
        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self.big[:MIB])

        with Passed(answer) as (g, _):
            _, fields, body = g.get("/users/1")
            self.assertEqual(fields["Transfer-Encoding"], "chunked")
            self.assertTrue(body == self.big[:MIB])

    # Memory is looked at after a first body: what the loop keeps for all that follow, such
    # as the buffers that a ring lends to the kernel, and a sanitizer's shadow of it, is there.

    def test_a_slow_client_slows_the_service_down(self):
        sent, stop = [0], threading.Event()

        def answer(request, connection):
            if request.target == "/users/first":
                return reply(self.big)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
            while sent[0] < 200 * MIB and not stop.is_set():
                connection.send(self.big[:MIB])
                sent[0] += MIB
            return None

        with Passed(answer) as (g, _):
            self.assertTrue(g.get("/users/first")[2] == self.big)
            before = g.resident_kib()
            client = socket.create_connection(g.address, timeout=LIMIT_S)
            client.sendall(b"GET /users/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(1000)
            seen = -1

            def stuck():
                nonlocal seen
                same, seen = sent[0] == seen, sent[0]
                threading.Event().wait(0.3)
                return same and seen > 0
            until(stuck)
            self.assertLess(sent[0], 100 * MIB)
            self.assertLess(g.resident_kib() - before, GROWTH_KIB)
            stop.set()
            client.close()

    def test_a_slow_service_slows_the_client_down(self):
        go = threading.Event()

        def answer(request, connection):
            go.wait(LIMIT_S)
            return reply(request.skip_body())

        with Passed(answer, more="timeout: 20s") as (g, s):
            go.set()
            self.assertEqual(g.request("POST", "/users/1", body=self.big)[2],
                             str(len(self.big)).encode())
            go.clear()
            before = g.resident_kib()
            client = socket.create_connection(g.address, timeout=0.5)
            client.sendall(b"POST /users/1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                           % (100 * MIB))
            sent = 0
            try:
                while sent < 100 * MIB:
                    sent += client.send(self.big[:MIB])
            except TimeoutError:
                pass
            self.assertLess(sent, 60 * MIB)
            self.assertLess(g.resident_kib() - before, GROWTH_KIB)
            go.set()
            client.settimeout(LIMIT_S)
            while sent < 100 * MIB:
                sent += client.send(self.big[:min(MIB, 100 * MIB - sent)])
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.read(), str(100 * MIB).encode())
            client.close()

    def test_an_answer_before_the_body_was_read(self):
        def answer(_, connection):
            connection.send(reply({"too": "large"}, 413))
            connection.take(10)

        with Passed(answer) as (g, _):
            client = socket.create_connection(g.address, timeout=LIMIT_S)
            client.sendall(b"POST /users/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n12")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual((answer.status, answer.read()), (413, b'{"too": "large"}'))
            client.close()


class Failures(unittest.TestCase):
    def problem(self, g, path="/users/1", **more):
        status, fields, body = g.request(more.pop("method", "GET"), path, **more)
        self.assertEqual(fields["Content-Type"], "application/problem+json", body)
        problem = json.loads(body)
        self.assertIn("detail", problem)
        return status, problem["detail"]

    def test_before_the_head(self):
        silent = threading.Event()

        def reset(_, connection):
            connection.reset()

        cases = (
            (reset, 502, "broke off the connection"),
            (lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 502,
             "can't be used"),
            (lambda _: silent.wait(LIMIT_S) and None, 504, "no answer within 300 ms"),
        )
        for answer, status, cause in cases:
            with Passed(answer, more="timeout: 300ms") as (g, s):
                for body in (None, b"x" * 100000):
                    got, detail = self.problem(g, method="POST" if body else "GET", body=body)
                    self.assertEqual(got, status, detail)
                    self.assertIn("service `users` ", detail)
                    self.assertIn(cause, detail)
        silent.set()

    def test_refused_then_the_breaker(self):
        with Passed(lambda _: reply(1), more="breaker: { failures: 2, cooldown: 200ms }") as (g, s):
            s.kill()
            self.assertEqual(self.problem(g)[0], 502)
            self.assertEqual(self.problem(g)[0], 502)
            status, detail = self.problem(g)
            self.assertEqual(status, 503)
            self.assertIn("breaker", detail)
            s.revive()
            until(lambda: g.get("/users/1")[0] == 200)

    def test_a_service_that_dies_in_its_answer(self):
        """The client sees that the answer is not whole, however it is framed."""
        heads = (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000,
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 50000,
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        for head in heads:
            def answer(_, connection):
                connection.send(head)

            with Passed(answer) as (g, _):
                with self.assertRaises(http.client.IncompleteRead):
                    g.get("/users/1")
                self.assertEqual(g.get("/healthz", address=g.admin)[0], 200)
                self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)

    def test_a_client_that_leaves(self):
        gone = threading.Event()

        def answer(request, connection):
            connection.sock.settimeout(LIMIT_S)
            while connection.sock.recv(65536):
                pass
            gone.set()

        for sent in (b"GET /users/1 HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"POST /users/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"):
            gone.clear()
            with Passed(answer, more="timeout: 15s") as (g, s):
                client = socket.create_connection(g.address)
                client.sendall(sent)
                until(lambda: s.requests)
                client.close()
                self.assertTrue(gone.wait(LIMIT_S))

    def test_a_malformed_body_is_the_clients_fault(self):
        ended = threading.Event()

        def answer(request, connection):
            connection.sock.settimeout(LIMIT_S)
            data = b""
            while piece := connection.sock.recv(65536):
                data += piece
            self.assertFalse(data.endswith(b"0\r\n\r\n"))
            ended.set()

        with Passed(answer, more="timeout: 15s") as (g, s):
            client = socket.create_connection(g.address, timeout=LIMIT_S)
            client.sendall(b"POST /users/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"3\r\nabc\r\nzz\r\n")
            answer = http.client.HTTPResponse(client)
            answer.begin()
            self.assertEqual(answer.status, 400)
            self.assertTrue(ended.wait(LIMIT_S))
            self.assertEqual(g.metric('weir_gateway_service_requests_total{service="users",'
                                      'outcome="cancelled"}'), 1)
            client.close()

    def test_the_routes_time_is_for_all(self):
        stop = threading.Event()

        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.02):
                connection.send(b"x")

        with Passed(answer, more="timeout: 300ms", timeout="500ms") as (g, _):
            with self.assertRaises(http.client.IncompleteRead):
                g.get("/users/1")
            stop.set()


if __name__ == "__main__":
    print(f"seed {SEED}")
    unittest.main()
