"""What the sandbox adds to the start of a server: from the start to the answer to its first request,
directly and behind `stockade sandbox`, for each interpreter that is installed.

    cargo build --release -p stockade
    STOCKADE=target/release/stockade python3 benches/starts.py [--prepared COMMAND…]

With `--prepared`, a command line of a package runner as well, such as `npx -y NAME@VERSION {root}`, which
must be prepared; directly it is the runner itself, which has the package in its cache by then.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 15
STOCKADE = os.path.abspath(os.environ["STOCKADE"])
HELD = [STOCKADE, "sandbox", *(["--allow-weaker", "memory"] if os.geteuid() else [])]
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}
NODE = """
require("readline").createInterface({ input: process.stdin }).on("line", line =>
  console.log(JSON.stringify({ jsonrpc: "2.0", id: JSON.parse(line).id, result: {} })));
"""
PYTHON = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": {}}), flush=True)
"""
JAVA = """
import java.util.*;
public class Server {
    public static void main(String[] none) {
        Scanner in = new Scanner(System.in);
        while (in.hasNextLine()) { in.nextLine(); System.out.println("{\\"jsonrpc\\":\\"2.0\\",\\"id\\":1,\\"result\\":{}}"); }
    }
}
"""


def answered(command):
    """Milliseconds until the first line."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        server.stdin.write(json.dumps(HELLO).encode() + b"\n")
        server.stdin.flush()
        line = server.stdout.readline()
        took = 1000 * (time.perf_counter() - began)
        server.stdin.close()
        server.terminate()
    if json.loads(line or "{}").get("id") != 1:
        raise SystemExit(f"no answer from {' '.join(command)}")
    return took


def main():
    with tempfile.TemporaryDirectory() as scripts:
        scripts = Path(scripts)
        servers = {"rust": [STOCKADE, "example", "hardened", "--root", str(scripts)]}
        for name, program, file, source in [
            ("node", "node", "server.js", NODE), ("python", "python3", "server.py", PYTHON), ("java", "java", "Server.java", JAVA),
        ]:
            (scripts / file).write_text(source)
            if shutil.which(program):
                servers[name] = [program, str(scripts / file)]
        if sys.argv[1:2] == ["--prepared"]:
            servers["prepared"] = [it.replace("{root}", str(scripts)) for it in sys.argv[2:]]
        print(f"milliseconds to the first answer, median of {RUNS}")
        print(f"{'':10}{'directly':>10}{'sandboxed':>11}{'added':>8}")
        for name, command in servers.items():
            held = [*HELD, "--root", str(scripts), "--", *command]
            times = [(answered(command), answered(held)) for _ in range(RUNS)]
            direct, sandboxed = (statistics.median(it) for it in zip(*times))
            print(f"{name:10}{direct:10.1f}{sandboxed:11.1f}{sandboxed - direct:8.1f}")


main()
