"""`weir cert`: what it makes holds up against openssl's own tools, what is there is kept, mistakes
are told in a line."""

import datetime
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))


def weir(*args, **how):
    return subprocess.run([PROGRAM, "cert", *args], capture_output=True, text=True, timeout=60, **how)


def openssl(*args):
    run = subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60)
    return run.returncode, run.stdout + run.stderr


class Cert(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="weir-cert-")
        self.addCleanup(self.scratch.cleanup)
        self.dir = os.path.join(self.scratch.name, "certs")

    def at(self, name):
        return os.path.join(self.dir, name)

    def bytes_of(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def make(self, *args, expect=0):
        run = weir(self.dir, *args)
        self.assertEqual(run.returncode, expect, run.stderr + run.stdout)
        return run.stdout if expect == 0 else run.stderr

    def text_of(self, name):
        code, text = openssl("x509", "-in", self.at(name), "-noout", "-text")
        self.assertEqual(code, 0, text)
        return text

    def check_verifies(self, name, *args):
        code, text = openssl("verify", "-x509_strict", "-CAfile", self.at("ca.pem"), *args, self.at(name))
        self.assertEqual(code, 0, text)

    def test_what_is_made_verifies(self):
        out = self.make()
        self.assertIn("curl --cacert " + self.at("ca.pem"), out)
        self.check_verifies("cert.pem", "-purpose", "sslserver", "-verify_hostname", "localhost")
        for address in ("127.0.0.1", "::1"):
            self.check_verifies("cert.pem", "-purpose", "sslserver", "-verify_ip", address)
        code, text = openssl("verify", "-CAfile", self.at("ca.pem"), "-verify_hostname", "example.com",
                             self.at("cert.pem"))
        self.assertNotEqual(code, 0)
        self.assertIn("hostname mismatch", text)
        for cert, key in (("ca.pem", "ca-key.pem"), ("cert.pem", "key.pem")):
            public = openssl("x509", "-in", self.at(cert), "-noout", "-pubkey")
            self.assertEqual(public, openssl("pkey", "-in", self.at(key), "-pubout"))
        text = self.text_of("cert.pem")
        self.assertIn("prime256v1", text)
        self.assertIn("CA:FALSE", text)
        self.assertIn("TLS Web Server Authentication", text)
        self.assertIn("CA:TRUE, pathlen:0", self.text_of("ca.pem"))

    def test_keys_are_the_owners_alone(self):
        run = weir(self.dir, preexec_fn=lambda: os.umask(0))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(sorted(os.listdir(self.dir)), ["ca-key.pem", "ca.pem", "cert.pem", "key.pem"])
        for name in ("ca-key.pem", "key.pem"):
            self.assertEqual(stat.S_IMODE(os.stat(self.at(name)).st_mode), 0o600)
        for name in ("ca.pem", "cert.pem"):
            self.assertEqual(stat.S_IMODE(os.stat(self.at(name)).st_mode), 0o644)

    def days_of(self, name):
        code, text = openssl("x509", "-in", self.at(name), "-noout", "-dates")
        self.assertEqual(code, 0)
        times = [datetime.datetime.strptime(line.split("=")[1], "%b %d %H:%M:%S %Y %Z")
                 for line in text.strip().split("\n")]
        return (times[1] - times[0]).total_seconds() / 86400

    def test_lifetimes(self):
        self.make()
        self.assertLess(self.days_of("cert.pem"), 398)
        self.assertGreater(self.days_of("cert.pem"), 396)
        self.assertGreater(self.days_of("ca.pem"), 3000)
        self.make("--force", "--days", "7")
        self.assertLess(self.days_of("cert.pem"), 7)
        self.assertIn("it must be a number from 1 to 398", self.make("--days", "399", expect=2))

    def test_names(self):
        self.make("--name", "api.dev.test", "--name=*.dev.test", "--name", "192.0.2.7", "--name", "2001:db8::7",
                  "--name", "localhost")
        for host in ("api.dev.test", "x.dev.test", "localhost"):
            self.check_verifies("cert.pem", "-verify_hostname", host)
        for address in ("192.0.2.7", "2001:db8::7", "127.0.0.1"):
            self.check_verifies("cert.pem", "-verify_ip", address)
        self.assertEqual(self.text_of("cert.pem").count("DNS:localhost"), 1)
        for bad in ("a b", "", ".x", "x.", "a..b", "-x", "x-", "a.*.b", "*", "*.*.x", "b\u00fccher.test", "a,DNS:b",
                    "x" * 64, "a@b.test", "1.2.3.4/8", "a\nb"):
            self.assertIn("it must be a host name", self.make("--force", "--name", bad, expect=2), bad)

    def test_what_is_there_is_kept(self):
        self.make()
        before = {name: self.bytes_of(name) for name in os.listdir(self.dir)}
        self.assertIn("is there already: --force replaces it", self.make(expect=1))
        self.assertEqual(before, {name: self.bytes_of(name) for name in os.listdir(self.dir)})
        os.unlink(self.at("cert.pem"))
        self.assertIn("key.pem is there already", self.make(expect=1))
        self.make("--force")
        for name in ("ca.pem", "ca-key.pem"):
            self.assertEqual(self.bytes_of(name), before[name])
        for name in ("cert.pem", "key.pem"):
            self.assertNotEqual(self.bytes_of(name), before[name])
        self.check_verifies("cert.pem")

    def test_a_link_is_not_followed(self):
        os.mkdir(self.dir)
        victim = os.path.join(self.scratch.name, "victim")
        os.symlink(victim, self.at("key.pem"))
        self.assertIn("is there already", self.make(expect=1))
        self.assertFalse(os.path.exists(victim))
        self.make("--force")
        self.assertFalse(os.path.exists(victim))
        self.assertFalse(os.path.islink(self.at("key.pem")))

    def test_clients(self):
        self.make("--client", "alice@example.test")
        self.assertNotIn("cert.pem", os.listdir(self.dir))
        name = "client-alice@example.test.pem"
        self.check_verifies(name, "-purpose", "sslclient", "-verify_email", "alice@example.test")
        code, text = openssl("verify", "-CAfile", self.at("ca.pem"), "-purpose", "sslserver", self.at(name))
        self.assertNotEqual(code, 0)
        ca = self.bytes_of("ca.pem")
        out = self.make("--client", "job-7")
        self.assertIn("signed by the CA that was there", out)
        self.assertIn(f"--cert {self.at('client-job-7.pem')} --key {self.at('client-job-7-key.pem')}", out)
        self.check_verifies("client-job-7.pem", "-purpose", "sslclient")
        self.make()
        self.check_verifies("cert.pem")
        self.assertEqual(self.bytes_of("ca.pem"), ca)
        for bad in ("", "../x", "a b", "x" * 65, "a/b"):
            self.assertIn("it must be 1 to 64", self.make("--client", bad, expect=2), bad)
        self.assertIn("--name is for servers'", self.make("--client", "x", "--name", "y", expect=2))

    def test_a_ca_that_cannot_be_used(self):
        self.make()
        other = os.path.join(self.scratch.name, "other")
        self.assertEqual(weir(other).returncode, 0)
        os.replace(os.path.join(other, "ca-key.pem"), self.at("ca-key.pem"))
        said = self.make("--client", "x", expect=1)
        self.assertIn("does not belong to the CA", said)
        self.assertIn("with --force a new one takes its place", said)
        os.unlink(self.at("ca-key.pem"))
        self.assertIn("ca-key.pem can't be read", self.make("--client", "x", expect=1))
        self.assertIn("Made a CA", self.make("--force"))
        self.check_verifies("cert.pem")
        with open(self.at("ca.pem"), "w") as file:
            file.write("nonsense")
        self.assertIn("is not PEM", self.make("--client", "x", expect=1))

    def test_folders(self):
        odd = os.path.join(self.scratch.name, "it's a $(folder) \"here\"")
        run = weir(odd)
        self.assertEqual(run.returncode, 0, run.stderr)
        # The command that is printed is one that a shell takes.
        line = re.search(r"curl (--cacert .*) https", run.stdout).group(1)
        shell = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True)
        self.assertEqual(shell.stdout, f"--cacert\n{odd}/ca.pem\n")
        self.assertEqual(weir(odd + "///", "--client", "x").returncode, 0)
        run = weir(os.path.join(self.scratch.name, "no", "such"))
        self.assertEqual(run.returncode, 1)
        self.assertIn("can't be made: No such file or directory", run.stderr)
        path = os.path.join(self.scratch.name, "file")
        with open(path, "w"):
            pass
        self.assertIn("is there, and is no folder", weir(path).stderr)
        run = weir("rel", cwd=self.scratch.name)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("curl --cacert rel/ca.pem", run.stdout)

    def test_use(self):
        run = weir("--help")
        self.assertEqual(run.returncode, 0)
        for flag in ("--name", "--client", "--days", "--force"):
            self.assertIn(flag, run.stdout)
        for args, said in (((), "DIR is missing"), (("a", "b"), "one DIR is taken"), (("",), "DIR is empty"),
                           (("x", "--nam", "y"), "did you mean `--name`")):
            run = weir(*args, cwd=self.scratch.name)
            self.assertEqual(run.returncode, 2)
            self.assertIn(said, run.stderr)
            self.assertIn("Try `weir cert --help`.", run.stderr)
        self.assertEqual(os.listdir(self.scratch.name), [])

    def test_a_full_disk_leaves_no_half_file(self):
        if not os.path.exists("/dev/full") or not os.access("/", os.W_OK):
            self.skipTest("only root can make a small file system")
        os.mkdir(self.dir)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", self.dir],
                          capture_output=True).returncode != 0:
            self.skipTest("no file system can be mounted here")
        try:
            with open(self.at("filler"), "wb") as file:
                try:
                    file.write(b"x" * 8192)
                    file.flush()
                except OSError:
                    pass
            self.assertIn("can't be written: No space left", self.make(expect=1))
            self.assertEqual(os.listdir(self.dir), ["filler"])
        finally:
            subprocess.run(["umount", self.dir], check=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
