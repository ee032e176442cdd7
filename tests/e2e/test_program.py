"""What weir_main() makes of an application: flags, routes, problems, the admin's endpoints,
signals and the drain.

    test_program.py PROGRAM [unittest arguments]"""

import http.client
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

from program import LIMIT_S, Program

PATH = sys.argv.pop(1)


def run(*flags, env=None):
    """(exit code, standard output, standard error) of a run that ends by itself."""
    done = subprocess.run([PATH, *flags], capture_output=True, text=True, timeout=LIMIT_S,
                          env=env)
    return done.returncode, done.stdout, done.stderr


class Flags(unittest.TestCase):
    def test_help(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        for flag in ("--listen ADDRESS", "--admin ADDRESS", "--loops N", "--backend NAME",
                     "--grace SECONDS", "--log-level LEVEL", "--log-format FORM", "--routes",
                     "--version", "--help"):
            self.assertIn(flag, out)
        self.assertTrue(all(len(line) <= 100 for line in out.splitlines()))
        self.assertEqual(run("-h")[1], out)

    def test_version(self):
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^Service 1\.2 \(weir \d+\.\d+\.\d+\)\n$")

    def test_routes(self):
        code, out, _ = run("--routes")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"(?m)^GET +/users/\{id:i64\} +\S*service\.c:\d+ show$")
        self.assertRegex(out, r"(?m)^\* +/rest/\*")

    def test_mistakes(self):
        for flags, words in (
                (["--lisen", ":1"], ["no flag `--lisen`", "did you mean `--listen`?"]),
                (["--listen"], ["--listen needs a value"]),
                (["--listen", "nowhere"], ["--listen `nowhere`", "127.0.0.1:8000"]),
                (["--listen=127.0.0.1:99999"], ["--listen `127.0.0.1:99999`"]),
                (["--loops", "0"], ["--loops `0`", "a number from 1"]),
                (["--loops", "2x"], ["--loops `2x`"]),
                (["--backend", "kqueue"], ["--backend `kqueue`", "epoll or io_uring"]),
                (["--grace", "soon"], ["--grace `soon`", "500ms"]),
                (["--log-level", "loud"], ["error, warn, info or debug"]),
                (["--log-format", "xml"], ["auto, text or json"]),
                (["--help=yes"], ["--help takes no value"]),
                (["file"], ["`file` is no flag"])):
            code, out, err = run(*flags)
            self.assertEqual((code, out), (2, ""), flags)
            for word in words:
                self.assertIn(word, err)
            self.assertIn("--help", err)

    def test_faults_in_routes(self):
        for flags in ([], ["--routes"]):
            code, out, err = run(*flags, env={"BAD_ROUTES": "1"})
            self.assertEqual((code, out), (1, ""))
            self.assertIn("3 faults", err)
            self.assertRegex(err, r"service\.c:\d+ show: GET /users conflicts with "
                                  r"\S*service\.c:\d+ list: GET /users")
            self.assertIn("GET users: a pattern begins with a slash", err)
            self.assertIn("FETCH /x: no method of that name", err)

    def test_address_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            code, _, err = run("--listen", address)
            self.assertEqual(code, 1)
            self.assertIn(address, err)
            self.assertIn("in use", err)
            self.assertIn("choose another port", err)


    def test_a_start_that_fails(self):
        code, _, err = run(env={"START_FAILS": "1"})
        self.assertEqual(code, 1)
        self.assertIn("the store is locked", err)
        self.assertIn("the store is closed", err)
        self.assertNotIn("hint", err)
        self.assertNotIn("listening", err)


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program(PATH)

    @classmethod
    def tearDownClass(cls):
        assert cls.program.end() == 0
        cls.program.__exit__()

    def answer(self, method, path, *more):
        status, headers, body = self.program.request(method, path, *more)
        return status, json.loads(body) if body else None, headers

    def problem(self, status, method, path, *more):
        got, body, headers = self.answer(method, path, *more)
        self.assertEqual(got, status, body)
        self.assertEqual(headers["Content-Type"], "application/problem+json")
        self.assertEqual(body["status"], status)
        return body, headers

    def test_parameters(self):
        self.assertEqual(self.answer("GET", "/users/42")[:2],
                         (200, {"id": 42, "name": "Ada", "age": 36}))
        self.assertEqual(self.answer("GET", "/users/a%2Fb%20c")[:2],
                         (200, {"name": "a/b c", "data": "here"}))
        self.assertEqual(self.answer("GET", "/rest/a%2Fb/c?q=1")[:2],
                         (200, {"rest": "a%2Fb/c", "method": "GET"}))
        self.assertEqual(self.answer("PATCH", "/rest/")[:2], (200, {"rest": "", "method": "PATCH"}))

    def test_no_such_path_or_method(self):
        self.problem(404, "GET", "/nowhere")
        self.problem(400, "GET", "/users/../x")
        self.problem(400, "GET", "/users/%2e%2e")
        self.problem(400, "GET", "/users/%zz")
        _, headers = self.problem(405, "DELETE", "/users")
        self.assertEqual(headers["Allow"], "GET, HEAD, POST, OPTIONS")
        self.problem(501, "FETCH", "/users")
        status, body, headers = self.answer("OPTIONS", "/users/1")
        self.assertEqual((status, body, headers["Allow"]), (204, None, "GET, HEAD, OPTIONS"))
        self.assertEqual(self.answer("OPTIONS", "*")[0], 204)

    def test_head_is_get_without_a_body(self):
        status, headers, body = self.program.request("HEAD", "/users/42")
        whole = self.program.get("/users/42")
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(headers["Content-Length"], str(len(whole[2])))

    def test_json_in_and_out(self):
        self.assertEqual(self.answer("GET", "/users")[1][1]["name"], "Bob")
        self.assertEqual(self.answer("POST", "/users", '{"name":"Eve","age":3}',
                                     {"Content-Type": "application/json"})[:2],
                         (201, {"id": 7, "name": "Eve", "age": 3}))

    def test_json_that_does_not_fit(self):
        body, _ = self.problem(422, "POST", "/users", '{"name":"","age":151,"x":1}')
        self.assertEqual(sorted(error["pointer"] for error in body["errors"]),
                         ["/age", "/name", "/x"])
        self.assertTrue(all(error["detail"] for error in body["errors"]))
        body, _ = self.problem(400, "POST", "/users", '{"name":')
        self.assertIn("JSON", body["detail"])
        self.problem(415, "POST", "/users", "name: x", {"Content-Type": "application/yaml"})
        self.problem(413, "POST", "/users", '{"name":"%s"}' % ("x" * 300))

    def test_failures(self):
        body, _ = self.problem(500, "GET", "/fails")
        self.assertNotIn("secret", json.dumps(body))
        line = self.program.wait_line("/fails 500")
        self.assertIn("reading the book: the secret disk broke", json.dumps(line))
        lines = [text for text in self.program.lines if text and "/fails" in text]
        self.assertEqual(len(lines), 1)

    def test_codes(self):
        for code, status in ((-16, 503), (-4098, 503), (-4099, 503), (-4113, 503), (-110, 504),
                             (-104, 502), (-4100, 502), (-4102, 502), (-4105, 502), (-4106, 502),
                             (-4107, 502), (-4104, 502), (-4096, 504), (-5, 500), (-4111, 500)):
            _, headers = self.problem(status, "GET", f"/code/{code}")
            self.assertEqual("Retry-After" in headers, status == 503, code)

    def test_a_deadline(self):
        self.problem(504, "GET", "/brief")


