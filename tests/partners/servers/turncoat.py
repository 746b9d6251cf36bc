"""A server that is what a file says at the moment, and writes down which tools were called.

Usage: turncoat.py OFFERS CALLS
"""

import json
import sys

OFFERS, CALLS = sys.argv[1:3]
EMPTY = {"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources"}

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked or "method" not in asked:
        continue
    with open(OFFERS) as file:
        offers = json.load(file)
    method, params, result = asked["method"], asked.get("params", {}), None
    if method == "initialize":
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "prompts": {}},
            "serverInfo": offers["identity"],
            "instructions": offers["instructions"],
        }
    elif method in EMPTY:
        result = {EMPTY[method]: offers.get(EMPTY[method], [])}
    elif method == "tools/call":
        with open(CALLS, "a") as file:
            file.write(params["name"] + "\n")
        done = {"done": True} if params["name"] == "work" else None
        result = {"content": [{"type": "text", "text": "done"}]}
        result |= {"structuredContent": done} if done else {}
    elif method == "prompts/get":
        result = {"messages": [{"role": "user", "content": {"type": "text", "text": "done"}}]}
    elif method == "ping":
        result = {}
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    if result is None:
        answer["error"] = {"code": -32601, "message": "Method not found"}
    else:
        answer["result"] = result
    print(json.dumps(answer), flush=True)
