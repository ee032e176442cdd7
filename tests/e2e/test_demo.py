"""`weir demo`, as a newcomer tries it: all ten merged, one killed, its breaker, its return."""

import json
import re
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
from gateway import Gateway, until  # noqa: E402
from program import LIMIT_S  # noqa: E402

WEIR = sys.argv.pop(1)
KEYS = ["user", "orders", "offers", "reviews", "stock", "prices", "shipping", "loyalty", "messages",
        "recommendations"]


class Demo(Gateway):
    def __init__(self, *flags):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-e2e-")
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self._start([WEIR, "demo", "--port", str(port), "--log-format", "json", *flags], None)
        self.guide = ""
        while "Ctrl-C" not in self.guide:
            self.guide += self.process.stdout.readline()

    def set(self, service, query):
        status, _, body = self.request("POST", f"/demo/{service}?{query}")
        assert status == 200, body
        return json.loads(body)

    def profile(self):
        status, fields, body = self.get("/api/profile/7")
        return status, fields["Weir-Degraded"], json.loads(body)

    def breaker(self, service):
        return self.metric(f'weir_gateway_breaker_state{{service="{service}"}}')


class Demos(unittest.TestCase):
    def test_all_that_the_guide_says(self):
        with Demo() as d:
            status, degraded, body = d.profile()
            self.assertEqual((status, degraded, list(body)), (200, None, KEYS))
            self.assertEqual(body["user"]["name"], "Ada Lovelace")

            port = d.set("orders", "up=false")["port"]
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
            status, degraded, body = d.profile()
            self.assertEqual((status, degraded, list(body)), (200, "orders", KEYS))
            self.assertEqual(body["orders"], [])
            for _ in range(4):
                d.profile()
            self.assertEqual(d.breaker("orders"), 1)
            self.assertEqual(d.profile()[1], "orders")

            self.assertTrue(d.set("orders", "up=true")["up"])
            status, degraded, body = until(lambda: (p := d.profile())[1] is None and p)
            self.assertEqual(body["orders"][0]["number"], 1001)
            self.assertEqual(d.breaker("orders"), 0)

            d.set("users", "latency_ms=500&jitter_ms=0")
            self.assertEqual(d.profile()[0], 504)
            d.set("users", "latency_ms=0&error_rate=1")
            self.assertEqual(d.profile()[0], 502)
            self.assertEqual(d.get("/users/7")[0], 500)
            d.set("users", "error_rate=0")
            self.assertEqual(d.get("/users/7")[0], 200)
            self.assertEqual(len(json.loads(d.get("/demo")[2])), 10)
            self.assertEqual(d.end(), 0)

    def test_mistakes_change_nothing(self):
        with Demo() as d:
            before = json.loads(d.get("/demo/orders")[2])
            for query in ("", "up=maybe", "latency_ms=-1", "latency_ms=1&jitter_ms=x", "color=red",
                          "error_rate=1.5", "error_rate=nan", "up", "latency_ms=99999999999"):
                self.assertEqual(d.request("POST", f"/demo/orders?{query}")[0], 400, query)
            self.assertEqual(d.request("POST", "/demo/nobody?up=false")[0], 404)
            self.assertEqual(json.loads(d.get("/demo/orders")[2]), before)

    def test_two_demos_at_once(self):
        with Demo("--latency-ms", "0") as one, Demo("--latency-ms=0") as two:
            one.set("orders", "up=false")
            self.assertEqual(two.profile()[1], None)
            self.assertEqual(one.profile()[1], "orders")

    def test_killing_and_reviving_many_times(self):
        with Demo("--latency-ms", "1", "--loops", "2") as d:
            for _ in range(20):
                self.assertFalse(d.set("stock", "up=false")["up"])
                self.assertTrue(d.set("stock", "up=true")["up"])
            self.assertEqual(d.end(), 0)

    def test_the_configuration_can_be_served(self):
        text = subprocess.run([WEIR, "demo", "--print-config"], capture_output=True, text=True,
                              check=True, timeout=LIMIT_S).stdout
        with tempfile.TemporaryDirectory(prefix="weir-e2e-") as folder:
            file = Path(folder) / "demo.yaml"
            file.write_text(text)
            said = subprocess.run([WEIR, "check", str(file)], capture_output=True, text=True,
                                  timeout=LIMIT_S)
            self.assertEqual(said.stdout, f"{file}: ok, 10 services, 2 routes\n")

    def test_the_guide_names_the_ports(self):
        with Demo() as d:
            ports = set(map(int, re.findall(r"localhost:(\d+)", d.guide)))
            self.assertEqual(ports, {d.address[1], d.admin[1]})


if __name__ == "__main__":
    unittest.main()
