"""TCP echo: 1,000 connections, one message of 512 bytes at a time on each, on one core; CPU a
message, of the server alone. weir is the program on epoll, uring the same on io_uring."""
import json
import subprocess
from statistics import median

from figures import Unmeasured
from process import OTHERS_MAX, Others, Process, cores, needed, pinned, say

CONNECTIONS, BYTES = 1000, 512
TIMEOUT_SECONDS = 60
BACKENDS = {"weir": "epoll", "uring": "io_uring"}


def command(context, name, port):
    address = f"127.0.0.1:{port}"
    if name in BACKENDS:
        return [needed(context.build / "bench/echo"), address]
    if name == "raw":
        return [needed(context.build / "bench/raw_echo"), port]
    if name == "go":
        return [context.peers.go("go_echo"), address]
    return [context.peers.cargo("tokio_echo", "tokio_echo"), address]


def run_once(context, name):
    port, others = context.port(), Others()
    env = {"GOMAXPROCS": "1"} if name == "go" else None
    if name in BACKENDS:
        env = {"WEIR_BACKEND": BACKENDS[name]}
    with Process(name, command(context, name, port), cores()[0], context.folder, env) as server:
        server.wait_for_port(port)
        load = [needed(context.build / "bench/echo_load"), port, server.pid, CONNECTIONS, BYTES,
                context.seconds]
        done = subprocess.run(pinned(cores()[1], load), capture_output=True, text=True,
                              timeout=TIMEOUT_SECONDS + context.seconds)
    if done.returncode != 0:
        raise Unmeasured(f"{name}: {done.stderr.strip()[-400:]}")
    told, share = json.loads(done.stdout), others.share()
    say(f"  {name + (' on ' + BACKENDS[name] if name == 'weir' else ''):13} {told['cpu_ns']:8.0f} ns CPU a message, "
        f"{told['messages'] / told['seconds']:9.0f} messages/s, load {told['load_busy']:.0%} busy"
        + (f" (other programs used {share:.0%} of the machine)" if share > OTHERS_MAX else ""))
    return told["cpu_ns"]


def measure(context):
    runs, faults = {name: [] for name in (*BACKENDS, "raw", "go", "tokio")}, {}
    for name in runs:
        try:
            command(context, name, context.port())
        except Unmeasured as fault:
            faults[name] = str(fault)
    for number in range(context.rounds):
        say(f"echo, {CONNECTIONS} connections, round {number + 1} of {context.rounds}")
        names = [name for name in runs if name not in faults]
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            try:
                runs[name].append(run_once(context, name))
            except (Unmeasured, ValueError, subprocess.TimeoutExpired) as fault:
                faults[name] = str(fault)
    values = {f"echo_cpu_{name}": median(run) for name, run in runs.items() if name not in faults}
    missing = {f"echo_cpu_{name}": fault for name, fault in faults.items()}
    for own, figure in (("weir", "echo_vs"), ("uring", "echo_uring_vs")):
        for other in ("raw", "go", "tokio"):
            fault = faults.get(own) or faults.get(other)
            if fault:
                missing[f"{figure}_{other}"] = fault
            else:
                values[f"{figure}_{other}"] = median(
                    a / b for a, b in zip(runs[own], runs[other], strict=True))
    return values, missing
