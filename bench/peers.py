"""Builds the peers, outside the source tree, with their own package managers."""
import filecmp
import shutil
import subprocess
from pathlib import Path

from figures import Unmeasured
from process import say


def copy_changed(source, target):
    """Copies what differs, so that an unchanged peer is not built again."""
    for path in sorted(source.rglob("*")):
        to = target / path.relative_to(source)
        if path.is_dir():
            to.mkdir(parents=True, exist_ok=True)
        elif not to.exists() or not filecmp.cmp(path, to, shallow=False):
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)


class Peers:
    def __init__(self, source, target):
        self.source, self.target = Path(source), Path(target)
        self.ready = {}

    def _run(self, name, command, folder, env=None):
        say(f"building the peer {name}")
        if not shutil.which(str(command[0])):
            raise Unmeasured(f"the peer {name} needs {command[0]}, which is not installed")
        done = subprocess.run([str(word) for word in command], cwd=folder, env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Unmeasured(f"the peer {name} does not build: {done.stdout.strip()[-400:]}")

    def _folder(self, name):
        folder = self.target / "src" / name
        copy_changed(self.source / name, folder)
        return folder

    def _once(self, name, build):
        if name not in self.ready:
            try:
                self.ready[name] = build()
            except Unmeasured as fault:
                self.ready[name] = fault
        if isinstance(self.ready[name], Unmeasured):
            raise self.ready[name]
        return self.ready[name]

    def go(self, name):
        def build():
            program = self.target / "bin" / name
            self._run(name, ["go", "build", "-trimpath", "-o", program, "."], self._folder(name))
            return program
        return self._once(name, build)

    def cargo(self, name, program):
        def build():
            target = self.target / "cargo"
            self._run(name, ["cargo", "build", "--quiet", "--release", "--target-dir", target],
                      self._folder(name))
            return target / "release" / program
        return self._once(name, build)

    def node(self, name):
        def build():
            folder = self._folder(name)
            if not (folder / "node_modules").exists():
                self._run(name, ["npm", "install", "--no-audit", "--no-fund"], folder)
            return ["node", folder / "server.js"]
        return self._once(name, build)

    def python(self, name):
        def build():
            folder = self._folder(name)
            program = folder / "venv/bin/python"
            if not program.exists():
                self._run(name, ["python3", "-m", "venv", "venv"], folder)
            self._run(name, [program, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"],
                      folder)
            return [program, folder / "app.py"]
        return self._once(name, build)
