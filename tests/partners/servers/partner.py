"""One server, on two Python frameworks: `partner.py mcp|fastmcp stdio` or `… http PORT`.

It offers a little of everything that the protocol has, the same as `partner.mjs`.
"""

import asyncio
import sys
from typing import Any

import mcp_types as types

KIT, TRANSPORT, *REST = sys.argv[1:]

if KIT == "mcp":
    from mcp.server.mcpserver import Context
    from mcp.server.mcpserver import MCPServer as Server
    from mcp.server.mcpserver.exceptions import ToolError
else:
    from fastmcp import Context
    from fastmcp import FastMCP as Server
    from fastmcp.exceptions import ToolError

NAMES = ["Ada", "Alan", "Barbara", "Grace"]
PIXEL = b"\x89PNG\r\n\x1a\n"

server = Server(f"partner-{KIT}", instructions="A partner: “a little of everything”.", version="1.0.0")
slow_ends: dict[str, asyncio.Future[str]] = {}


@server.tool()
def echo(text: str) -> str:
    """Returns its text."""
    return text


@server.tool()
def add(a: int, b: int) -> dict[str, int]:
    """Adds two numbers."""
    return {"sum": a + b}


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ToolError("it was asked to fail")


@server.tool()
def large(kilobytes: int) -> str:
    """Returns a long text."""
    return "0123456789abcdef" * 64 * kilobytes


@server.tool()
async def count(steps: int, context: Context) -> str:
    """Counts, with progress."""
    for n in range(1, steps + 1):
        await context.report_progress(n, steps, f"step {n}")
    await asyncio.sleep(0.1)  # clients lose the progress that they read together with the answer
    return f"counted to {steps}"


@server.tool()
async def slow(key: str, context: Context) -> str:
    """Works until it is cancelled."""
    end = slow_ends[key] = asyncio.get_running_loop().create_future()
    try:
        await context.report_progress(1, 100, "started")
        await asyncio.sleep(15)
    except asyncio.CancelledError:
        end.set_result("cancelled")
        raise
    end.set_result("finished")
    return "finished"


@server.tool()
async def slow_outcome(key: str) -> str:
    """How the slow call with this key ended."""
    try:
        return await asyncio.wait_for(asyncio.shield(slow_ends[key]), 10)
    except asyncio.TimeoutError:
        return "still running"


@server.tool()
async def ask_model(context: Context) -> Any:
    """Asks the client's model."""
    message = types.SamplingMessage(
        role="user", content=types.TextContent(type="text", text="What is a stockade?")
    )
    if modern(context):
        params = types.CreateMessageRequestParams(messages=[message], max_tokens=40)
        return ask(context, types.CreateMessageRequest(params=params))
    return (await context.session.create_message([message], max_tokens=40)).content.text


@server.tool()
async def ask_person(context: Context) -> Any:
    """Asks the client's user."""
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
    }
    message = "Which colour?"
    if modern(context):
        params = types.ElicitRequestFormParams(message=message, requested_schema=schema)
        return ask(context, types.ElicitRequest(params=params))
    answer = await context.session.elicit(
        message=message, requested_schema=schema, related_request_id=context.request_id
    )
    return f"{answer.action} {answer.content}"


@server.tool()
async def ask_roots(context: Context) -> Any:
    """Asks for the client's roots."""
    if modern(context):
        return ask(context, types.ListRootsRequest())
    return listed((await context.session.list_roots()).roots)


@server.tool()
async def say(context: Context) -> str:
    """Logs at four levels."""
    for level in ("debug", "info", "warning", "error"):
        await context.session.send_log_message(
            level=level, data={"at": level}, logger="partner", related_request_id=context.request_id
        )
    return "said"


@server.tool()
async def touch(context: Context) -> str:
    """Says that the welcome note has changed."""
    if modern(context):
        await context.notify_resource_updated("note://welcome")
    else:
        await context.session.send_resource_updated("note://welcome")
    return "touched"


@server.tool()
async def grow(context: Context) -> str:
    """Says that the list of tools has changed."""
    if modern(context):
        await context.notify_tools_changed()
    else:
        await context.session.send_tool_list_changed()
    return "grown"


@server.resource("note://welcome", mime_type="text/plain")
def welcome() -> str:
    """A text."""
    return "Willkommen: grüße, 你好, 🙂"


@server.resource("note://picture", mime_type="image/png")
def picture() -> bytes:
    """Some bytes."""
    return PIXEL


@server.resource("note://item/{name}", mime_type="text/plain")
def item(name: str) -> str:
    """One item."""
    return f"item {name}"


@server.prompt()
def greet(name: str) -> str:
    """Greets somebody."""
    return f"Say hello to {name}."


async def complete(_ref, argument, _context) -> types.Completion:
    return types.Completion(values=[it for it in NAMES if it.startswith(argument.value)])


if KIT == "mcp":
    server.completion()(complete)
else:
    server.completion(complete)


def modern(context: Context) -> bool:
    return context.request_context.protocol_version >= "2026"


def ask(context: Context, request: types.InputRequest) -> Any:
    """Asks in the way of 2026-07-28: the first round returns the question, the second has it answered."""
    answer = (context.input_responses or {}).get("question")
    if answer is None:
        return types.InputRequiredResult(input_requests={"question": request}, request_state="asked")
    if isinstance(answer, types.ListRootsResult):
        return listed(answer.roots)
    if isinstance(answer, types.ElicitResult):
        return f"{answer.action} {answer.content}"
    return answer.content.text


def listed(roots: list[types.Root]) -> str:
    return ", ".join(f"{root.name}={root.uri}" for root in roots)


if TRANSPORT == "stdio":
    server.run(**({} if KIT == "mcp" else {"show_banner": False}))
else:
    (port,) = REST
    name = "streamable-http" if KIT == "mcp" else "http"
    extra = {} if KIT == "mcp" else {"show_banner": False}
    server.run(transport=name, host="127.0.0.1", port=int(port), **extra)
