"""The figures: what each says, in what unit, and what it must reach.

A figure without a limit is there to be compared with: the same job in another stack, measured in
the same run.
"""
from dataclasses import dataclass


class Unmeasured(Exception):
    """Why a figure could not be measured."""


@dataclass(frozen=True)
class Figure:
    name: str
    group: str  # figures of a group are measured together
    unit: str
    limit: float | None
    at_least: bool
    question: str

    def holds(self, value):
        if self.limit is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


def at_most(limit, name, group, unit, question):
    return Figure(name, group, unit, limit, False, question)


def at_least(limit, name, group, unit, question):
    return Figure(name, group, unit, limit, True, question)


def compared(name, group, unit, question):
    return Figure(name, group, unit, None, False, question)


FIGURES = [
    at_most(4, "switch_2_tasks", "micro", "ns", "bare switch between 2 tasks"),
    at_most(12, "switch_10000_tasks", "micro", "ns", "bare switch over 10,000 tasks"),
    at_most(15, "switch_scheduler", "micro", "ns", "switch through the scheduler"),
    at_most(60, "spawn_run_join", "micro", "ns", "start, run and join a task, warm stack"),
    compared("go_spawn_run_join", "micro", "ns", "the same with a goroutine"),
    compared("spawn_join_million", "micro", "ns",
             "start 1,000,000 tasks in one scope and join them: CPU a task"),
    at_most(15, "chan_send_recv", "micro", "ns", "send and receive, loop-local, uncontended"),
    compared("go_chan_send_recv", "micro", "ns", "the same with a buffered Go channel"),
    at_most(30, "chan_shared", "micro", "ns", "the same on a channel that all loops share"),
    at_most(4.6, "parked_task_bytes", "micro", "KiB",
            "parked task with page tables, from its entry function, at 100,000"),
    at_most(8.6, "parked_read_bytes", "micro", "KiB",
            "parked task with page tables, in a stream read, at 100,000"),
    at_least(2.5, "h1_head_parse", "micro", "GB/s",
             "HTTP/1.1 heads of 64 browser requests, all checks"),
    compared("h1_head_parse_sse2", "micro", "GB/s", "the same, 16 bytes at a time"),
    compared("h1_head_parse_words", "micro", "GB/s", "the same, 8 bytes at a time"),
    at_most(1.2, "plaintext_vs_raw", "plaintext", "x",
            "plaintext, 64 connections: CPU a request against a raw epoll responder"),
    compared("plaintext_cpu_weir", "plaintext", "us", "CPU a request: weir"),
    compared("plaintext_cpu_raw", "plaintext", "us", "CPU a request: raw epoll responder in C"),
    compared("plaintext_cpu_axum", "plaintext", "us", "CPU a request: axum"),
    compared("plaintext_cpu_go", "plaintext", "us", "CPU a request: Go net/http"),
    at_most(1.1, "echo_vs_raw", "echo", "x",
            "TCP echo on epoll, 512 bytes, 1,000 connections: CPU a message against raw epoll"),
    at_most(0.6, "echo_vs_go", "echo", "x", "the same against Go"),
    at_most(0.85, "echo_vs_tokio", "echo", "x", "the same against Tokio"),
    at_most(1.1, "echo_uring_vs_raw", "echo", "x", "TCP echo on io_uring, against raw epoll"),
    at_most(0.6, "echo_uring_vs_go", "echo", "x", "the same against Go"),
    at_most(0.85, "echo_uring_vs_tokio", "echo", "x", "the same against Tokio"),
    compared("echo_cpu_weir", "echo", "ns", "CPU a message: weir on epoll"),
    compared("echo_cpu_uring", "echo", "ns", "CPU a message: weir on io_uring"),
    compared("echo_cpu_raw", "echo", "ns", "CPU a message: raw epoll in C"),
    compared("echo_cpu_go", "echo", "ns", "CPU a message: Go"),
    compared("echo_cpu_tokio", "echo", "ns", "CPU a message: Tokio"),
    at_most(1.05, "uring_plaintext", "backends", "x",
            "plaintext, 64 connections: CPU a request on io_uring against on epoll"),
    compared("uring_pipelined", "backends", "x", "the same, 16 requests at a time"),
    compared("uring_10000", "backends", "x", "the same, 10,000 connections"),
    compared("uring_download", "backends", "x", "the same, 64 connections, 1 MiB a request"),
    at_most(0, "plaintext_heap_allocations", "heap", "calls",
            "calls to the general heap a warm plaintext request"),
    at_most(0, "json_heap_allocations", "heap", "calls",
            "calls to the general heap a warm JSON request"),
    at_most(512, "idle_connection_bytes", "idle", "bytes",
            "user memory of an idle keep-alive connection, at 10,000"),
    at_most(1.10, "visible_idle", "visible", "x",
            "plaintext: user instructions a request, all that looks at the runtime idle, against "
            "a build without it"),
    at_most(1.15, "visible_recorded", "visible", "x", "the same, with the recorder on"),
    compared("visible_attached", "visible", "x",
             "the same, with weir top attached, at 10,000 requests a second"),
    compared("visible_instructions_look", "visible", "instr", "a look of weir top"),
    compared("visible_instructions_without", "visible", "instr", "a request: without it"),
    compared("visible_instructions_idle", "visible", "instr", "a request: idle"),
    compared("visible_instructions_recorded", "visible", "instr", "a request: recorder on"),
    at_most(1, "watched_turn_top", "watched", "ms",
            "weir top at 100,000 tasks: longest that it keeps a loop from its work, CPU time"),
    at_most(1, "watched_turn_ps", "watched", "ms", "weir ps, the same"),
    compared("watched_turn_top_once", "watched", "ms", "weir top --once, the same"),
    compared("watched_turn_all", "watched", "ms", "8 that ask for all tasks without a pause"),
    compared("watched_turn_alone", "watched", "ms", "nobody asks"),
    at_most(1.15, "pingpong_vs_raw", "pair", "x",
            "two parked loops on two cores: CPU a round trip against a bare eventfd + epoll pair"),
    at_most(1.15, "pingpong_elapsed_vs_raw", "pair", "x", "the same, elapsed time"),
    at_most(1, "pingpong_vs_go", "pair", "x", "the same, CPU, against Go with LockOSThread"),
    at_most(1, "pingpong_vs_tokio", "pair", "x",
            "the same, CPU, against two current_thread runtimes of Tokio"),
    at_most(0.5, "busy_vs_go", "pair", "x",
            "CPU a message between two busy loops, shared channel of 1,024, against Go"),
    at_most(1, "busy_vs_tokio", "pair", "x", "the same against Tokio"),
    at_most(0.3, "spawn_vs_go", "pair", "x",
            "CPU a task, 1,000,000 started, then joined, against Go"),
    at_most(1, "spawn_vs_tokio", "pair", "x", "the same against Tokio"),
    at_most(1.15, "block_vs_raw", "pair", "x",
            "blocking pool: CPU a call against a bare condition variable + eventfd"),
    at_most(1.15, "block_elapsed_vs_raw", "pair", "x", "the same, elapsed time"),
    compared("pingpong_cpu_weir", "pair", "ns", "CPU an operation: weir"),
    compared("pingpong_cpu_raw", "pair", "ns", "CPU an operation: raw"),
    compared("pingpong_cpu_go", "pair", "ns", "CPU an operation: go"),
    compared("pingpong_cpu_tokio", "pair", "ns", "CPU an operation: tokio"),
    compared("busy_cpu_weir", "pair", "ns", "CPU an operation: weir"),
    compared("busy_cpu_go", "pair", "ns", "CPU an operation: go"),
    compared("busy_cpu_tokio", "pair", "ns", "CPU an operation: tokio"),
    compared("spawn_cpu_weir", "pair", "ns", "CPU an operation: weir"),
    compared("spawn_cpu_go", "pair", "ns", "CPU an operation: go"),
    compared("spawn_cpu_tokio", "pair", "ns", "CPU an operation: tokio"),
    compared("block_cpu_weir", "pair", "ns", "CPU an operation: weir"),
    compared("block_cpu_raw", "pair", "ns", "CPU an operation: raw"),
    at_most(1.2, "http2_vs_nghttpd", "http2", "x",
            "HTTP/2 over TLS, 100 streams, small answers: CPU a request against nghttpd"),
    at_most(0.3, "http2_vs_go", "http2", "x", "the same against Go"),
    at_most(0.3, "http2_vs_nginx", "http2", "x", "the same against nginx"),
    compared("http2_cpu_weir", "http2", "us", "CPU a request: weir"),
    compared("http2_cpu_nghttpd", "http2", "us", "CPU a request: nghttpd"),
    compared("http2_cpu_go", "http2", "us", "CPU a request: Go net/http"),
    compared("http2_cpu_nginx", "http2", "us", "CPU a request: nginx"),
    at_most(1, "tls_vs_nginx", "tls", "x",
            "HTTP/1.1 over TLS, keep-alive, small answers: CPU a request against nginx"),
    at_most(0.6, "tls_vs_go", "tls", "x", "the same against Go"),
    compared("tls_cpu_weir", "tls", "us", "CPU a request: weir"),
    compared("tls_cpu_nginx", "tls", "us", "CPU a request: nginx"),
    compared("tls_cpu_go", "tls", "us", "CPU a request: Go net/http"),
    at_most(1.05, "tls_bulk_vs_nginx", "tls", "x",
            "answers of 10 MB over TLS: CPU a byte against nginx"),
    compared("tls_bulk_weir", "tls", "ns", "CPU a byte: weir"),
    compared("tls_bulk_nginx", "tls", "ns", "CPU a byte: nginx"),
    at_least(0.95, "tls_full_vs_nginx", "tls", "x",
             "full TLS 1.3 handshakes a CPU second against nginx"),
    at_least(0.95, "tls_resumed_vs_nginx", "tls", "x", "the same of resumed ones"),
    compared("tls_full_weir", "tls", "us", "CPU a full handshake: weir"),
    compared("tls_full_nginx", "tls", "us", "CPU a full handshake: nginx"),
    compared("tls_resumed_weir", "tls", "us", "CPU a resumed handshake: weir"),
    compared("tls_resumed_nginx", "tls", "us", "CPU a resumed handshake: nginx"),
    at_most(16384, "tls_idle_connection_bytes", "tls", "bytes",
            "user memory of an idle TLS connection, at 2,000"),
    at_most(20, "tls_first_answer", "tls", "ms", "from a program's start to its first answer"),
    at_most(0.7, "gateway_vs_axum", "gateway", "x",
            "aggregate of ten parts, 1,000 clients: CPU a request against axum + reqwest"),
    at_most(0, "gateway_errors", "gateway", "errors",
            "requests that failed, were slow, not 200 or not the same ten parts"),
    compared("gateway_cpu_weir", "gateway", "us", "CPU an aggregate: weir"),
    compared("gateway_cpu_axum", "gateway", "us", "CPU an aggregate: axum + reqwest"),
    compared("gateway_cpu_go", "gateway", "us", "CPU an aggregate: Go net/http"),
]

# Measured only with --all: far slower, and they need node and a Python environment.
SLOW_PEERS = [
    compared("plaintext_cpu_fastify", "plaintext", "us", "CPU a request: Fastify"),
    compared("plaintext_cpu_fastapi", "plaintext", "us", "CPU a request: FastAPI"),
    compared("gateway_cpu_fastify", "gateway", "us", "CPU an aggregate: Fastify + undici"),
    compared("gateway_cpu_fastapi", "gateway", "us", "CPU an aggregate: FastAPI + aiohttp"),
]
