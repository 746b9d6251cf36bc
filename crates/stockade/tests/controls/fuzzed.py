"""A server with a mistake in each tool but one."""

import json
import os
import subprocess
import sys
import time
import traceback


def tool(name, properties, **more):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": f"{name.replace('_', ' ')}.", "inputSchema": schema, **more}


TEXT = {"type": "string"}
TOOLS = [
    tool("get_length", {"text": {**TEXT, "maxLength": 50}}),
    tool("get_item", {"index": {"type": "integer", "minimum": 0, "maximum": 9}, "label": TEXT}),
    tool("find_word", {"word": TEXT}),
    tool("list_rows", {"filter": TEXT}),
    tool("read_page", {"path": TEXT}),
    tool("search_words", {"query": TEXT}),
    tool("get_count", {"of": {"type": "integer", "minimum": -5, "maximum": 5}},
         outputSchema={"type": "object", "properties": {"n": {"type": "integer", "minimum": 0}}}),
    tool("get_any", {"number": {"type": "integer"}}),
    tool("delete_all", {"name": TEXT}),
]


def said(text, **more):
    return {"content": [{"type": "text", "text": text}], "resultType": "complete", **more}


def call(name, given):
    if name == "get_any":
        return said("anything goes")
    types = {it["name"]: it["inputSchema"]["properties"] for it in TOOLS}[name]
    for argument, schema in types.items():
        wanted = {"string": str, "integer": int}[schema["type"]]
        if not isinstance(given.get(argument), wanted) or isinstance(given[argument], bool):
            return said(f"{argument} is not right", isError=True)
    if name == "get_length":
        return said(f"{len(given['text'])} letters", isError=len(given["text"]) > 50)
    if name == "get_item":
        if given["index"] > 9:
            os._exit(3)
        return said("an item", isError=given["index"] < 0)
    if name == "find_word":
        if given["word"] == "":
            time.sleep(600)
        return said("found")
    if name == "list_rows":
        try:
            if "'" in given["filter"]:
                raise ValueError("unterminated quoted string")
        except ValueError:
            return said(traceback.format_exc(), isError=True)
        return said("no rows")
    if name == "read_page":
        try:
            with open(given["path"], encoding="utf-8") as page:
                return said(page.read(200))
        except (OSError, ValueError):
            return said("no such page", isError=True)
    if name == "search_words":
        try:
            ran = subprocess.run(f"echo {given['query']}", shell=True, capture_output=True, timeout=5, check=False)
        except ValueError:
            return said("no", isError=True)
        return said(ran.stdout.decode(errors="replace"))
    if name == "get_count":
        return said("", structuredContent={"n": given["of"]}, isError=abs(given["of"]) > 5)
    open(sys.argv[1], "w", encoding="utf-8").close()
    return said("all is gone")


for line in sys.stdin:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params") or {}
    if "id" not in message or method is None:
        continue
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "fuzzed", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": TOOLS, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    elif method == "tools/call":
        result = call(params["name"], params.get("arguments") or {})
    else:
        result = {}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
