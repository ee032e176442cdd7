"""A program under test: started on free ports, asked over HTTP, ended by signals.

Every wait has a limit, and none is for a time: they are for a line of the log, an answer or
an end."""

import http.client
import json
import os
import subprocess
import threading
from signal import SIGTERM

LIMIT_S = 20


class Program:
    """with Program(path, "--admin", "127.0.0.1:0") as p: p.get("/hello")"""

    def __init__(self, path, *flags, env=None, admin=False):
        command = [path, "--listen", "127.0.0.1:0", "--log-format", "json", "--loops", "1"]
        command += ["--admin", "127.0.0.1:0"] if admin else []
        self.lines = []
        self.news = threading.Condition()
        self.process = subprocess.Popen(command + list(flags), stderr=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = self._address("listening on http://")
        self.admin = self._address("/healthz, /readyz, /status and /metrics on http://") if admin else None

    def __enter__(self):
        return self

    def __exit__(self, fault=None, *_):
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait(LIMIT_S)
        self.process.stdout.close()
        if fault:
            self.reader.join(LIMIT_S)
            print(f"ended with {code}; its log:", *filter(None, self.lines), sep="\n")

    def _read(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        self.process.stderr.close()
        with self.news:
            self.lines.append(None)
            self.news.notify_all()

    def wait_line(self, text):
        """The first line of the log whose message holds the text."""
        def find():
            for line in self.lines:
                if line is not None and text in line:
                    return line
            return "ended" if None in self.lines else None

        with self.news:
            found = self.news.wait_for(find, LIMIT_S)
        if not found or found == "ended":
            raise AssertionError(f"no line with {text!r} in the log:\n" +
                                 "\n".join(line for line in self.lines if line))
        return json.loads(found)

    def _address(self, text):
        message = self.wait_line(text)["message"]
        host, port = message[len(text):].rsplit(":", 1)
        return host, int(port)

    def connect(self, address=None):
        return http.client.HTTPConnection(*(address or self.address), timeout=LIMIT_S)

    def request(self, method, path, body=None, headers=None, address=None):
        """(status, headers, body) over a connection of its own."""
        connection = self.connect(address)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def signal(self, number=SIGTERM):
        self.process.send_signal(number)

    def end(self, number=SIGTERM):
        """Signal it, and give its exit code."""
        self.signal(number)
        code = self.process.wait(LIMIT_S)
        self.reader.join(LIMIT_S)
        return code

    def messages(self):
        return [json.loads(line)["message"] for line in self.lines if line]
