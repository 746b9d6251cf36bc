"""The official Python SDK as a client: the steps of `steps.mjs`, one JSON line on stdout for each.

MODE is `legacy`, `auto` (probes with `server/discover`) or a revision, which is adopted unasked.
Usage: py.py MODE PLAN stdio COMMAND [ARGUMENT…] | py.py MODE PLAN http|sse URL
"""

import asyncio
import json
import os
import sys
import uuid
import warnings

import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, get_default_environment
from mcp.client.streamable_http import streamable_http_client

STEP_SECONDS = 30
QUIET_SECONDS = 5

warnings.simplefilter("ignore")  # what 2026-07-28 deprecates is still to be relayed


class Peer:
    """The client's side of the conversation: what it answers, and what it has heard."""

    def __init__(self, plan):
        self.heard = []
        self.answer = {"action": "decline"}
        self.roots = plan["clientRoots"]

    async def listen(self, message):
        if isinstance(message, types.ServerNotification):
            self.heard.append(plain(message))

    async def elicit(self, _context, _params):
        return types.ElicitResult(**self.answer)

    async def sample(self, _context, params):
        asked = [message.content.text for message in params.messages]
        text = types.TextContent(type="text", text=f"answer to {asked}")
        return types.CreateMessageResult(role="assistant", model="partner", content=text)

    async def list_roots(self, _context):
        return types.ListRootsResult(roots=[types.Root(**root) for root in self.roots])

    async def said(self, before, method, count):
        """The notifications of one method since `before`, once there are `count` or it is quiet."""
        for _ in range(QUIET_SECONDS * 50):
            found = [it for it in self.heard[before:] if it["method"] == method]
            if len(found) >= count:
                break
            await asyncio.sleep(0.02)
        return found


