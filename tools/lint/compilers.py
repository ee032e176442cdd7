"""Builds of the tree with either compiler, for the checks that need one."""

import os
import subprocess

COMPILERS = {"gcc": "gcc", "clang": "clang-19"}


def jobs():
    return len(os.sched_getaffinity(0))


def folder(tree, compiler):
    return os.path.join(tree.build, "lint-" + compiler)


def configure(tree, compiler):
    """Configures a release build with warnings as errors; None, or what went wrong."""
    where = folder(tree, compiler)
    run = subprocess.run(
        ["cmake", "-G", "Ninja", "-S", tree.root, "-B", where, "-DCMAKE_BUILD_TYPE=Release",
         "-DCMAKE_C_FLAGS_RELEASE=-O2 -g1 -DNDEBUG", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
         "-DWEIR_WERROR=ON", "-DWEIR_TESTS=ON", f"-DCMAKE_C_COMPILER={COMPILERS[compiler]}"],
        capture_output=True, text=True)
    return None if run.returncode == 0 else (run.stderr.strip() or run.stdout.strip())


def build(tree, compiler, *targets):
    """Builds all it can; the finished process with its output as text."""
    command = ["cmake", "--build", folder(tree, compiler), "--parallel", str(jobs())]
    if targets:
        command += ["--target", *targets]
    return subprocess.run(command + ["--", "-k", "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
