"""The layers of weir, bottom to top, and the layer that each public header belongs to."""

ORDER = ("base", "type", "rt", "obs", "net", "guard", "http", "web", "data", "flow", "ops", "cmd")

# Side by side: neither uses the other.
BESIDE = {frozenset(("data", "flow"))}

PUBLIC = {
    "export": "base", "error": "base", "str": "base", "time": "base",
    "type": "type", "value": "type", "json": "type",
    "block": "rt", "fd": "rt", "signals": "rt",
    "embed": "rt", "remote": "rt",
    "run": "rt", "scope": "rt", "chan": "rt", "broadcast": "rt", "watch": "rt", "sync": "rt", "sim": "rt", "jobs": "rt",
    "log": "obs", "metrics": "obs",
    "file": "net", "process": "net", "tls": "net",
    "addr": "net", "address": "net", "stream": "net", "listen": "net", "dns": "net",
    "datagram": "net",
    "guard": "guard", "pool": "guard", "breaker": "guard",
    "http": "http", "exchange": "http", "server": "http", "client": "http", "fetch": "http", "url": "http",
    "app": "web", "test": "web", "inspect": "ops", "serve": "ops", "weir": "ops",
}


def of_public(stem):
    """The layer of include/weir/STEM.h; a part of a header is named after it: type_macros."""
    return PUBLIC.get(stem) or PUBLIC.get(stem.split("_")[0])


def may_use(layer, other):
    return ORDER.index(other) <= ORDER.index(layer) and frozenset((layer, other)) not in BESIDE
