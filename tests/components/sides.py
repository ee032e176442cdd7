"""The servers and the clients that are put together: each answers, or makes, the same calls.

A server is a context with a port. A client gives a line a call, "WAY LENGTH VERSION ok" or what
was wrong; expected() is what all of them have to say."""

import re
import subprocess
from pathlib import Path

import peer

HERE = Path(__file__).resolve().parent
LENGTHS = (0, 1, 16384, 10485760)
# WAY: (path, does a body go up, without its length, is it counted and not sent back)
WAYS = {"size": ("/size/%d", False, False, False), "pieces": ("/pieces/%d", False, False, False),
        "count": ("/count", True, False, True), "count_pieces": ("/count", True, True, True),
        "back": ("/back", True, False, False),
        "echo": ("/echo", True, False, False), "echo_pieces": ("/echo", True, True, False)}
# nginx does not go on sending a request's body once it has the answer's head: a large body that
# comes back while it goes up stands still, whoever is at the two ends (tried with Go at both).
ONE_WAY = tuple(way for way in WAYS if not way.startswith("echo"))
LIMIT_S = 120
HTTP1, HTTP2 = "HTTP/1.1", "HTTP/2.0"


def pattern(length):
    cycle = bytes(range(251))
    return (cycle * (length // 251 + 1))[:length]


def expected(version, ways=tuple(WAYS), lengths=LENGTHS):
    return [f"{way} {length} {version} ok" for way in ways for length in lengths]


# ---- servers ------------------------------------------------------------------------------


def weir(service, folder, tls=False):
    port = peer.free_port()
    keys = ["--tls", *peer.certificate(folder)] if tls else []
    return peer.Server("weir", [service, "--listen", f"127.0.0.1:{port}", "--loops", "1", *keys],
                       port, folder)


def go(folder, tls=False):
    port = peer.free_port()
    keys = peer.certificate(folder) if tls else ()
    return peer.Server("go", [peer.program("go_peer"), "serve", f"127.0.0.1:{port}", *keys], port,
                       folder)


def node(folder, version="1", tls=False):
    port = peer.free_port()
    keys = peer.certificate(folder) if tls else ()
    return peer.Server("node", [peer.program("node"), HERE / "peers/node/peer.js", "serve", version,
                                str(port), *keys], port, folder)


def nghttpd(folder, tls=False):
    """Only the way "size", from files; and it sends back whatever is posted."""
    port = peer.free_port()
    cert, key = peer.certificate(folder)
    (Path(folder) / "size").mkdir(exist_ok=True)
    for length in LENGTHS:
        (Path(folder) / "size" / str(length)).write_bytes(pattern(length))
    where = [port, key, cert] if tls else ["--no-tls", port]
    return peer.Server("nghttpd", [peer.program("nghttpd"), "--address=127.0.0.1", "--echo-upload",
                                   "-d", folder, *where], port, folder)


def configured(name, folder, text, command, port):
    path = Path(folder) / f"{name}-{port}.conf"
    path.write_text(text)
    return peer.Server(name, [word if word != "CONF" else path for word in command], port, folder)


def nginx(folder, target, tls=False, http2=False, buffered=False, target_tls=False):
    """A proxy for the service on port target; buffered: it takes a whole body before it sends it.
    Without TLS it speaks either HTTP/1.1 or HTTP/2."""
    port = peer.free_port()
    listen = f"listen 127.0.0.1:{port}{' http2' if http2 else ''};"
    if tls:
        certificate, key = peer.certificate(folder)
        listen = (f"listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate};"
                  f"ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;")
    places = "".join(f"{kind}_temp_path {folder}/nginx-{port}-{kind};" for kind in
                     ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    switch = "on" if buffered else "off"
    secure = (f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {peer.certificate(folder)[0]};"
              "proxy_ssl_name localhost; proxy_ssl_protocols TLSv1.2 TLSv1.3;")
    return configured("nginx", folder, f"""
daemon off; master_process off; worker_processes 1; pid {folder}/nginx-{port}.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off; {places}
    client_max_body_size 0; keepalive_requests 100000;
    upstream service {{ server 127.0.0.1:{target}; keepalive 16; }}
    server {{
        {listen}
        location / {{
            proxy_pass {"https" if target_tls else "http"}://service; {secure} proxy_http_version 1.1;
            proxy_set_header Connection ""; proxy_set_header Host $http_host;
            proxy_request_buffering {switch}; proxy_buffering {switch};
            proxy_hide_header X-Version; add_header X-Version $server_protocol always;
        }}
    }}
}}
""", [peer.program("nginx"), "-c", "CONF"], port)


def haproxy(folder, target, tls=False, target_http2=False, target_tls=False):
    port = peer.free_port()
    certificate, key = peer.certificate(folder)
    secure = ""
    if tls:
        both = Path(folder) / "both.pem"
        both.write_text(certificate.read_text() + key.read_text())
        secure = f" ssl crt {both} alpn h2,http/1.1"
    protocol = " proto h2" if target_http2 else ""
    if target_tls:
        protocol = (f" ssl verify required ca-file {certificate} verifyhost localhost sni "
                    f"str(localhost) alpn {'h2' if target_http2 else 'http/1.1'}")
    return configured("haproxy", folder, f"""
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}{secure}
    http-request set-var(txn.version) req.ver
    http-response set-header X-Version HTTP/%[var(txn.version)]
    default_backend service
backend service
    http-reuse always
    server one 127.0.0.1:{target}{protocol}
""", [peer.program("haproxy"), "-db", "-f", "CONF"], port)


ENVOY_TLS = """
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_certificates:
            - certificate_chain: {{ filename: {certificate} }}
              private_key: {{ filename: {key} }}"""
ENVOY_TARGET_TLS = """
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context:
          alpn_protocols: [{alpn}]
          validation_context: {{ trusted_ca: {{ filename: {certificate} }} }}"""
ENVOY_HTTP2 = """
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }"""
ENVOY = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: AUTO
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              response_headers_to_add:
              - header: {{ key: X-Version, value: "%PROTOCOL%" }}
                append_action: OVERWRITE_IF_EXISTS_OR_ADD
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: service, timeout: 60s }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router{secure}
  clusters:
  - name: service
    type: STATIC
    load_assignment:
      cluster_name: service
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {target} }} }}{protocol}
"""


def envoy(folder, target, tls=False, target_http2=False, target_tls=False):
    port = peer.free_port()
    certificate, key = peer.certificate(folder)
    secure, protocol = "", ENVOY_HTTP2 if target_http2 else ""
    if target_tls:
        protocol += ENVOY_TARGET_TLS.format(certificate=certificate,
                                            alpn="h2" if target_http2 else "http/1.1")
    if tls:
        secure = ENVOY_TLS.format(certificate=certificate, key=key)
    path = Path(folder) / f"envoy-{port}.yaml"
    path.write_text(ENVOY.format(port=port, target=target, secure=secure,
                                 protocol=protocol))
    return peer.Server("envoy", [peer.program("envoy"), "-c", path, "--concurrency", "1",
                                 "--use-dynamic-base-id", "--log-level", "warning"], port, folder)


# ---- clients ------------------------------------------------------------------------------


def calls(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=LIMIT_S)
    lines = done.stdout.splitlines()
    return lines + ([done.stderr.strip()] if done.stderr.strip() else [])


def joined(words):
    return ",".join(map(str, words))


def by_weir(caller, base, ways=tuple(WAYS), version="1", ca=(), at_once=1):
    """Over TLS, version 2 is what client and server agree on."""
    options = ["--at-once", at_once] + ([] if version == "2" and ca else [f"--http{version}"])
    options += ["--ca", *ca] if ca else []
    return [line.replace("HTTP/2 ", "HTTP/2.0 ")
            for line in calls([caller, *options, base, joined(LENGTHS), joined(ways)])]


def by_go(base, ways=tuple(WAYS), version="1", ca=()):
    return calls([peer.program("go_peer"), "call", version, base, joined(LENGTHS), joined(ways), *ca])


def by_node(base, ways=tuple(WAYS), version="1", ca=()):
    return calls([peer.program("node"), HERE / "peers/node/peer.js", "call", version, base,
                  joined(LENGTHS), joined(ways), *ca])


def by_nghttp(base, folder, ca=()):
    """One call a process; it tells no version, as it speaks but one."""
    lines = []
    for way, (path, sends, _, _) in WAYS.items():
        for length in LENGTHS:
            (folder / "body").write_bytes(pattern(length))
            command = [peer.program("nghttp"), "--no-verify-peer" if ca else "--no-dep",
                       base + (path if sends else path % length)]
            command += ["--data", folder / "body"] if sends else []
            done = subprocess.run([str(word) for word in command], capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=LIMIT_S)
            lines.append(judged(way, length, HTTP2, done.stdout) if done.returncode == 0 else
                         f"{way} {length}: {done.stderr.decode()[-200:]}")
    return lines


def by_h2load(url, *options):
    """(protocol, answers with 2xx, requests that went wrong) of 2,000 over 4 connections."""
    done = subprocess.run([peer.program("h2load"), "--requests", "2000", "--clients", "4",
                           *options, url], capture_output=True, text=True, timeout=LIMIT_S,
                          stdin=subprocess.DEVNULL)
    right = re.search(r"status codes: (\d+) 2xx", done.stdout)
    wrong = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    spoken = re.search(r"Application protocol: (\S+)", done.stdout)
    return spoken[1], int(right[1]), sum(map(int, wrong.groups()))


def judged(way, length, version, said):
    counts = WAYS[way][3]
    if counts and said != str(length).encode():
        return f"{way} {length}: the server counted {said[:100]}"
    if not counts and said != pattern(length):
        return f"{way} {length}: {len(said)} bytes came, and not those expected"
    return f"{way} {length} {version} ok"


def by_curl(base, folder, *options):
    """One call a process."""
    lines = []
    for way, (path, sends, pieces, _) in WAYS.items():
        for length in LENGTHS:
            command = [peer.program("curl"), "--silent", "--show-error", "--fail", *options,
                       "--output", folder / "answer", "--write-out", "%{http_version}"]
            if sends:
                (folder / "body").write_bytes(pattern(length))
                command += ["--data-binary", f"@{folder / 'body'}", "-H", "Expect:"]
                command += ["-H", "Transfer-Encoding: chunked"] if pieces else []
            (folder / "answer").write_bytes(b"")
            command += [base + (path % length if not sends else path)]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=LIMIT_S)
            version = {"1.1": HTTP1, "2": HTTP2}.get(done.stdout, done.stdout)
            lines.append(judged(way, length, version, (folder / "answer").read_bytes())
                         if done.returncode == 0 else f"{way} {length}: {done.stderr.strip()}")
    return lines
