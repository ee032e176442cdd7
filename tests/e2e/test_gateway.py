"""The gateway answers with what its services say, and with what is right when they fail."""

import http.client
import json
import random
import socket
import sys
import threading
import time
import unittest
from signal import SIGKILL, SIGTERM

sys.dont_write_bytecode = True
from gateway import Gateway, service, until  # noqa: E402
from program import LIMIT_S  # noqa: E402
from raw_service import RawService, reply  # noqa: E402

WEIR = sys.argv.pop(1)
SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else time.time_ns()


def aggregate(path, parts, timeout=None):
    limit = f"  timeout: {timeout}\n" if timeout else ""
    return f"- path: {path}\n{limit}  aggregate:\n" + "".join(f"    {part}\n" for part in parts)


class OnePart:
    """A gateway with one service and one part of it, required or not."""

    def __init__(self, answer, required=True, more="timeout: 300ms", part="", timeout=None):
        self.service = RawService(answer)
        kind = "required: true" if required else "fallback: { none: true }"
        self.gateway = Gateway(
            WEIR, service("users", self.service.url, more),
            aggregate("/api/{id}", [f"user: {{ service: users, path: \"/users/{{id}}\", {kind} }}",
                                    *([part] if part else [])], timeout))

    def __enter__(self):
        return self.gateway, self.service

    def __exit__(self, *fault):
        self.gateway.__exit__(*fault)
        self.service.kill()


class Aggregates(unittest.TestCase):
    def test_parts_come_in_declared_order(self):
        chance = random.Random(SEED)
        names = [f"part{i}" for i in range(10)]
        wait = threading.Event()

        def answer(request):
            wait.wait(chance.random() * 0.05)
            return reply({"asked": request.target})

        with RawService(answer) as s:
            services = "".join(service(name, s.url) for name in names)
            parts = [f"{name}: {{ service: {name}, path: \"/{name}/{{id}}\", required: true }}"
                     for name in names]
            with Gateway(WEIR, services, aggregate("/api/{id}", parts)) as g:
                for i in range(20):
                    status, fields, body = g.get(f"/api/{i}")
                    self.assertEqual(status, 200, f"seed {SEED}: {body}")
                    self.assertEqual(list(json.loads(body)), names, f"seed {SEED}")
                    self.assertEqual(json.loads(body)["part3"], {"asked": f"/part3/{i}"})
                    self.assertEqual(fields["Content-Type"], "application/json")
                    self.assertIsNone(fields["Weir-Degraded"])
                self.assertEqual(g.end(SIGTERM), 0)

    def test_bodies_are_spliced_as_bytes(self):
        odd = b"{ \"a\" :  1.50e+00,\"b\":\"\\u00e4\" , \"big\":123456789012345678901234567890 }"
        with OnePart(lambda request: reply(odd)) as (g, _):
            self.assertEqual(g.get("/api/1")[2], b"{\"user\":" + odd + b"}")

    def test_calls_go_out_at_once(self):
        met = threading.Barrier(3, timeout=LIMIT_S)

        def answer(_):
            met.wait()  # all three are here, or none is answered
            return reply(1)

        with RawService(answer) as s:
            parts = [f"p{i}: {{ service: users, path: /x, required: true }}" for i in range(3)]
            with Gateway(WEIR, service("users", s.url), aggregate("/api", parts)) as g:
                self.assertEqual(g.get("/api")[2], b'{"p0":1,"p1":1,"p2":1}')

    def test_what_goes_along(self):
        with OnePart(lambda request: reply({})) as (g, s):
            trace = "0af7651916cd43dd8448eb211c80319c"
            fields = g.get("/api/1", headers={"X-Request-ID": "mine-1", "Traceparent":
                                              f"00-{trace}-b7ad6b7169203331-01"})[1]
            asked = s.requests[0]
            self.assertEqual(asked.get("X-Request-ID"), "mine-1")
            self.assertEqual(fields["X-Request-ID"], "mine-1")
            self.assertIn(trace, asked.get("Traceparent"))
            self.assertLessEqual(int(asked.get("Weir-Deadline-Ms")), 300)
            self.assertEqual(asked.get("Host"), s.url.removeprefix("http://"))


