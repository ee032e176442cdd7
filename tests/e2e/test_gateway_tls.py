"""The gateway over TLS: in front, towards its services, and what it says when that fails."""

import http.client
import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
from gateway import Gateway, service, until  # noqa: E402
from program import LIMIT_S, Program  # noqa: E402

WEIR, HELLO = (os.path.abspath(path) for path in sys.argv[1:3])
del sys.argv[1:3]


def cert(folder, *more):
    subprocess.run([WEIR, "cert", folder, *more], check=True, capture_output=True, timeout=60)


class Certificates:
    """What `weir cert` makes, for a server and a client, and another authority's."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-tls-")
        self.own, self.other = (os.path.join(self.folder.name, name) for name in ("own", "other"))
        cert(self.own)
        cert(self.own, "--client", "gateway")
        cert(self.other)

    def at(self, name, folder=None):
        return os.path.join(folder or self.own, name)

    def trust(self, folder=None):
        return ssl.create_default_context(cafile=self.at("ca.pem", folder))


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the head of the request, and who the client is by its certificate."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        peer = self.connection.getpeercert() or {}
        body = json.dumps({"path": self.path, "peer": str(peer.get("subject")),
                           **{name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class TlsService:
    """An HTTP/1.1 service over TLS by Python's library; with client_ca: for clients that it knows."""

    def __init__(self, certificates, client_ca=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.at("cert.pem"), certificates.at("key.pem"))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self.server.handle_error = lambda *_: None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class TlsGateway(Gateway):
    """listens by TLS; services and routes as a Gateway's."""

    def __init__(self, certificates, services, routes, more=""):
        front = (f"certificate: \"{certificates.at('cert.pem')}\", "
                 f"key: \"{certificates.at('key.pem')}\"{more}")
        super().__init__(WEIR, services, routes, top=f"tls: {{ {front} }}\n", scheme="https")
        self.context = certificates.trust()

    def connect(self, address=None):
        if address:
            return super().connect(address)
        return http.client.HTTPSConnection("localhost", self.address[1], timeout=LIMIT_S,
                                           context=self.context)


def proxied(name):
    return f"- path: /{name}/*\n  proxy: {{ service: {name} }}\n"


class GatewayTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates()
        cls.addClassCleanup(cls.certificates.folder.cleanup)

    def secure(self, which, url, **tls):
        """A service's lines, with what `tls:` says."""
        said = ", ".join(f"{key}: \"{value}\"" for key, value in tls.items())
        return service(which, url, f"timeout: 5s, tls: {{ {said} }}" if tls else "timeout: 5s")

    def test_tls_in_front_and_behind(self):
        ca = self.certificates.at("ca.pem")
        with TlsService(self.certificates) as s:
            with TlsGateway(self.certificates, self.secure("users", s.url, ca=ca),
                            proxied("users")) as g:
                status, _, body = g.get("/users/7")
                self.assertEqual(status, 200, body)
                seen = json.loads(body)
                self.assertEqual(seen["path"], "/users/7")
                self.assertEqual(seen["x-forwarded-proto"], "https")
                self.assertEqual(g.end(), 0)

    def test_a_client_certificate_is_shown_to_services_that_ask(self):
        c = self.certificates
        ca = c.at("ca.pem")
        with TlsService(c, client_ca=ca) as s:
            known = self.secure("known", s.url, ca=ca, certificate=c.at("client-gateway.pem"),
                                key=c.at("client-gateway-key.pem"))
            with Gateway(WEIR, known + self.secure("unknown", s.url, ca=ca),
                         proxied("known") + proxied("unknown")) as g:
                status, _, body = g.get("/known/7")
                self.assertEqual(status, 200, body)
                self.assertIn("gateway", json.loads(body)["peer"])
                status, _, body = g.get("/unknown/7")
                self.assertEqual(status, 502, body)

    def test_services_that_are_not_who_they_should_be(self):
        c = self.certificates
        ca, other = c.at("ca.pem"), c.at("ca.pem", c.other)
        with TlsService(c) as s:
            services = (self.secure("system", s.url) + self.secure("other", s.url, ca=other) +
                        self.secure("name", s.url, ca=ca, name="users.example") +
                        self.secure("good", s.url, ca=ca))
            with Gateway(WEIR, services,
                         "".join(proxied(n) for n in ("system", "other", "name", "good"))) as g:
                for name in ("system", "other", "name"):
                    status, _, body = g.get(f"/{name}/7")
                    self.assertEqual(status, 502, name)
                    self.assertIn("TLS", json.loads(body)["detail"], name)
                    self.assertEqual(g.metric(
                        'weir_gateway_service_requests_total{service="%s",outcome="tls"}' % name), 1)
                self.assertIn("users.example", json.dumps(g.wait_line("users.example")))
                self.assertEqual(g.get("/good/7")[0], 200)

    def test_clients_must_show_a_certificate_where_it_says_so(self):
        c = self.certificates
        more = f", client_ca: \"{c.at('ca.pem')}\""
        with TlsService(c) as s:
            with TlsGateway(c, self.secure("users", s.url, ca=c.at("ca.pem")), proxied("users"),
                            more) as g:
                with self.assertRaises((ssl.SSLError, OSError)):
                    g.get("/users/7")
                g.context.load_cert_chain(c.at("client-gateway.pem"), c.at("client-gateway-key.pem"))
                self.assertEqual(g.get("/users/7")[0], 200)

    def test_http2_to_services_by_choice_and_by_prior_knowledge(self):
        c = self.certificates
        with Program(HELLO) as plain:
            url = f"http://127.0.0.1:{plain.address[1]}"
            services = (service("always", url, "timeout: 5s, http2: always") +
                        service("never", url, "timeout: 5s, http2: never"))
            routes = ("- path: /all\n  aggregate:\n"
                      "    always: { service: always, path: /json, required: true }\n"
                      "    never: { service: never, path: /json, required: true }\n")
            with TlsGateway(c, services, routes) as g:
                status, _, body = g.get("/all")
                self.assertEqual(status, 200, body)
                hello = {"message": "Hello, World!"}
                self.assertEqual(json.loads(body), {"always": hello, "never": hello})

    def test_a_certificate_that_changes_is_taken_up(self):
        mine = Certificates()
        self.addCleanup(mine.folder.cleanup)
        with TlsService(mine) as s:
            with TlsGateway(mine, self.secure("users", s.url, ca=mine.at("ca.pem")),
                            proxied("users")) as g:
                self.assertEqual(g.get("/users/7")[0], 200)
                before = self.serial(g)
                cert(mine.own, "--force")
                g.context = mine.trust()
                until(lambda: self.serial(g) not in (None, before))

    def serial(self, gateway):
        connection = gateway.connect()
        try:
            connection.connect()
            return connection.sock.getpeercert()["serialNumber"]
        except ssl.SSLError:
            return None
        finally:
            connection.close()


class Mistakes(unittest.TestCase):
    def run_with(self, top, service_line):
        with tempfile.TemporaryDirectory(prefix="weir-tls-") as folder:
            file = os.path.join(folder, "gateway.yaml")
            with open(file, "w", encoding="utf-8") as to:
                to.write(f"listen: \"127.0.0.1:0\"\n{top}services:\n  users: {{ {service_line} }}\n"
                         "routes:\n  - path: /users/*\n    proxy: { service: users }\n")
            run = subprocess.run([WEIR, "gateway", file], capture_output=True, text=True,
                                 timeout=LIMIT_S)
            self.assertNotEqual(run.returncode, 0)
            return run.stderr

    def test_tls_of_a_service_without_https(self):
        said = self.run_with("", "url: \"http://127.0.0.1:1\", tls: { ca: ca.pem }")
        self.assertIn("gateway.yaml:3:", said)
        self.assertIn("`tls` is for services over https", said)

    def test_a_key_without_a_certificate(self):
        said = self.run_with("", "url: \"https://127.0.0.1:1\", tls: { key: key.pem }")
        self.assertIn("a `key` needs its `certificate`", said)

    def test_files_that_are_not_there(self):
        said = self.run_with("tls: { certificate: none.pem, key: none.key }\n",
                             "url: \"http://127.0.0.1:1\"")
        self.assertIn("none.key", said)
        said = self.run_with("", "url: \"https://127.0.0.1:1\", tls: { ca: none-ca.pem }")
        self.assertIn("none-ca.pem", said)
        self.assertIn("users", said)


if __name__ == "__main__":
    unittest.main()
