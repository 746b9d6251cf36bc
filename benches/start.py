"""How long it takes from the start of a program that speaks MCP over its standard input and output
to its first answer, in milliseconds: the median of some starts.

    start.py COMMAND…
"""

import json
import statistics
import subprocess
import sys
import time

RUNS = 15
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def start(command):
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        server.stdin.write(json.dumps(HELLO).encode() + b"\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        took = time.perf_counter() - began
        server.stdin.close()
    assert "result" in answer, answer
    return 1000 * took


print(round(statistics.median(start(sys.argv[1:]) for _ in range(RUNS)), 1))
