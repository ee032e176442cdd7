"""Clients and services that mean harm, or are only odd: what one of them does stays with it."""

import http.client
import json
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from gateway import Gateway, service, until  # noqa: E402
from program import LIMIT_S  # noqa: E402
from raw_service import RawService, reply  # noqa: E402

WEIR = sys.argv.pop(1)


class Proxied:
    def __init__(self, answer, more="timeout: 2s", flags=()):
        self.service = RawService(answer)
        self.gateway = Gateway(WEIR, service("users", self.service.url, more),
                               "- path: /users/*\n  proxy: { service: users }\n", *flags)

    def __enter__(self):
        return self.gateway, self.service

    def __exit__(self, *fault):
        self.gateway.__exit__(*fault)
        self.service.kill()


def merged(services, parts, timeout=None):
    limit = f"  timeout: {timeout}\n" if timeout else ""
    return f"- path: /api/{{id}}\n{limit}  aggregate:\n" + "".join(f"    {p}\n" for p in parts)


def raw(g, data, method="GET"):
    """(status, headers, body) for bytes on a connection of their own."""
    with socket.create_connection(g.address, timeout=LIMIT_S) as client:
        client.sendall(data)
        answer = http.client.HTTPResponse(client, method=method)
        answer.begin()
        return answer.status, answer.headers, answer.read()


