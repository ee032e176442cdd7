"""Services for a program under test to call: one server, a function a path."""

import http.server
import threading


class Services:
    """with Services({"/users/7": (200, b"{}")}) as s: s.url

    A path's value is (status, body), or a function that returns it. gate is an event that a
    function may wait for; leaving the block sets it."""

    def __init__(self, answers):
        services = self
        self.gate = threading.Event()
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                services.seen.append(self.path)
                answer = answers.get(self.path, (404, b"null"))
                status, body = answer() if callable(answer) else answer
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # who asked has gone

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