def client_for(mode, transport, target, args, peer):
    names = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "RELAY_FAULT")
    env = {name: os.environ[name] for name in names if name in os.environ}
    key = os.environ.get("PARTNER_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if transport == "stdio":
        env = get_default_environment() | env
        server = StdioServerParameters(command=target, args=args, env=env)
    elif transport == "sse":
        server = sse_client(target, headers=headers)
    else:
        timeout = httpx2.Timeout(30, read=300)
        http = httpx2.AsyncClient(headers=headers, timeout=timeout)
        server = streamable_http_client(target, http_client=http)
    return Client(
        server,
        mode=mode,
        client_info=types.Implementation(name="partner-py", version="1.0.0"),
        sampling_callback=peer.sample,
        elicitation_callback=peer.elicit,
        list_roots_callback=peer.list_roots,
        message_handler=peer.listen,
        log_level="warning",
    )


async def play(client, peer, plan):
    legacy = client.protocol_version < "2026"

    async def call(tool, **options):
        return await client.call_tool(tool["name"], tool["arguments"], **options)

    await step(
        "connect",
        now(
            {
                "era": "legacy" if legacy else "modern",
                "version": client.protocol_version,
                "server": plain(client.server_info),
                "capabilities": plain(client.server_capabilities),
                "instructions": client.instructions,
            }
        ),
    )
    await step("tools/list", client.list_tools())
    for name, tool in plan["calls"].items():
        await step(f"tools/call {name}", call(tool))
    await step("tools/call unknown tool", client.call_tool("no_such_tool", {}))
    numbered = [client.call_tool(**numbered_echo(plan["echo"], n)) for n in range(6)]
    await step("tools/call 6 at once", asyncio.gather(*numbered))

    await step("resources/list", client.list_resources())
    await step("resources/templates/list", client.list_resource_templates())
    for uri in plan.get("resources", []):
        await step(f"resources/read {uri}", client.read_resource(uri))
    await step("resources/read unknown", client.read_resource("note://nowhere"))
    if subscribe := plan.get("subscribe"):
        await step("resources/subscribe", subscribed(client, peer, legacy, subscribe, call))

    await step("prompts/list", client.list_prompts())
    if prompt := plan.get("prompt"):
        await step("prompts/get", client.get_prompt(**prompt))
    await step("prompts/get unknown", client.get_prompt("no_such_prompt"))
    if complete := plan.get("complete"):
        kinds = {"ref/prompt": types.PromptReference, "ref/resource": types.ResourceTemplateReference}
        ref = kinds[complete["ref"]["type"]](**complete["ref"])
        await step("completion/complete", client.complete(ref, complete["argument"]))

    if tool := plan.get("progress"):
        await step("progress", progressed(call, tool))
    if cancel := plan.get("cancel"):
        await step("cancel", cancelled(call, cancel))

    if tool := plan.get("sampling"):
        await step("sampling", call(tool))
    if elicitation := plan.get("elicitation"):
        for action in ("accept", "decline", "cancel"):
            content = elicitation["content"] if action == "accept" else None
            peer.answer = {"action": action, "content": content}
            await step(f"elicitation {action}", call(elicitation))
    if tool := plan.get("roots"):
        await step("roots", call(tool))
        if legacy and plan.get("rootsChange"):
            peer.roots = [*peer.roots, {"uri": "file:///second", "name": "second"}]
            await client.send_roots_list_changed()
            await step("roots changed", call(tool))
    if legacy:
        await step("logging/setLevel", client.set_logging_level("warning"))
    if tool := plan.get("log"):
        await step("logging", logged(call, peer, tool))
    if tool := plan.get("grow"):
        await step("tools/list_changed", changed(client, peer, legacy, call, tool))
    if legacy:
        await step("ping", client.send_ping())


async def subscribed(client, peer, legacy, subscribe, call):
    before = len(peer.heard)
    uri = subscribe["uri"]
    if not legacy:
        async with client.listen(resource_subscriptions=[uri]) as events:
            await call(subscribe["touch"])
            return repr(await asyncio.wait_for(anext(events), QUIET_SECONDS))
    await client.subscribe_resource(uri)
    await call(subscribe["touch"])
    updates = await peer.said(before, "notifications/resources/updated", 1)
    await client.unsubscribe_resource(uri)
    return updates[:1]


async def changed(client, peer, legacy, call, tool):
    before = len(peer.heard)
    if not legacy:
        async with client.listen(tools_list_changed=True) as events:
            await call(tool)
            return repr(await asyncio.wait_for(anext(events), QUIET_SECONDS))
    await call(tool)
    return (await peer.said(before, "notifications/tools/list_changed", 1))[:1]


async def logged(call, peer, tool):
    before = len(peer.heard)
    result = await call(tool)
    return {"said": await peer.said(before, "notifications/message", 2), "result": plain(result)}


async def progressed(call, tool):
    seen = []

    async def note(progress, total, message):
        seen.append([progress, total, message])

    result = await call(tool, progress_callback=note)
    return {"seen": seen, "result": plain(result)}


async def cancelled(call, cancel):
    key = {"key": str(uuid.uuid4())} if "outcome" in cancel else {}
    started = asyncio.Event()

    async def note(*_):
        started.set()

    def keyed(tool):
        return {**tool, "arguments": tool["arguments"] | key}

    slow = asyncio.ensure_future(call(keyed(cancel["slow"]), progress_callback=note))
    await asyncio.wait_for(started.wait(), STEP_SECONDS)
    slow.cancel()
    try:
        await slow
        told = "answered"
    except asyncio.CancelledError:
        told = "cancelled"
    outcome = plain(await call(keyed(cancel["outcome"]))) if key else None
    return {"told": told, "outcome": outcome}


async def step(name, work):
    try:
        tell(name, True, plain(await asyncio.wait_for(work, STEP_SECONDS)))
    except Exception as error:  # every way a step can fail is a result
        tell(name, False, failure(error))


def tell(name, ok, detail):
    print(json.dumps({"step": name, "ok": ok, "detail": detail}), flush=True)


def failure(error):
    if isinstance(error, BaseExceptionGroup):
        return [failure(it) for it in error.exceptions]
    if isinstance(error, MCPError):
        return {"kind": "MCPError"} | plain(error.error)
    return {"kind": type(error).__name__, "message": str(error)}


def plain(value):
    if isinstance(value, list):
        return [plain(it) for it in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


async def now(value):
    return value


def numbered_echo(tool, n):
    (name,) = tool["arguments"]
    return {"name": tool["name"], "arguments": {name: str(n)}}


async def main():
    mode, plan_file, transport, target, *args = sys.argv[1:]
    with open(plan_file, encoding="utf-8") as file:
        plan = json.load(file)
    peer = Peer(plan)
    try:
        async with client_for(mode, transport, target, args, peer) as client:
            await play(client, peer, plan)
        tell("close", True, "closed")
    except Exception as error:  # the connection failed, at its start or at its end
        tell("connection", False, failure(error))


asyncio.run(main())
