"""What the way out of the sandbox costs: the time of a connection with one short answer, and of one
more answer on it, beside a direct connection over loopback, in one run.

    cargo build --release -p stockade
    STOCKADE=target/release/stockade python3 benches/egress.py

The direct figures are from the same program without a sandbox. `door` is a program that knows of no
proxy, `connect` one that asks the proxy.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

RUNS = 2000
STOCKADE = os.path.abspath(os.environ.get("STOCKADE", "stockade"))
GATE = ("127.64.0.1", 1080)


def echo(stream):
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with stream:
        while said := stream.recv(4096):
            stream.sendall(said)


def listen():
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept():
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def ask(stream):
    stream.sendall(b"\0ping")
    assert stream.recv(4096) == b"\0ping"


def opened(how, host, port):
    if how != "connect":
        return socket.create_connection((host, port))
    stream = socket.create_connection(GATE)
    stream.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(4096)
    assert b" 200 " in head, head
    return stream


def measure(how, host, port):
    """Microseconds of a connection with its first answer, and of each answer after."""
    connections, answers = [], []
    for _ in range(RUNS):
        began = time.perf_counter()
        with opened(how, host, port) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask(stream)
            connections.append(time.perf_counter() - began)
    with opened(how, host, port) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(RUNS):
            began = time.perf_counter()
            ask(stream)
            answers.append(time.perf_counter() - began)
    return [1e6 * statistics.median(it) for it in (connections, answers)]


def sandboxed(how, port):
    here = os.path.abspath(__file__)
    command = [STOCKADE, "sandbox", *(["--allow-weaker", "memory"] if os.geteuid() else [])]
    command += ["--net", f"bench.test:{port}=127.0.0.1", "--", sys.executable, here, how, str(port)]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return json.loads(ran.stdout)


def main():
    port = listen()
    before = measure("direct", "127.0.0.1", port)
    through = {how: sandboxed(how, port) for how in ("door", "connect")}
    after = measure("direct", "127.0.0.1", port)
    direct = [statistics.mean(it) for it in zip(before, after)]
    print(f"{'':10}{'connection':>14}{'answer':>14}{'ratio':>10}{'ratio':>8}")
    for name, took in {"direct": direct, **through}.items():
        ratios = [it / base for it, base in zip(took, direct)]
        print(f"{name:10}{took[0]:11.0f} µs{took[1]:11.0f} µs{ratios[0]:10.1f}{ratios[1]:8.1f}")


if len(sys.argv) == 3:
    print(json.dumps(measure(sys.argv[1], "bench.test", int(sys.argv[2]))))
else:
    main()
