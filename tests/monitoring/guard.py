"""A guard between a client and a server that are both in here, and the certificates of this machine.

The server echoes what it is asked, and what it was told of its trace.
"""

import json
import os
import subprocess
import sys
import time

STOCKADE = os.environ.get("STOCKADE", "stockade")
REVISION = "2025-06-18"
# Names that a careless writer of syslog ends a field with.
AWKWARD = 'end"] of\\it'

SERVER = r"""
import json, sys
names = ["echo", "fail", "remove", sys.argv[1]]
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method, params = asked["method"], asked.get("params") or {}
    result = {}
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "parrot", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": it, "inputSchema": {"type": "object"}} for it in names]}
    elif method == "tools/call":
        text = json.dumps({"traceparent": params.get("_meta", {}).get("traceparent")})
        result = {"content": [{"type": "text", "text": text}], "isError": params["name"] == "fail"}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


class Guard:
    """`stockade run`, and the client in front of it."""

    def __init__(self, place, policy, env=None):
        self.place, self.last = place, 0
        (place / "policy.toml").write_text(policy)
        self.errors = open(place / "guard.log", "w+", encoding="utf-8")
        command = [STOCKADE, "run", *self.state(), "--policy", str(place / "policy.toml"), "--sandbox", "none",
                   "--", sys.executable, "-c", SERVER, AWKWARD]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                      env={**os.environ, **(env or {})}, text=True)
        self.ask("initialize", {"protocolVersion": REVISION, "capabilities": {},
                                "clientInfo": {"name": "watched", "version": "1"}})
        self.send({"method": "notifications/initialized"})
        self.ask("tools/list", {})

    def state(self):
        return ["--state", str(self.place / "state")]

    def send(self, message):
        self.child.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.child.stdin.flush()

    def ask(self, method, params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        for line in self.child.stdout:
            message = json.loads(line)
            if message.get("id") == self.last:
                return message.get("result", message)
        raise AssertionError(f"the guard has ended: {self.said()}")

    def call(self, tool, **meta):
        params = {"name": tool, "arguments": {}}
        if meta:
            params["_meta"] = meta
        return self.ask("tools/call", params)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def end(self):
        self.child.stdin.close()
        self.child.wait(20)
        return self.said()

    def ledger(self):
        """Every record, oldest first, as it was written."""
        out = subprocess.run([STOCKADE, "audit", "export", *self.state()], capture_output=True, text=True, check=True)
        return [json.loads(line) for line in out.stdout.splitlines()]


def wait_for(what, found, seconds=60):
    """What `found` answers, as soon as it answers something."""
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.1)


def certificates(place):
    """An authority, and a certificate that it has made out for `localhost`."""

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=place)

    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=An authority of a test", "-keyout", "ca.key", "-out", "ca.pem",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl(*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (place / "names").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.pem")
