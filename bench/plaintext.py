"""Plaintext over 64 keep-alive connections on one core."""
from compare import Entry, Job, costs, ratio, run_rounds
from figures import Unmeasured
from process import needed


def check(body):
    if body != b"Hello, World!":
        raise Unmeasured(f"the answer is {body[:100]!r}, not b'Hello, World!'")


def hello(context):
    program = context.build / "examples/hello"
    return lambda port: [needed(program), "--listen", f"127.0.0.1:{port}", "--loops", "1"]


def entries(context):
    peers = context.peers
    found = [
        Entry("weir", hello(context)),
        Entry("raw", lambda port: [needed(context.build / "bench/raw_epoll"), port]),
        Entry("axum", lambda port: [peers.cargo("axum", "axum_hello"), f"127.0.0.1:{port}"]),
        Entry("go", lambda port: [peers.go("go"), f"127.0.0.1:{port}"], {"GOMAXPROCS": "1"}),
    ]
    if context.all:
        found.append(Entry("fastify", lambda port: [*peers.node("fastify"), port],
                           {"NODE_ENV": "production"}))
        found.append(Entry("fastapi", lambda port: [*peers.python("fastapi"), port]))
    return found


def measure(context):
    found = entries(context)
    run_rounds(context, found, Job("/plaintext", 64, context.seconds, 0.5, check))
    values, faults = costs(found, "plaintext_cpu_")
    try:
        values["plaintext_vs_raw"] = ratio(found[0], found[1])
    except Unmeasured as fault:
        faults["plaintext_vs_raw"] = str(fault)
    return values, faults
