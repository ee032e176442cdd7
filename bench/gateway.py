"""One answer out of ten services, for 1,000 clients at once, by one process on one core."""
import json

from compare import Entry, Job, costs, ratio, run_rounds
from figures import Unmeasured
from process import Process, cores, needed

CLIENTS = 1000
CALL_SECONDS = 10
PATH = "/items/42"


def names():
    return [f"service{i}" for i in range(10)]


def check(body):
    """The ten parts, each whole and under its own key, in the order that was given."""
    try:
        merged = json.loads(body)
    except ValueError:
        raise Unmeasured(f"the answer is not JSON: {body[:200]!r}") from None
    if not isinstance(merged, dict) or list(merged) != names():
        raise Unmeasured(f"the answer has not the ten parts in order: {body[:200]!r}")
    for i, part in enumerate(merged.values()):
        if not isinstance(part, dict) or part.get("service") != f"service-{i}":
            raise Unmeasured(f"the answer's part {i} is {part!r}")


def configuration(listen, admin, ports):
    lines = [f'listen: "127.0.0.1:{listen}"', f'admin: "127.0.0.1:{admin}"', "services:"]
    for name, port in zip(names(), ports, strict=True):
        lines += [f"  {name}:", f'    url: "http://127.0.0.1:{port}"',
                  f"    timeout: {CALL_SECONDS}s", f"    max_connections: {CLIENTS}"]
    lines += ["routes:", "  - path: /api/all", f"    timeout: {2 * CALL_SECONDS}s",
              "    aggregate:"]
    lines += [f'      {name}: {{ service: {name}, path: "{PATH}", required: true }}'
              for name in names()]
    return "\n".join(lines) + "\n"


def weir(context, ports):
    def command(port):
        file = context.folder / "gateway.yaml"
        file.write_text(configuration(port, context.port(), ports))
        return [needed(context.build / "weir"), "gateway", file]
    return command


def entries(context, ports):
    peers = context.peers
    given = [f"{name}=http://127.0.0.1:{port}{PATH}"
             for name, port in zip(names(), ports, strict=True)]
    found = [
        Entry("weir", weir(context, ports)),
        Entry("axum", lambda port: [peers.cargo("axum_gateway", "axum_gateway"),
                                    f"127.0.0.1:{port}", *given]),
        Entry("go", lambda port: [peers.go("go_gateway"), f"127.0.0.1:{port}", *given],
              {"GOMAXPROCS": "1"}),
    ]
    if context.all:
        found.append(Entry("fastify", lambda port: [*peers.node("fastify"), port, *given],
                           {"NODE_ENV": "production"}))
        found.append(Entry("fastapi", lambda port: [*peers.python("fastapi"), port, *given]))
    return found


def measure(context):
    with Process("services", [needed(context.build / "bench/services")], cores()[1],
                 context.folder) as services:
        services.wait_for(lambda: services.log.read_text().endswith("\n"), "no ports were told")
        found = entries(context, services.log.read_text().split())
        run_rounds(context, found, Job("/api/all", CLIENTS, context.seconds + 2, 2, check))
        services.check()
    values, faults = costs(found, "gateway_cpu_")
    mine = found[0]
    if mine.requests:
        values["gateway_errors"] = mine.errors
    else:
        faults["gateway_errors"] = mine.fault
    try:
        values["gateway_vs_axum"] = ratio(mine, found[1])
    except Unmeasured as fault:
        faults["gateway_vs_axum"] = str(fault)
    return values, faults
