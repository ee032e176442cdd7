"""What testssl.sh says of both TLS profiles: nothing above LOW.

    test_testssl.py SERVICE CALLER [unittest arguments]

Looked at are protocols, ciphers, the server's choices, its certificate, and the known weaknesses; not
the fields of its answers, which are the application's."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import peer  # noqa: E402

SERVICE = sys.argv.pop(1)
sys.argv.pop(1)
LIMIT_S = 180
ABOVE_LOW = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
# testssl.sh's remarks on the machine that it runs on.
OF_THE_TOOL = ("engine_problem", "scanTime", "optimal_proto")


def certificates(folder):
    """(CA, certificate, key): one that a CA of our own has signed for 300 days."""
    run = {"check": True, "capture_output": True, "timeout": LIMIT_S, "cwd": folder}
    new = [peer.program("openssl"), "req", "-newkey", "ec", "-pkeyopt",
           "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "300", "-subj",
                    "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"], **run)
    subprocess.run([*new, "-keyout", "key.pem", "-out", "request", "-subj", "/CN=localhost"], **run)
    (folder / "extensions").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"
        "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
        "crlDistributionPoints=URI:http://localhost/ca.crl\n")
    subprocess.run([peer.program("openssl"), "x509", "-req", "-in", "request", "-CA", "ca.pem",
                    "-CAkey", "ca.key", "-CAcreateserial", "-days", "300", "-extfile", "extensions",
                    "-out", "cert.pem"], **run)
    return folder / "ca.pem", folder / "cert.pem", folder / "key.pem"


def findings(server, ca, folder):
    report = folder / f"testssl-{server.port}.json"
    done = subprocess.run([peer.program("testssl"), "--quiet", "--color", "0", "--warnings", "off",
                           "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", ca, "--protocols",
                           "--std", "--pfs", "--server-preference", "--server-defaults",
                           "--vulnerable", "--jsonfile", report, f"localhost:{server.port}"],
                          capture_output=True, text=True, timeout=LIMIT_S, cwd=folder,
                          stdin=subprocess.DEVNULL)
    if not report.exists():
        raise AssertionError(f"testssl wrote no report: {done.stdout[-2000:]}{done.stderr[-1000:]}")
    return [finding for finding in json.loads(report.read_text())
            if finding["id"] not in OF_THE_TOOL]


class Profiles(unittest.TestCase):
    def check(self, profile, *command):
        with peer.Folder() as folder:
            ca, certificate, key = certificates(folder)
            port = peer.free_port()
            words = [certificate if word == "CERT" else key if word == "KEY" else
                     word.replace("PORT", str(port)) for word in command]
            with peer.Server("weir", [SERVICE, *words], port, folder) as server:
                found = findings(server, ca, folder)
        by_id = {finding["id"]: finding for finding in found}
        # It has met TLS, and looked for what it is to look for.
        self.assertEqual(by_id["TLS1_3"]["severity"], "OK", by_id["TLS1_3"])
        self.assertEqual(by_id["cert_trust"]["severity"], "OK", by_id["cert_trust"])
        # WARN is what it says where it could not look.
        self.assertLessEqual({"SSLv3", "TLS1", "heartbleed", "ROBOT", "secure_client_renego",
                              "CRIME_TLS", "LOGJAM", "RC4", "cipherlist_NULL"},
                             {name for name in by_id if by_id[name]["severity"] != "WARN"})
        self.assertEqual(by_id["TLS1_2"]["finding"], "offered" if profile == "intermediate"
                         else "not offered")
        high = {(finding["id"], finding["severity"]) for finding in found
                if finding["severity"] in ABOVE_LOW}
        self.assertEqual(high, set(), [by_id[name] for name, _ in high])

    def test_intermediate(self):
        self.check("intermediate", "--listen", "127.0.0.1:PORT", "--loops", "1", "--tls", "CERT",
                   "KEY")

    def test_modern(self):
        self.check("modern", "--modern", "127.0.0.1:PORT", "CERT", "KEY")


if __name__ == "__main__":
    unittest.main(verbosity=2)