class Parameters(unittest.TestCase):
    def check(self, sent, path, query):
        with RawService(lambda request: reply(1)) as s:
            parts = ["a: { service: users, path: \"/users/{id}/x\", required: true }",
                     "b: { service: users, path: \"/find?q={id}&limit=1\", required: true }"]
            with Gateway(WEIR, service("users", s.url), aggregate("/api/{id}", parts)) as g:
                for one, a, b in zip(sent, path, query):
                    s.requests.clear()
                    status, _, body = g.get(f"/api/{one}")
                    self.assertEqual(status, 200, (one, body))
                    self.assertEqual(sorted(r.target for r in s.requests),
                                     sorted([f"/users/{a}/x", f"/find?q={b}&limit=1"]))

    def test_what_is_in_them_never_changes_the_target(self):
        sent = ["7", "a%2Fb", "a%3Fb", "a%26b%3Dc", "a%20b", "%C3%A4%E2%82%AC", "a%23b", "..%2F..",
                "a+b", "%25", "%2E%2E%2Fadmin", "a;b", "x%0D%0AHost:%20evil", "...", "%22%5C"]
        seen = ["7", "a%2Fb", "a%3Fb", "a%26b%3Dc", "a%20b", "%C3%A4%E2%82%AC", "a%23b", "..%2F..",
                "a%2Bb", "%25", "..%2Fadmin", "a%3Bb", "x%0D%0AHost%3A%20evil", "...", "%22%5C"]
        self.check(sent, seen, seen)

    def test_dot_segments_are_refused(self):
        with OnePart(lambda request: reply(1)) as (g, s):
            for one in ("..", ".", "%2e%2e", "%2E", ".%2e"):
                status = g.get(f"/api/{one}")[0]
                self.assertEqual(status, 400, one)
            self.assertEqual(s.requests, [])


