"""Web pages in a real browser, at a server on the same machine.

A page tries everything that a page can (`page.html`): first at a server that looks at nothing, which
shows that the tries are real, then at `stockade serve` without a key, where none may get through.
What is compared is what reached the server behind, and what the page could read.

    STOCKADE=target/release/stockade tests/browser/run.sh [-v]
"""

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

PAGE = Path(__file__).with_name("page.html").read_bytes()
PATIENCE_S = 20
# A browser that could not start, or broke, says nothing of the server.
BROWSERS_MAX = 3
# What reaches a server that looks at nothing, from any page; and what is there only for its own.
ANYWHERE = {"plain", "simple", "beacon", "form", "get", "events", "image", "frame", "socket"}
BROWSER = [
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # Machines that run tests often have little shared memory.
    "--disable-dev-shm-usage",
    # What the browser itself does about pages that ask local servers is not what is tested.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body=b"", kind="application/json", **headers):
        self.send_response(200)
        for name, value in {"content-type": kind, "content-length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))


class Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # A browser that is ended leaves its connections as they are.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def start(handler):
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Naive:
    """An MCP server that looks at nothing but the message: neither at a host nor at an origin."""

    def __init__(self):
        self.reached = reached = set()

        class Serve(Handler):
            def do_POST(self):
                message = json.loads(self.body())
                reached.add(message["params"]["clientInfo"]["name"])
                result = {"protocolVersion": "2025-11-25", "capabilities": {},
                          "serverInfo": {"name": "behind", "version": "1"}}
                answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
                self.answer(json.dumps(answer).encode(), access_control_allow_origin="*")

            def do_GET(self):
                reached.update(parse_qs(urlsplit(self.path).query).get("way", []))
                self.answer(b": hello\n\n", "text/event-stream", access_control_allow_origin="*")

            def do_OPTIONS(self):
                self.answer(access_control_allow_origin="*", access_control_allow_headers="*")

        self.port = start(Serve)


class Pages:
    """Where the page comes from, and where it tells what it saw."""

    def __init__(self):
        self.reports = reports = queue.Queue()

        class Serve(Handler):
            def do_GET(self):
                self.answer(PAGE, "text/html")

            def do_POST(self):
                reports.put(json.loads(self.body()))
                self.answer()

        self.port = start(Serve)


def rebind(page, target):
    """A name that leads to `page` first and to `target` then: the port that both are behind."""
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def connection(client):
        first = client.recv(65536)
        server = socket.create_connection(("127.0.0.1", page if first.startswith(b"GET /page") else target))
        server.sendall(first)
        threading.Thread(target=carry, args=(server, client), daemon=True).start()
        carry(client, server)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=connection, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


class Guard:
    """`stockade serve` in front of a server, without a key."""

    def __init__(self, upstream, directory, origins=()):
        policy = Path(directory) / "stockade.toml"
        policy.write_text(f"[http]\norigins = {json.dumps(list(origins))}\n" if origins else "")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = open(Path(directory) / "stderr.log", "w+")
        self.child = subprocess.Popen(
            [os.environ["STOCKADE"], "serve", "--auth", "none", "--listen", f"127.0.0.1:{self.port}",
             "--policy", policy, "--state", Path(directory) / "state",
             "--upstream", f"http://127.0.0.1:{upstream}/mcp"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                if self.child.poll() is not None or time.monotonic() > end:
                    self.log.seek(0)
                    sys.exit(f"stockade does not listen: {self.log.read()}")
                time.sleep(0.05)

    def end(self):
        self.child.terminate()
        self.child.wait()
        self.log.close()


def visit(pages, origin, target, rules=""):
    """What a page of `origin` saw of `target`, each way that it tried."""
    report = f"http://127.0.0.1:{pages.port}/report"
    url = f"{origin}/page?target={quote(target)}&report={quote(report)}"
    for _ in range(BROWSERS_MAX):
        with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
            with open(Path(profile) / "chromium.log", "w+") as log:
                browser = subprocess.Popen(
                    [*BROWSER, f"--user-data-dir={profile}", f"--host-resolver-rules={rules}", url],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                try:
                    return pages.reports.get(timeout=PATIENCE_S)
                except queue.Empty:
                    log.seek(0)
                    said = log.read()[-2000:]
                finally:
                    browser.terminate()
                    browser.wait()
    sys.exit(f"the page reported nothing: {said}")


def tries(pages, server, port):
    """`(page, what reached the server, what the page saw)` for each origin, at `port`."""
    for host in ["localhost", "127.0.0.1"]:
        server.reached.clear()
        saw = visit(pages, f"http://{host}:{pages.port}", f"http://127.0.0.1:{port}")
        yield f"a page of {host}", set(server.reached), saw
    server.reached.clear()
    name = f"rebound.test:{port}"
    rules = f"MAP {name} 127.0.0.1:{rebind(pages.port, port)}"
    saw = visit(pages, f"http://{name}", f"http://{name}", rules)
    yield "a page whose name was rebound", set(server.reached), saw


def main():
    verbose = "-v" in sys.argv[1:]
    pages, server, wrong = Pages(), Naive(), []

    def expect(what, holds, reached, saw):
        print(f"{'ok   ' if holds else 'WRONG'} {what}", flush=True)
        if verbose or not holds:
            print(f"      reached the server: {sorted(reached)}\n      the page saw: {json.dumps(saw)}")
        if not holds:
            wrong.append(what)

    def readable(saw):
        return {way for way, it in saw.items() if it.startswith("read") and " 403" not in it and " 421" not in it}

    for page, reached, saw in tries(pages, server, server.port):
        every = ANYWHERE | {"json"} <= reached and {"json", "simple"} <= readable(saw)
        expect(f"{page} reaches a server that looks at nothing", every, reached, saw)
    with tempfile.TemporaryDirectory(prefix="guard-") as directory:
        guard = Guard(server.port, directory)
        for page, reached, saw in tries(pages, server, guard.port):
            expect(f"{page} gets nothing through the guard", not reached and not readable(saw), reached, saw)
        guard.end()
    with tempfile.TemporaryDirectory(prefix="guard-") as directory:
        origin = f"http://127.0.0.1:{pages.port}"
        guard = Guard(server.port, directory, [origin])
        server.reached.clear()
        saw = visit(pages, origin, f"http://127.0.0.1:{guard.port}")
        holds = server.reached == {"json"} and '"behind"' in saw["json"]
        expect("a page of a listed origin is answered, and what is no JSON is not", holds, server.reached, saw)
        guard.end()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