class Admin(unittest.TestCase):
    def test_endpoints(self):
        with Program(PATH, admin=True) as p:
            self.assertEqual(p.get("/healthz", address=p.admin)[::2], (200, b"ok\n"))
            self.assertEqual(p.get("/readyz", address=p.admin)[::2], (200, b"ready\n"))
            p.get("/users")
            status, headers, body = p.get("/metrics", address=p.admin)
            self.assertEqual(status, 200)
            self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
            for name in ("weir_http_requests_total", "weir_http_connections",
                         "process_cpu_seconds_total", "weir_budget_bytes"):
                self.assertRegex(body.decode(), rf"(?m)^{name}[ {{]")
            self.assertEqual(p.get("/healthz")[0], 404)
            self.assertEqual(p.end(), 0)


class Ends(unittest.TestCase):
    def connection(self, program):
        connection = program.connect()
        self.addCleanup(connection.close)
        return connection

    def test_idle(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Program(PATH) as p:
                idle = p.connect()
                idle.connect()
                self.assertEqual(p.end(number), 0)
                self.assertRegex(p.messages()[-1], r"^drained in \d+ ms, 0 requests cut$")
                idle.close()

    def test_a_request_in_progress_is_finished(self):
        with Program(PATH, admin=True) as p:
            c = self.connection(p)
            c.putrequest("POST", "/slowly")
            c.putheader("Content-Length", "4")
            c.endheaders(b"ab")
            p.wait_line("reading")
            p.signal()
            p.wait_line("draining 1 request")
            self.assertEqual(p.get("/readyz", address=p.admin)[::2], (503, b"draining\n"))
            self.assertEqual(p.get("/healthz", address=p.admin)[0], 200)
            c.send(b"cd")
            answer = c.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"abcd"))
            self.assertEqual(answer.headers["Connection"], "close")
            self.assertEqual(p.process.wait(LIMIT_S), 0)
            p.wait_line("0 requests cut")

    def test_what_takes_too_long_is_cut(self):
        with Program(PATH, "--grace", "0.2") as p:
            c = self.connection(p)
            c.request("GET", "/waits")
            p.wait_line("waiting")
            p.signal()
            self.assertEqual(c.getresponse().status, 503)
            self.assertEqual(p.process.wait(LIMIT_S), 0)
            message = p.wait_line("drained in")["message"]
            self.assertGreaterEqual(int(re.search(r"in (\d+) ms", message).group(1)), 200)
            self.assertTrue(message.endswith(", 1 request cut"), message)

    def test_no_request_is_lost_under_load(self):
        """Clients that ask again as soon as they are answered, until they are told to close."""
        answers, faults, busy = [], [], threading.Barrier(9)

        def client(connection):
            try:
                for i in itertools.count():
                    if i == 50:
                        busy.wait(LIMIT_S)
                    connection.request("GET", "/users/42")
                    answer = connection.getresponse()
                    answers.append((answer.status, len(answer.read())))
                    if answer.headers["Connection"] == "close":
                        return
            except (OSError, http.client.HTTPException) as fault:
                faults.append(fault)

        with Program(PATH) as p:
            clients = [threading.Thread(target=client, args=(self.connection(p),), daemon=True)
                       for _ in range(8)]
            for thread in clients:
                thread.start()
            busy.wait(LIMIT_S)
            self.assertEqual(p.end(), 0)
            for thread in clients:
                thread.join(LIMIT_S)
            self.assertRegex(p.messages()[-1], "0 requests cut$")
        self.assertEqual(faults, [])
        self.assertGreaterEqual(len(answers), 8 * 51)
        self.assertEqual(len(set(answers)), 1)

    def test_a_second_signal_ends_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Program(PATH, "--grace", "1h") as p:
                c = self.connection(p)
                c.request("GET", "/waits")
                p.wait_line("waiting")
                p.signal()
                p.wait_line("draining")
                self.assertEqual(p.end(number), 128 + number)


if __name__ == "__main__":
    unittest.main()