class Failures(unittest.TestCase):
    """Each way in which a service can fail, for a required part and for another."""

    def check(self, answer, status, cause, more="timeout: 300ms"):
        with OnePart(answer, required=True, more=more) as (g, s):
            got, fields, body = g.get("/api/7")
            self.assertEqual(got, status, body)
            self.assertEqual(fields["Content-Type"], "application/problem+json")
            problem = json.loads(body)
            self.assertEqual(problem["status"], status)
            self.assertIn("`user`", problem["detail"])
            self.assertIn("service `users`", problem["detail"])
            self.assertIn(cause, problem["detail"])
            self.assertEqual(g.end(SIGTERM), 0)
            lines = [line for line in g.lines if line and "/api/7" in line]
            self.assertEqual(len(lines), 1, lines)
            self.assertIn("users", json.loads(lines[0])["error.message"])
        with OnePart(answer, required=False, more=more) as (g, s):
            got, fields, body = g.get("/api/7")
            self.assertEqual((got, body), (200, b'{"user":{"none":true}}'))
            self.assertEqual(fields["Weir-Degraded"], "user")

    def test_reset(self):
        def answer(_, connection):
            connection.reset()
        self.check(answer, 502, "broke off the connection")

    def test_closed_without_an_answer(self):
        self.check(lambda _: None, 502, "broke off the connection")

    def test_garbage(self):
        def answer(_, connection):
            connection.send(b"\x00\x01\x02 what is this\r\n\r\n" * 3)
        self.check(answer, 502, "can't be used")

    def test_half_a_head(self):
        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-")
        self.check(answer, 502, "broke off the connection")

    def test_half_an_answer(self):
        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":")
        self.check(answer, 502, "broke off the connection")

    def test_endless_body(self):
        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
            while True:
                connection.send(piece)
        self.check(answer, 502, "can't be used", more="timeout: 10s")

    def test_never(self):
        silent = threading.Event()

        def answer(_):
            silent.wait(LIMIT_S)
        try:
            self.check(answer, 504, "no answer within 300 ms")
        finally:
            silent.set()

    def test_trickle(self):
        stop = threading.Event()

        def answer(_, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                connection.send(b" ")
        try:
            self.check(answer, 504, "no answer within 300 ms")
        finally:
            stop.set()

    def test_error_statuses(self):
        self.check(lambda _: reply({}, 500), 502, "answered 500")
        self.check(lambda _: reply({}, 404), 502, "answered 404")
        self.check(lambda _: reply({}, 302, "Location: /x\r\n"), 502, "answered 302")

    def test_not_json(self):
        self.check(lambda _: reply(b"{\"a\":1"), 502, "can't be used")
        self.check(lambda _: reply(b"1} , \"admin\": {\"x\":1"), 502, "can't be used")
        self.check(lambda _: reply(b""), 502, "can't be used")

    def test_refused(self):
        with OnePart(lambda _: reply(1)) as (g, s):
            s.kill()
            status, _, body = g.get("/api/7")
            self.assertEqual(status, 502)
            self.assertIn("can't be reached", json.loads(body)["detail"])

    def test_pool_full(self):
        gate = threading.Event()

        def answer(request):
            gate.wait(LIMIT_S)
            return reply(1)

        with OnePart(answer, more="timeout: 500ms, max_connections: 1", timeout="700ms") as (g, s):
            first = threading.Thread(target=g.get, args=("/api/1",))
            first.start()
            until(lambda: s.requests)
            status, _, body = g.get("/api/2")  # waits for the first one's connection
            self.assertEqual(status, 504)
            gate.set()
            first.join()
            self.assertEqual(g.metric('weir_gateway_pool_waiting{service="users"}'), 0)

    def test_a_required_part_cancels_the_others(self):
        gate = threading.Event()
        gone = threading.Event()

        def answer(request, connection):
            if request.target == "/fails":
                until(lambda: len(s.requests) == 2)
                return reply({}, 500)
            connection.sock.settimeout(LIMIT_S)
            if connection.sock.recv(1) == b"":
                gone.set()
            return None

        with RawService(answer) as s:
            parts = ["slow: { service: users, path: /slow }",
                     "fails: { service: users, path: /fails, required: true }"]
            with Gateway(WEIR, service("users", s.url, "timeout: 15s"),
                         aggregate("/api", parts)) as g:
                began = time.monotonic()
                status, _, body = g.get("/api")
                self.assertEqual(status, 502, body)
                self.assertLess(time.monotonic() - began, 10)
                self.assertTrue(gone.wait(LIMIT_S))
        gate.set()

    def test_the_routes_time(self):
        silent = threading.Event()
        parts = ["a: { service: good, path: /x, required: true }",
                 "b: { service: never, path: /x, fallback: 0 }"]
        with RawService(lambda _: reply(1)) as good, \
             RawService(lambda _: silent.wait(LIMIT_S) and None) as never:
            services = service("good", good.url, "timeout: 200ms") + \
                service("never", never.url, "max_connections: 2")
            with Gateway(WEIR, services, aggregate("/api", parts, "300ms")) as g:
                status, fields, body = g.get("/api")
                self.assertEqual((status, body, fields["Weir-Degraded"]),
                                 (200, b'{"a":1,"b":0}', "b"))
            silent.set()

    def test_degraded_parts_are_listed_in_order(self):
        def answer(request):
            return reply({}, 500) if request.target in ("/p3", "/p1") else reply(request.target)

        with RawService(answer) as s:
            parts = [f"p{i}: {{ service: users, path: /p{i}, fallback: {i} }}" for i in range(5)]
            with Gateway(WEIR, service("users", s.url), aggregate("/api", parts)) as g:
                _, fields, body = g.get("/api")
                self.assertEqual(fields["Weir-Degraded"], "p1, p3")
                self.assertEqual(json.loads(body),
                                 {"p0": "/p0", "p1": 1, "p2": "/p2", "p3": 3, "p4": "/p4"})

    def test_a_client_that_leaves_ends_the_calls(self):
        gone = threading.Event()

        def answer(request, connection):
            connection.sock.settimeout(LIMIT_S)
            if connection.sock.recv(1) == b"":
                gone.set()

        with OnePart(answer, more="timeout: 15s") as (g, s):
            client = socket.create_connection(g.address)
            client.sendall(b"GET /api/1 HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: s.requests)
            client.close()
            self.assertTrue(gone.wait(LIMIT_S))


class Breakers(unittest.TestCase):
    MORE = "timeout: 2s, breaker: { failures: 3, cooldown: 300ms }"

    def state(self, g):
        return g.metric('weir_gateway_breaker_state{service="users"}')

    def test_opens_and_recovers_with_one_probe(self):
        works = threading.Event()

        def answer(_):
            return reply(1) if works.is_set() else reply({}, 500)

        with OnePart(answer, required=False, more=self.MORE) as (g, s):
            for _ in range(3):
                g.get("/api/1")
            self.assertEqual(self.state(g), 1)
            asked = len(s.requests)
            self.assertEqual(asked, 3)
            g.get("/api/1")
            self.assertEqual(len(s.requests), 3)  # refused without a call
            works.set()
            until(lambda: g.get("/api/1")[1]["Weir-Degraded"] is None)
            self.assertEqual(len(s.requests), 4)  # the one probe
            self.assertEqual(self.state(g), 0)
            self.assertEqual(g.metric('weir_gateway_service_requests_total{service="users",'
                                      'outcome="server_error"}'), 3)

    def test_only_one_call_probes(self):
        gate, slow = threading.Event(), threading.Event()

        def answer(_):
            if not slow.is_set():
                return reply({}, 500)
            gate.wait(LIMIT_S)
            return reply(1)

        with OnePart(answer, required=False, more=self.MORE) as (g, s):
            for _ in range(3):
                g.get("/api/1")
            slow.set()
            probes = []

            def ask():
                probes.append(g.get("/api/1"))
            until(lambda: self.state(g) == 1)
            asks = []

            def started():
                asks.append(threading.Thread(target=ask))
                asks[-1].start()
                return len(s.requests) == 4
            until(started)
            for _ in range(5):
                self.assertEqual(g.get("/api/1")[1]["Weir-Degraded"], "user")
            self.assertEqual(len(s.requests), 4)
            self.assertEqual(self.state(g), 2)
            gate.set()
            for one in asks:
                one.join()
            self.assertEqual(self.state(g), 0)

    def test_required_part_of_an_open_breaker(self):
        with OnePart(lambda _: reply({}, 500), more=self.MORE) as (g, s):
            for _ in range(3):
                g.get("/api/1")
            status, fields, body = g.get("/api/1")
            self.assertEqual(status, 503)
            self.assertIn("breaker", json.loads(body)["detail"])
            self.assertEqual(fields["Retry-After"], "1")
            self.assertEqual(len(s.requests), 3)

    def test_a_clients_errors_do_not_open_it(self):
        with OnePart(lambda _: reply({}, 404), required=False, more=self.MORE) as (g, _):
            for _ in range(6):
                g.get("/api/1")
            self.assertEqual(self.state(g), 0)


class Operation(unittest.TestCase):
    def test_admin(self):
        with OnePart(lambda _: reply(1)) as (g, _):
            g.get("/api/1")
            self.assertEqual(g.get("/healthz", address=g.admin)[0], 200)
            self.assertEqual(g.get("/readyz", address=g.admin)[0], 200)
            self.assertEqual(g.metric('weir_gateway_route_requests_total{route="/api/{id}",'
                                      'outcome="ok"}'), 1)
            self.assertEqual(g.metric('weir_gateway_service_duration_seconds_count{service='
                                      '"users"}'), 1)
            self.assertEqual(g.metric("weir_gateway_services"), 1)
            self.assertEqual(g.metric('weir_gateway_pool_held{service="users"}'), 0)
            self.assertEqual(g.metric('weir_gateway_pool_idle{service="users"}'), 1)

    def test_status(self):
        entered, go = threading.Event(), threading.Event()

        def answer(_):
            entered.set()
            self.assertTrue(go.wait(LIMIT_S))
            return reply(1)

        with OnePart(answer, more="timeout: 20s") as (g, s):
            asking = threading.Thread(target=g.get, args=("/api/1",))
            asking.start()
            self.assertTrue(entered.wait(LIMIT_S))
            code, fields, body = g.get("/status", address=g.admin)
            go.set()
            asking.join()
            status = json.loads(body)
            users = status["services"][0]

            self.assertEqual((code, fields["Content-Type"]), (200, "application/json"))
            self.assertEqual((status["state"], status["wrong_uses"], status["routes"]),
                             ("ready", 0, 1))
            self.assertRegex(status["version"], r"^\d+\.\d+")
            self.assertGreater(status["uptime_s"], 0)
            self.assertEqual((users["name"], users["host"]), ("users", s.url))
            self.assertEqual((users["breaker"]["state"], users["breaker"]["failures"]),
                             ("closed", 0))
            self.assertEqual((users["pool"]["held"], users["pool"]["waiting"]), (1, 0))
            kinds = status["budget"]["kinds"]
            self.assertLessEqual(sum(kinds.values()), status["budget"]["limit_bytes"])
            held = {r["route"]: r for r in status["budget"]["routes"]}["/api/{id}"]
            self.assertEqual(held["requests"], 1)
            self.assertGreater(held["stack_bytes"], 0)
            self.assertGreater(held["arena_bytes"], 0)

    def test_status_of_a_breaker_that_is_open(self):
        with OnePart(lambda _: reply({}, 500),
                     more="timeout: 2s, breaker: { failures: 1, cooldown: 60s }") as (g, _):
            g.get("/api/1")
            breaker = json.loads(g.get("/status", address=g.admin)[2])["services"][0]["breaker"]
            self.assertEqual((breaker["state"], breaker["opened"]), ("open", 1))
            self.assertGreater(breaker["retry_ms"], 0)
            self.assertLess(breaker["for_s"], 60)

    def test_no_accepted_request_is_lost_at_sigterm(self):
        pause = threading.Event()

        def answer(_):
            pause.wait(0.01)
            return reply(1)

        with OnePart(answer, more="timeout: 5s") as (g, s):
            lost, done = [], []
            busy = threading.Barrier(9, timeout=LIMIT_S)

            def client():
                connection, first = g.connect(), True
                while True:
                    try:
                        connection.request("GET", "/api/1")
                    except OSError:
                        return  # it was not accepted
                    try:
                        answer = connection.getresponse()
                        body = answer.read()
                    except http.client.RemoteDisconnected:
                        return  # closed while it was idle: never accepted
                    except (OSError, http.client.HTTPException) as fault:
                        lost.append(repr(fault))
                        return
                    if (answer.status, body) != (200, b'{"user":1}'):
                        lost.append((answer.status, body))
                    done.append(1)
                    if first:
                        first = False
                        busy.wait()
                    if answer.will_close:
                        return
            clients = [threading.Thread(target=client) for _ in range(8)]
            for one in clients:
                one.start()
            busy.wait()
            self.assertEqual(g.end(SIGTERM), 0)
            for one in clients:
                one.join(LIMIT_S)
            self.assertEqual(lost, [])
            self.assertGreaterEqual(len(done), 8)
            self.assertTrue(any("0 requests cut" in text for text in g.messages()))

    def test_a_request_in_progress_is_finished(self):
        gate = threading.Event()

        def answer(_):
            gate.wait(LIMIT_S)
            return reply(1)

        with OnePart(answer, more="timeout: 15s") as (g, s):
            got = []
            one = threading.Thread(target=lambda: got.append(g.get("/api/1")))
            one.start()
            until(lambda: s.requests)
            g.signal(SIGTERM)
            g.wait_line("draining 1 request")
            self.assertEqual(g.get("/readyz", address=g.admin)[0], 503)
            gate.set()
            one.join(LIMIT_S)
            self.assertEqual((got[0][0], got[0][2]), (200, b'{"user":1}'))
            self.assertEqual(g.process.wait(LIMIT_S), 0)

    def test_connections_are_refused_while_it_drains(self):
        gate = threading.Event()

        def answer(_):
            gate.wait(LIMIT_S)
            return reply(1)

        with OnePart(answer, more="timeout: 15s") as (g, s):
            one = threading.Thread(target=g.get, args=("/api/1",))
            one.start()
            until(lambda: s.requests)
            g.signal(SIGTERM)
            g.wait_line("draining 1 request")

            def refused():
                try:
                    socket.create_connection(g.address, timeout=LIMIT_S).close()
                except ConnectionRefusedError:
                    return True
            try:
                until(refused, limit_s=1)
            finally:
                gate.set()
                one.join(LIMIT_S)

    def test_a_second_signal_ends_it_at_once(self):
        gate = threading.Event()
        with OnePart(lambda _: gate.wait(LIMIT_S) and None, more="timeout: 15s") as (g, s):
            one = threading.Thread(target=lambda: self.assertRaises(Exception, g.get, "/api/1"))
            one.start()
            until(lambda: s.requests)
            g.signal(SIGTERM)
            g.wait_line("draining")
            self.assertEqual(g.end(SIGTERM), 128 + SIGTERM)
            one.join(LIMIT_S)
            gate.set()

    def test_a_crash_of_the_service_costs_its_part_only(self):
        with OnePart(lambda _: reply(1), required=False) as (g, s):
            self.assertEqual(g.get("/api/1")[2], b'{"user":1}')
            s.kill()
            self.assertEqual(g.get("/api/1")[2], b'{"user":{"none":true}}')
            s.revive()
            self.assertEqual(g.get("/api/1")[2], b'{"user":1}')
            g.signal(SIGKILL)


if __name__ == "__main__":
    print(f"seed {SEED}")
    unittest.main()