class Clients(unittest.TestCase):
    """No request opens the breaker of a service that is well."""

    def stays_well(self, g, s, data, statuses):
        for _ in range(6):
            status, _, body = raw(g, data)
            self.assertIn(status, statuses, (data[:80], body))
        status, _, body = g.get("/users/well")
        self.assertEqual(status, 200, (data[:80], body))
        self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)

    def test_heads_that_cannot_be_passed_on(self):
        with Proxied(lambda r: reply(1)) as (g, s):
            for path in ("|", "{x}", "`", "^", "\"", "<>", "\\", "%", "%zz", "a#b", "[",
                         "x" * 16380, "x" * 20000):
                self.stays_well(g, s, f"GET /users/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                                (200, 400, 414, 431))
            cookies = b"Cookie: " + b"c" * 7000 + b"\r\n"
            for count in (1, 2, 3, 4):
                self.stays_well(g, s, b"GET /users/1 HTTP/1.1\r\nHost: x\r\n" + cookies * count +
                                b"\r\n", (200, 400, 431))
            many = b"".join(b"X-%d: 1\r\n" % i for i in range(98))
            self.stays_well(g, s, b"GET /users/1 HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n",
                            (200, 400, 431))
            for odd in (b"X: \xff\xfe", b"X: a\tb", b"Connection: host, cookie, via, close",
                        b"Connection: ,,,", b"Proxy-Connection: keep-alive", b"Trailer: X",
                        b"Content-Length: 0", b"X-Request-ID: " + b"a" * 5000,
                        b"Traceparent: 00-zz", b"Keep-Alive: x", b"Upgrade: h2c",
                        b"HTTP2-Settings: x"):
                self.stays_well(g, s, b"GET /users/1 HTTP/1.1\r\nHost: x\r\n" + odd + b"\r\n\r\n",
                                (200, 400, 431))

    def test_calls_that_wait_for_a_connection_do_not_open_it(self):
        gate = threading.Event()

        def hold(connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1")
            gate.wait(LIMIT_S)
            return b"2"
        with Proxied(lambda r, c: hold(c) if r.target == "/users/held" else reply(1),
                     more="timeout: 300ms, max_connections: 1, "
                          "breaker: { failures: 2, cooldown: 60s }") as (g, s):
            got = []
            holder = threading.Thread(target=lambda: got.append(g.get("/users/held")))
            holder.start()
            until(lambda: s.requests)
            asks = [threading.Thread(target=lambda: got.append(g.get("/users/1")))
                    for _ in range(5)]
            for one in asks:
                one.start()
            for one in asks:
                one.join(LIMIT_S)
            self.assertEqual([status for status, _, _ in got], [504] * 5, got)
            for _, _, body in got:
                self.assertIn("no connection free in time", json.loads(body)["detail"])
            gate.set()
            holder.join(LIMIT_S)
            self.assertEqual(got[-1][2], b"12")
            self.assertEqual(g.get("/users/1")[0], 200)
            self.assertEqual(g.metric('weir_gateway_breaker_state{service="users"}'), 0)

    def test_the_target_stays_below_the_route(self):
        with Proxied(lambda r: reply({"t": r.target})) as (g, s):
            for path in ("/users/../admin", "/users/%2e%2e/admin", "/users/.%2E/admin",
                         "/users/x/../../admin", "/users/./x", "/users/..", "/users/%2e"):
                status, _, body = raw(g, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                self.assertIn(status, (400, 404), (path, body))
            self.assertEqual(s.requests, [])
            status, _, body = raw(g, b"GET http://evil.example/users/1?a=/../b HTTP/1.1\r\n"
                                     b"Host: evil.example\r\n\r\n")
            self.assertEqual((status, body), (200, b'{"t": "/users/1?a=/../b"}'))
            self.assertEqual(s.requests[0].all("Host"), [s.url.removeprefix("http://")])
            self.assertEqual(s.requests[0].all("X-Forwarded-Host"), ["evil.example"])
            for line in (b"CONNECT x:80", b"OPTIONS *"):
                status, _, body = raw(g, line + b" HTTP/1.1\r\nHost: x:80\r\n\r\n")
                self.assertIn(status, (200, 204, 400, 404, 405, 501), (line, body))
            self.assertEqual(len(s.requests), 1)

    def test_smuggling(self):
        with Proxied(lambda r: reply(1)) as (g, s):
            inner = b"GET /users/admin HTTP/1.1\r\nHost: x\r\n\r\n"
            for fields in (b"Content-Length: 5\r\nTransfer-Encoding: chunked",
                           b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                           b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity",
                           b"Transfer-Encoding:\x0bchunked",
                           b"Content-Length: 5\r\nContent-Length: 6",
                           b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length : 5",
                           b" Content-Length: 5", b"X: a\r\n Content-Length: 5",
                           b"X: a\rTransfer-Encoding: chunked"):
                data = b"POST /users/1 HTTP/1.1\r\nHost: x\r\n" + fields
                data += b"\r\n\r\n0\r\n\r\n" + inner
                with socket.create_connection(g.address, timeout=LIMIT_S) as client:
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                    said = b""
                    while piece := client.recv(65536):
                        said += piece
                self.assertIn(said[:12], (b"HTTP/1.1 400", b"HTTP/1.1 501"), fields)
                self.assertEqual(said.count(b"HTTP/1.1 "), 1, fields)
            self.assertEqual(s.requests, [])


class Services(unittest.TestCase):
    def test_heads_that_cannot_be_passed_back(self):
        """A head too large for an answer is the service's fault, and nothing of it is told."""
        wide = "Content-Encoding: gzip\r\nSet-Cookie: a=1\r\n"
        said = {"/users/fields": reply(1, head=wide + "".join(f"X-{i}: 1\r\n" for i in range(90))),
                "/users/bytes": reply(1, head=wide + f"X-A: {'a' * 7000}\r\n" * 4),
                "/users/type": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: " +
                               b"a" * 2000 + b"\r\nContent-Length: 1\r\n\r\n1"}
        with Proxied(lambda r: said[r.target]) as (g, _):
            for path in said:
                status, fields, body = g.get(path)
                if status == 200:
                    self.assertEqual(body, b"1", path)
                    continue
                self.assertEqual(status, 502, (path, body))
                self.assertIn("can't be used", json.loads(body)["detail"])
                self.assertIsNone(fields["Content-Encoding"])
                self.assertIsNone(fields["Set-Cookie"])
            self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)

    def test_answers_without_bodies(self):
        ok = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
        said = {"/users/a": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n",
                "/users/b": b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
                "/users/c": b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + ok,
                "/users/d": b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
                "/users/e": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "/users/f": b"HTTP/1.1 204 No Content\r\n\r\n"}
        with Proxied(lambda r: said[r.target]) as (g, s):
            connection = g.connect()
            for method in ("GET", "HEAD"):
                for path in said:
                    if method == "HEAD" and path == "/users/c":
                        continue
                    connection.request(method, path)
                    answer = connection.getresponse()
                    self.assertLess(answer.status, 400, (method, path))
                    self.assertEqual(answer.read(), b"1" if path == "/users/c" else b"")
            connection.close()
            self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)

    def test_head_of_every_size(self):
        for head in (b"Content-Length: 70000", b"Content-Length: 2147483648",
                     b"Content-Length: 9223372036854775807", b"Transfer-Encoding: chunked",
                     b"X: 1"):
            with Proxied(lambda r: b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n") as (g, _):
                connection = g.connect()
                for _ in range(2):
                    connection.request("HEAD", "/users/1")
                    answer = connection.getresponse()
                    self.assertEqual((answer.status, answer.read()), (200, b""), head)
                connection.close()

    def test_splitting(self):
        """What frames an answer twice, or ends it early, is refused; the rest is not passed on."""
        second = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        bad = (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1",
               b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 1\r\n\r\n1",
               b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\nContent-Length: 1\r\n\r\n1",
               b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 1\r\n\r\n1",
               b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
               b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil",
               b"HTTP/1.1 999 What\r\nContent-Length: 1\r\n\r\n1",
               b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"\r\n" * 100)
        for one in bad:
            with Proxied(lambda r: one + second) as (g, _):
                status, fields, body = g.get("/users/1")
                self.assertEqual(status, 502, (one, body))
                self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)
        with Proxied(lambda r: reply(1) + second) as (g, s):
            connection = g.connect()
            for _ in range(3):
                connection.request("GET", "/users/1")
                answer = connection.getresponse()
                self.assertIn((answer.status, answer.read() == b"1"), ((200, True), (502, False)))
            connection.close()

    def test_an_answer_to_nothing_is_not_the_next_ones(self):
        """What comes on a kept connection that nobody asked for ends it."""
        late = threading.Event()

        def answer(request, connection):
            first = not late.is_set()  # before the answer lets the test go on
            connection.send(reply({"t": request.target}))
            if first:
                late.wait(LIMIT_S)
                connection.send(reply({"evil": 1}))
                sent.set()
            return b""

        sent = threading.Event()
        with Proxied(answer) as (g, s):
            self.assertEqual(g.get("/users/1")[2], b'{"t": "/users/1"}')
            until(lambda: g.metric('weir_gateway_pool_idle{service="users"}') == 1)
            late.set()
            self.assertTrue(sent.wait(LIMIT_S))
            for i in range(3):
                self.assertEqual(g.get(f"/users/{i}")[2], b'{"t": "/users/%d"}' % i)

    def test_endless_heads(self):
        heads = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n")
        for first, then in ((heads[0], heads[0]), (heads[1], heads[2])):
            def answer(_, connection):
                connection.send(first)
                while True:
                    connection.send(then * 100)

            with Proxied(answer, more="timeout: 15s") as (g, _):
                status, _, body = g.get("/users/1")
                self.assertEqual(status, 502, body)
                self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)

    def test_a_connection_with_half_a_request_is_not_used_again(self):
        def answer(request, connection):
            if request.method == "POST":
                connection.send(reply({"early": 1}))
                return b""
            return reply({"t": request.target})

        with Proxied(answer) as (g, s):
            for framing in (b"Content-Length: 1000\r\n\r\nabc",
                            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
                with socket.create_connection(g.address, timeout=LIMIT_S) as client:
                    client.sendall(b"POST /users/1 HTTP/1.1\r\nHost: x\r\n" + framing)
                    one = http.client.HTTPResponse(client)
                    one.begin()
                    self.assertEqual(one.read(), b'{"early": 1}')
                self.assertEqual(g.get("/users/2")[2], b'{"t": "/users/2"}')
            until(lambda: g.metric('weir_gateway_pool_held{service="users"}') == 0)


class Parts(unittest.TestCase):
    def one(self, body, status=200):
        with RawService(lambda r: reply(body)) as s:
            parts = ["a: { service: users, path: /x, fallback: 0 }"]
            with Gateway(WEIR, service("users", s.url, "timeout: 5s"), merged(1, parts)) as g:
                return g.get("/api/1")

    def test_bodies(self):
        deep = b"[" * 100000 + b"]" * 100000
        good = (b" 1 \r\n", b'{"a":1,"a":2}', b'"' + b"x" * 3000000 + b'"', b'"\\u0000"',
                b"-0.0e-0")
        bad = (b"\xef\xbb\xbf1", b"NaN", b"[1,]", b"// x\n1", b"'a'", b"\"\xff\"", b"01", b"",
               b" ", b"1 2", b"\"\x01\"", b"[" * 100000, b"\"\\ud800\"",
               b'"' + b"x" * (5 << 20) + b'"',
               b"\x00", b"1\x00")
        for body in good:
            status, fields, got = self.one(body)
            self.assertEqual((status, fields["Weir-Degraded"]), (200, None), body[:40])
            self.assertTrue(got == b'{"a":' + body + b"}", body[:40])
        for body in bad:
            status, fields, got = self.one(body)
            self.assertEqual((status, fields["Weir-Degraded"], got), (200, "a", b'{"a":0}'),
                             body[:40])
        status, fields, got = self.one(deep)
        self.assertEqual(status, 200)

    def test_many_degraded_parts_with_long_names(self):
        names = [f"p{i:02}" + "x" * 61 for i in range(64)]
        with RawService(lambda r: reply({}, 500)) as s:
            parts = [f"{name}: {{ service: users, path: /x }}" for name in names]
            with Gateway(WEIR, service("users", s.url), merged(1, parts)) as g:
                status, fields, body = g.get("/api/1")
                self.assertEqual(status, 200, body)
                self.assertEqual(fields["Weir-Degraded"], ", ".join(names))
                self.assertEqual(json.loads(body), dict.fromkeys(names))

    def test_parameters_side_by_side(self):
        with RawService(lambda r: reply(1)) as s:
            routes = ("- path: /a/{x}/{y}\n  aggregate:\n"
                      "    a: { service: users, path: \"/v/{x}{y}/s\", required: true }\n"
                      "- path: /b/{x}\n  aggregate:\n"
                      "    a: { service: users, path: \"/v/.{x}\", required: true }\n"
                      "- path: /c/{x}\n  aggregate:\n"
                      "    a: { service: users, path: \"/v/%2e{x}\", required: true }\n")
            with Gateway(WEIR, service("users", s.url), routes) as g:
                for path in ("/a/%2e/%2e", "/b/%2e", "/c/%2e"):
                    self.assertEqual(g.get(path)[0], 400, path)
                self.assertEqual(s.requests, [])

    def test_two_parts_of_a_service_that_recovers(self):
        """Both are required: the breaker's one probe must not be given back each time."""
        well = threading.Event()
        parts = ["a: { service: users, path: /x, required: true }",
                 "b: { service: users, path: /y, required: true }"]
        more = "timeout: 2s, breaker: { failures: 2, cooldown: 50ms }"
        with RawService(lambda r: reply(1) if well.is_set() else reply({}, 500)) as s:
            with Gateway(WEIR, service("users", s.url, more), merged(1, parts)) as g:
                for _ in range(4):
                    g.get("/api/1")
                well.set()
                got = until(lambda: (lambda a: a[0] == 200 and a)(g.get("/api/1")), limit_s=3)
                self.assertEqual(got[2], b'{"a":1,"b":1}')

    def test_a_hundred_clients_and_one_connection(self):
        with RawService(lambda r: reply(r.target)) as s:
            parts = ["a: { service: users, path: \"/x/{id}\", required: true }",
                     "b: { service: users, path: \"/y/{id}\", fallback: 0 }"]
            with Gateway(WEIR, service("users", s.url, "timeout: 10s, max_connections: 1"),
                         merged(1, parts, "15s")) as g:
                got, lock = {}, threading.Lock()

                def ask(i):
                    said = g.get(f"/api/{i}")
                    with lock:
                        got[i] = (said[0], said[2])
                asks = [threading.Thread(target=ask, args=(i,)) for i in range(100)]
                for one in asks:
                    one.start()
                for one in asks:
                    one.join(LIMIT_S)
                self.assertEqual(got, {i: (200, b'{"a":"/x/%d","b":"/y/%d"}' % (i, i))
                                       for i in range(100)})
                self.assertLessEqual(len({r.connection for r in s.requests}), 1)
                for name in ("held", "waiting"):
                    self.assertEqual(g.metric(f'weir_gateway_pool_{name}{{service="users"}}'), 0)

    def test_clients_that_leave_give_all_back(self):
        """Some with a connection, some in line for one, some while their probe is under way."""
        gate = threading.Event()

        def answer(request, connection):
            gate.wait(LIMIT_S)
            return reply(1)

        with RawService(answer) as s:
            parts = ["a: { service: users, path: \"/x/{id}\", required: true }",
                     "b: { service: users, path: \"/y/{id}\" }"]
            routes = merged(1, parts) + "- path: /users/*\n  proxy: { service: users }\n"
            with Gateway(WEIR, service("users", s.url, "timeout: 15s, max_connections: 3"),
                         routes, "--loops", "2") as g:
                clients = []
                for i in range(40):
                    client = socket.create_connection(g.address, timeout=LIMIT_S)
                    path = f"/api/{i}" if i % 2 else f"/users/{i}"
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    clients.append(client)
                until(lambda: len(s.requests) == 3)
                for client in clients:
                    client.close()
                for name in ("held", "waiting"):
                    until(lambda: g.metric(f'weir_gateway_pool_{name}{{service="users"}}') == 0)
                gate.set()
                self.assertEqual(g.get("/api/7")[0], 200)
                self.assertEqual(g.metric('weir_gateway_breaker_state{service="users"}'), 0)
                self.assertEqual(g.end(), 0)

    def test_one_probe_under_load(self):
        well, asked, lock = threading.Event(), [], threading.Lock()
        gate = threading.Event()

        def answer(request):
            if not well.is_set():
                return reply({}, 500)
            with lock:
                asked.append(1)
            gate.wait(LIMIT_S)
            return reply(1)

        parts = ["a: { service: users, path: /x, fallback: 0 }"]
        more = "timeout: 15s, breaker: { failures: 2, cooldown: 100ms }"
        with RawService(answer) as s:
            with Gateway(WEIR, service("users", s.url, more), merged(1, parts),
                         "--loops", "2") as g:
                for _ in range(3):
                    g.get("/api/1")
                well.set()
                done = []
                asks = [threading.Thread(target=lambda: [done.append(g.get("/api/1"))
                                                         for _ in range(20)]) for _ in range(20)]
                for one in asks:
                    one.start()
                until(lambda: asked)
                until(lambda: len(done) >= 19 * 20)
                self.assertEqual(len(asked), 1)
                gate.set()
                for one in asks:
                    one.join(LIMIT_S)


class Ends(unittest.TestCase):
    def test_sigterm_while_an_answer_streams(self):
        go = threading.Event()

        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 100000)
            go.wait(LIMIT_S)
            return b"b" * 100000

        with Proxied(answer) as (g, _):
            with socket.create_connection(g.address, timeout=LIMIT_S) as client:
                client.sendall(b"GET /users/1 HTTP/1.1\r\nHost: x\r\n\r\n")
                one = http.client.HTTPResponse(client)
                one.begin()
                self.assertEqual(len(one.read(50000)), 50000)
                g.signal()
                g.wait_line("draining 1 request")
                go.set()
                self.assertEqual(len(one.read()), 150000)
            self.assertEqual(g.process.wait(LIMIT_S), 0)

    def test_sigterm_cuts_what_does_not_end(self):
        stop = threading.Event()

        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not stop.wait(0.01):
                connection.send(b"1\r\nx\r\n")

        with Proxied(answer, flags=("--grace", "300ms")) as (g, s):
            with socket.create_connection(g.address, timeout=LIMIT_S) as client:
                client.sendall(b"GET /users/1 HTTP/1.1\r\nHost: x\r\n\r\n")
                one = http.client.HTTPResponse(client)
                one.begin()
                one.read(2)
                g.signal()
                with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                    one.read()
            g.process.wait(LIMIT_S)
            stop.set()


if __name__ == "__main__":
    unittest.main()
