"""HTTP/2 and TLS: CPU time of one server thread beside nginx, Go and nghttpd, all with the same
certificate, the same ciphers to choose from, and the same load in the same round."""
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from statistics import median

from compare import Entry, costs, ratio
from figures import Unmeasured
from memory import settled_bytes
from process import OTHERS_MAX, Others, Process, cores, needed, pinned, say

SMALL, LARGE = b"Hello, World!", 10 << 20
STREAMS, HELD = 100, 2000
LIMIT_S = 120
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid;
error_log stderr;
events {{ worker_connections 10240; }}
http {{
    access_log off; keepalive_requests 1000000000; default_type application/octet-stream; {places}
    server {{
        listen 127.0.0.1:{port} ssl http2 reuseport backlog=4096;
        ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
        location = /plaintext {{ default_type text/plain; return 200 "Hello, World!"; }}
        location = /bulk {{ root {folder}; }}
    }}
}}
"""


def tool(name):
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin")
    if not path:
        raise Unmeasured(f"{name} is not installed: tools/install.sh components installs it")
    return path


def certificate(folder):
    """(certificate, key): ECDSA P-256, good for two days."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run([tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True, timeout=LIMIT_S)
        (folder / "plaintext").write_bytes(SMALL)
        (folder / "bulk").write_bytes(b"0123456789" * (LARGE // 10))
    return cert, key


def nginx(context, port):
    cert, key = certificate(context.folder)
    places = "".join(f"{kind}_temp_path {context.folder}/{kind};"
                     for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = context.folder / f"nginx-{port}.conf"
    path.write_text(NGINX.format(folder=context.folder, port=port, certificate=cert, key=key,
                                 places=places))
    return [tool("nginx"), "-c", path]


def weir(context, program, port, keys):
    return [needed(context.build / program), "--listen", f"127.0.0.1:{port}", "--loops", "1",
            "--tls", *keys]


def entries(context, *names):
    keys = certificate(context.folder)
    known = {
        "weir": lambda port: weir(context, "bench/secure", port, keys),
        "hello": lambda port: weir(context, "examples/hello", port, keys),
        "nginx": lambda port: nginx(context, port),
        "go": lambda port: [context.peers.go("go_secure"), f"127.0.0.1:{port}", *keys],
        "nghttpd": lambda port: [tool("nghttpd"), "--address=127.0.0.1", "-n", "1", "-d",
                                 context.folder, port, keys[1], keys[0]],
    }
    return [Entry(name, known[name], {"GOMAXPROCS": "1"}) for name in names]


@dataclass
class Load:
    """A call of h2load: what it asks for, and of what one answer is counted."""
    path: str
    clients: int
    options: list = field(default_factory=list)
    unit: int = 1  # what a request is divided by: bytes of a large answer, say
    requests: int = 0  # a second; 0: as many as go. Of large ones too much would be half done


def parse(text):
    """(requests that were answered with 2xx, those that were not)"""
    counted = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, "
                        r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    right = re.search(r"status codes: (\d+) 2xx", text)
    if not counted or not right:
        raise Unmeasured(f"h2load told nothing: {text[-300:]}")
    done, succeeded, *_ = map(int, counted.groups())
    return int(right[1]), done - min(succeeded, int(right[1]))


def h2load(context, port, load):
    seconds = max(1, round(context.seconds))
    command = [tool("h2load"), "--clients", load.clients,
               *(["--requests", load.requests * seconds] if load.requests else
                 ["--duration", seconds]), *load.options, f"https://127.0.0.1:{port}{load.path}"]
    done = subprocess.run(pinned(cores()[1], command), capture_output=True, text=True,
                          timeout=LIMIT_S)
    return parse(done.stdout + done.stderr)


def start(context, entry, port):
    server = Process(entry.name, entry.command(port), cores()[0], context.folder, entry.env)
    try:
        return server.wait_for_port(port)
    except Unmeasured:
        server.stop()
        raise


def run_load(context, entry, load):
    """CPU in microseconds a request, or in nanoseconds a unit of it."""
    port = context.port()
    with start(context, entry, port) as server:
        others, before = Others(), server.cpu_seconds()
        right, wrong = h2load(context, port, load)
        spent, share = server.cpu_seconds() - before, others.share()
        server.check()
    if right < 10 or wrong > right / 1000:
        raise Unmeasured(f"{entry.name}: {right} answers, and {wrong} requests that failed")
    if share > OTHERS_MAX:
        say(f"  meanwhile other programs used {share:.0%} of the machine")
    return spent / right / load.unit * 1e6


def rounds(context, found, measure):
    """measure(entry) of each, in turn, beginning with another one in each round."""
    for number in range(context.rounds):
        shift = number % len(found)
        for entry in found[shift:] + found[:shift]:
            if entry.fault:
                continue
            try:
                entry.cpu_us.append(measure(entry))
                say(f"  round {number + 1}: {entry.name:8} {entry.cpu_us[-1]:10.4f}")
            except (Unmeasured, subprocess.SubprocessError) as fault:
                entry.fault = str(fault)
                say(f"  {entry.name}: {fault}")


def ratios(found, wanted, values, faults):
    """wanted: {figure: (name, other)}"""
    by_name = {entry.name: entry for entry in found}
    for figure, (name, other) in wanted.items():
        try:
            values[figure] = ratio(by_name[name], by_name[other])
        except Unmeasured as fault:
            faults[figure] = str(fault)


def compare(context, names, measure, prefix, wanted):
    found = entries(context, *names)
    for entry in found:
        try:
            entry.command(context.port())
        except Unmeasured as fault:
            entry.fault = str(fault)
    rounds(context, found, measure)
    values, faults = costs(found, prefix)
    ratios(found, wanted, values, faults)
    return values, faults


def measure_http2(context):
    load = Load("/plaintext", 4, ["--max-concurrent-streams", STREAMS])
    return compare(context, ("weir", "nghttpd", "go", "nginx"),
                   lambda entry: run_load(context, entry, load), "http2_cpu_",
                   {f"http2_vs_{name}": ("weir", name) for name in ("nghttpd", "go", "nginx")})


def measure_keep_alive(context):
    load = Load("/plaintext", 64, ["--h1"])
    return compare(context, ("weir", "nginx", "go"),
                   lambda entry: run_load(context, entry, load), "tls_cpu_",
                   {f"tls_vs_{name}": ("weir", name) for name in ("nginx", "go")})


def measure_bulk(context):
    load = Load("/bulk", 4, ["--h1"], LARGE / 1000, requests=40)
    return compare(context, ("weir", "nginx"), lambda entry: run_load(context, entry, load),
                   "tls_bulk_", {"tls_bulk_vs_nginx": ("weir", "nginx")})


def tls_load(context, mode, *words):
    return pinned(cores()[1], [needed(context.build / "bench/tls_load"), mode, *words])


def run_handshakes(context, entry, mode):
    """CPU in microseconds a handshake."""
    port = context.port()
    with start(context, entry, port) as server:
        done = subprocess.run(tls_load(context, mode, port, context.seconds, server.pid),
                              capture_output=True, text=True, timeout=LIMIT_S)
        server.check()
    if done.returncode != 0:
        raise Unmeasured(f"{entry.name}: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    return told["cpu_ns"] / told["handshakes"] / 1000


def measure_handshakes(context):
    values, faults = {}, {}
    for mode in ("full", "resumed"):
        # Handshakes a CPU second against the other's: the other's cost divided by ours.
        told, missed = compare(context, ("weir", "nginx"),
                               lambda entry, mode=mode: run_handshakes(context, entry, mode),
                               f"tls_{mode}_", {f"tls_{mode}_vs_nginx": ("nginx", "weir")})
        values.update(told)
        faults.update(missed)
    return values, faults


def measure_memory(context):
    """What an idle connection keeps, after one answer."""
    entry = entries(context, "hello")[0]
    port = context.port()
    with start(context, entry, port) as server:
        grown = []
        for number in (HELD // 20, HELD):  # the first makes what all share
            before = settled_bytes(server.pid)
            holder = subprocess.Popen(tls_load(context, "hold", port, number),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            try:
                if json.loads(holder.stdout.readline() or "{}").get("held") != number:
                    raise Unmeasured(f"{number} connections could not be held")
                grown.append((settled_bytes(server.pid) - before) / number)
            finally:
                holder.stdin.close()
                holder.wait(LIMIT_S)
                holder.stdout.close()
    return {"tls_idle_connection_bytes": grown[-1]}, {}


def trusting():
    """What connects to whoever answers, made without the system's CAs, whose reading takes long."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def first_answer(server, port, context, begun):
    """When the answer was there; the program is asked as soon as it can be connected to."""
    while time.monotonic() - begun < LIMIT_S:
        server.check()
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as plain, \
                    context.wrap_socket(plain) as connection:
                connection.sendall(b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = connection.recv(65536)
                if answer.endswith(SMALL):
                    return time.monotonic()
                raise Unmeasured(f"{server.name} answers {answer[:100]!r}")
        except ConnectionRefusedError:
            time.sleep(0.0005)
    raise Unmeasured(f"{server.name} does not answer: {server.last_words()}")


def measure_first_answer(context):
    """From the start of the program to its first answer, in milliseconds."""
    entry = entries(context, "hello")[0]
    taken = []
    for _ in range(max(5, context.rounds)):
        port = context.port()
        command, secure = entry.command(port), trusting()
        begun = time.monotonic()
        with Process(entry.name, command, cores()[0], context.folder) as server:
            taken.append((first_answer(server, port, secure, begun) - begun) * 1000)
    return {"tls_first_answer": median(taken)}, {}


def measure_tls(context):
    values, faults = {}, {}
    for measure in (measure_keep_alive, measure_bulk, measure_handshakes, measure_memory,
                    measure_first_answer):
        try:
            told, missed = measure(context)
        except (OSError, Unmeasured, subprocess.SubprocessError) as fault:
            told, missed = {}, {measure.__name__: str(fault)}
        values.update(told)
        faults.update(missed)
    return values, faults
