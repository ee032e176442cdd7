"""The same server on io_uring and on epoll."""
from compare import Entry, Job, ratio, run_rounds
from figures import Unmeasured
from process import needed

# Figure, path, connections, requests at a time, seconds of warming up.
JOBS = [
    ("uring_plaintext", "/plaintext", 64, 1, 0.5),
    ("uring_pipelined", "/plaintext", 64, 16, 0.5),
    ("uring_10000", "/plaintext", 10000, 1, 1),
    ("uring_download", "/download", 64, 1, 0.5),
]


def check_plaintext(body):
    if body != b"Hello, World!":
        raise Unmeasured(f"the answer is {body[:100]!r}, not b'Hello, World!'")


def check_download(body):
    if body:
        raise Unmeasured(f"the answer has {len(body)} bytes, not a mebibyte")


def on(context, backend):
    program = context.build / "bench/backends"
    return Entry(backend,
                 lambda port: [needed(program), "--listen", f"127.0.0.1:{port}", "--loops", "1"],
                 {"WEIR_BACKEND": backend})


def measure(context, wanted):
    values, faults = {}, {}
    for figure, path, connections, pipeline, warmup in JOBS:
        if figure not in wanted:
            continue
        uring, epoll = on(context, "io_uring"), on(context, "epoll")
        check = check_plaintext if path == "/plaintext" else check_download
        run_rounds(context, [uring, epoll],
                   Job(path, connections, context.seconds, warmup, check, pipeline))
        try:
            values[figure] = ratio(uring, epoll)
        except Unmeasured as fault:
            faults[figure] = str(fault)
    return values, faults
