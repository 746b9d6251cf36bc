"""Ten policies to begin with, each in front of the server that it is for.

For each, `stockade policy init` prints the policy, the real server is started with it in the sandbox
that it names, and calls are made: honest ones must reach the server, the others are refused, or wait
for a person who does not come, by the rule that is said here. The definitions that the cases of a
policy are judged with (`crates/stockade/policies/NAME.tools.json`) must be those that the server lists.

    STOCKADE=target/debug/stockade tests/servers/run.sh --policies [SERVER…]
    UPDATE=1 STOCKADE=… tests/servers/run.sh --policies      # writes the definitions anew
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from plans import NODE, OFFICIAL, SERVERS  # noqa: E402  (its place depends on HERE)
from run import REVISION, Conversation, Ended, ground, listed  # noqa: E402

POLICIES = HERE.parent.parent / "crates" / "stockade" / "policies"
# What a server answers by itself, for want of a network, an account or a browser, is no refusal.
ALLOW, ASK, DENY = "allow", "ask", "deny"

PLANS = {
    "filesystem": {
        "calls": [
            ("read_text_file", {"path": "{root}/README.md"}, ALLOW, "tools.reads"),
            ("read_multiple_files", {"paths": ["{root}/README.md", "{root}/ferry.py"]}, ALLOW, "tools.reads-many"),
            ("list_directory", {"path": "{root}"}, ALLOW, "tools.reads"),
            ("search_files", {"path": "{root}", "pattern": "**/*.md"}, ALLOW, "tools.reads"),
            ("list_allowed_directories", {}, ALLOW, "tools.roots"),
            ("create_directory", {"path": "{root}/new"}, ALLOW, "tools.directories"),
            ("write_file", {"path": "{root}/new/a.txt", "content": "a"}, ASK, "tools.writes"),
            ("move_file", {"source": "{root}/README.md", "destination": "{root}/b.md"}, ASK, "tools.writes"),
            ("read_text_file", {"path": "/etc/passwd"}, DENY, "path_outside_roots"),
            ("read_text_file", {"path": "{root}/../../etc/passwd"}, DENY, "path_outside_roots"),
            ("read_text_file", {"path": "{root}/.env"}, DENY, "tools.no-keys"),
            ("read_multiple_files", {"paths": ["{root}/a.pem"]}, DENY, "tools.no-keys-among-many"),
        ],
    },
    "git": {
        "calls": [
            ("git_status", {"repo_path": "{root}"}, ALLOW, "tools.reads"),
            ("git_log", {"repo_path": "{root}", "max_count": 5}, ALLOW, "tools.reads"),
            ("git_diff_unstaged", {"repo_path": "{root}"}, ALLOW, "tools.reads"),
            ("git_show", {"repo_path": "{root}", "revision": "HEAD"}, ALLOW, "tools.reads"),
            ("git_add", {"repo_path": "{root}", "files": ["ferry.py"]}, ASK, "tools.changes"),
            ("git_commit", {"repo_path": "{root}", "message": "a"}, ASK, "tools.changes"),
            ("git_diff", {"repo_path": "{root}", "target": "--output=/tmp/x"}, DENY, "command_injection"),
            ("git_log", {"repo_path": "/etc"}, DENY, "path_outside_roots"),
            ("git_init", {"repo_path": "{root}"}, DENY, "default"),
        ],
    },
    "fetch": {
        "calls": [
            # The guard lets it pass and nobody has this name: the server says so itself.
            ("fetch", {"url": "https://docs.example/guide.html"}, ALLOW, "tools.pages"),
            ("fetch", {"url": "https://docs.example/?q=all"}, ASK, "tools.queries"),
            ("fetch", {"url": "http://docs.example/"}, DENY, "default"),
            ("fetch", {"url": "https://169.254.169.254/latest/"}, DENY, "url_not_public"),
            ("fetch", {"url": "https://a:b@docs.example/"}, DENY, "url_not_public"),
        ],
    },
    "memory": {
        "calls": [
            ("create_entities", {"entities": [{"name": "Ada", "entityType": "person", "observations": ["Keeps bees"]}]}, ALLOW, "tools.remembers"),
            ("search_nodes", {"query": "bees"}, ALLOW, "tools.reads"),
            ("read_graph", {}, ALLOW, "tools.reads"),
            ("delete_entities", {"entityNames": ["Ada"]}, ASK, "tools.forgets"),
            ("export", {}, DENY, "default"),
        ],
    },
    "sqlite": {
        "calls": [
            ("list_tables", {}, ALLOW, "tools.reads"),
            ("read_query", {"query": "SELECT 1 AS one"}, ALLOW, "tools.reads"),
            ("create_table", {"query": "CREATE TABLE people (name TEXT)"}, ASK, "tools.writes"),
            ("write_query", {"query": "INSERT INTO people VALUES ('Ada')"}, ASK, "tools.writes"),
            ("write_query", {"query": "DROP TABLE people"}, DENY, ("tools.no-loss", "sql_statement")),
            ("read_query", {"query": "SELECT 1; DELETE FROM people"}, DENY, "sql_statement"),
            ("read_query", {"query": "PRAGMA writable_schema = 1"}, DENY, "sql_statement"),
        ],
    },
    "time": {
        "calls": [
            ("get_current_time", {"timezone": "Europe/Berlin"}, ALLOW, "tools.times"),
            ("convert_time", {"source_timezone": "Asia/Kolkata", "time": "16:30", "target_timezone": "Europe/Berlin"}, ALLOW, "tools.times"),
            ("get_current_time", {"timezone": "Europe/Berlin", "notes": "x"}, DENY, None),
            ("set_time", {"time": "16:30"}, DENY, "default"),
        ],
    },
    "sequential-thinking": {
        "calls": [
            ("sequentialthinking", {"thought": "First.", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}, ALLOW, "tools.thinks"),
            ("publish", {"thought": "First."}, DENY, "default"),
        ],
    },
    "everything": {
        "calls": [
            ("echo", {"message": "good morning"}, ALLOW, "tools.shows"),
            ("get-sum", {"a": 17, "b": 25}, ALLOW, "tools.shows"),
            ("get-resource-links", {"count": 3}, ALLOW, "tools.shows"),
            ("trigger-long-running-operation", {"duration": 1, "steps": 2}, ASK, "tools.waits"),
            ("get-env", {}, DENY, "tools.no-environment"),
            ("toggle-simulated-logging", {}, DENY, "default"),
        ],
    },
    "playwright": {
        "calls": [
            ("browser_tabs", {"action": "list"}, ASK, "tools.acts"),
            ("browser_navigate", {"url": "https://docs.example/"}, ASK, "tools.acts"),
            ("browser_navigate", {"url": "http://127.0.0.1:9/"}, DENY, "url_not_public"),
            ("browser_evaluate", {"function": "() => document.cookie"}, DENY, "tools.no-code"),
            ("browser_snapshot", {}, ALLOW, "tools.looks"),
            ("browser_close", {}, ALLOW, "tools.looks"),
        ],
    },
    "github": {
        # Without an account it lists what it has, and what it is asked for fails on the way.
        "command": [NODE, OFFICIAL / "server-github/dist/index.js"],
        "calls": [
            ("get_issue", {"owner": "ferry", "repo": "ferry", "issue_number": 12}, ALLOW, "tools.reads"),
            ("search_code", {"q": "retry"}, ALLOW, "tools.reads"),
            ("add_issue_comment", {"owner": "ferry", "repo": "ferry", "issue_number": 12, "body": "a"}, ASK, "tools.speaks"),
            ("merge_pull_request", {"owner": "ferry", "repo": "ferry", "pull_number": 7}, ASK, "tools.changes"),
            ("create_repository", {"name": "copy"}, DENY, "tools.no-repositories"),
        ],
    },
}


def play(command, env, log, calls, fill):
    """What the server lists, and what each call is answered with."""
    conversation = Conversation(command, env, log)
    answers = []
    try:
        client = {"name": "ten", "version": "1"}
        begun = conversation.ask("initialize", {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client})
        conversation.send({"method": "notifications/initialized"})
        tools = listed(conversation, begun.get("capabilities", {}), "tools")
        for tool, arguments, *_ in calls:
            answers.append(conversation.ask("tools/call", {"name": tool, "arguments": fill(arguments)}))
    finally:
        conversation.end()
    return tools, answers


def records(stockade, state):
    """The decisions about calls, in their order, and which were asked about."""
    said = subprocess.run([stockade, "audit", "export", "--state", state], check=True, capture_output=True, text=True)
    kept = [json.loads(line) for line in said.stdout.splitlines()]
    kept = [it.get("record", it) for it in kept]
    asked = {it["call"] for it in kept if it["kind"] == "question"}
    decided = [it for it in kept if it["kind"] == "decision" and it.get("method") == "tools/call"]
    decided.sort(key=lambda it: int(it["call"].rsplit(".", 1)[1]))
    return [(ASK if it["call"] in asked else it["decision"], it) for it in decided]


def definitions(stockade, options, command, env, log):
    """What the server lists by itself, where no policy takes anything out."""
    behind = command if "none" in options else [stockade, "sandbox", *options, "--", *command]
    tools, _ = play(behind, env, log, [], lambda it: it)
    return sorted(tools, key=lambda it: it["name"])


def wrong(name, stockade, top, chromium):
    """What is not as it should be with one policy, in words."""
    plan, root, state = PLANS[name], Path(top) / "work", f"{top}/state-{name}"
    server = SERVERS.get(name, {})
    ground(root, server.get("repository"))
    names = {"root": str(root), "chromium": str(chromium), "page": "http://pages.ferry.example", "port": "9"}

    def fill(value):
        if isinstance(value, str):
            return re.sub(r"\{(root|port|page|chromium)\}", lambda it: names[it[1]], value)
        if isinstance(value, list):
            return [fill(it) for it in value]
        return {key: fill(it) for key, it in value.items()} if isinstance(value, dict) else value

    init = [stockade, "policy", "init", name]
    if 'roots = [' in (POLICIES / f"{name}.toml").read_text(encoding="utf-8"):
        init += ["--root", str(root)]
    text = subprocess.run(init, check=True, capture_output=True, text=True).stdout
    policy = Path(top) / f"{name}.toml"
    # Nobody comes who could answer.
    policy.write_text(text + "\n[limits]\napproval_timeout_s = 1\n", encoding="utf-8")
    given = fill(server.get("env", {}))
    env = {**os.environ, "XDG_CONFIG_HOME": f"{top}/config", **given}
    passed = [word for it in given for word in ("--env", it)]
    command = [fill(str(it)) for it in plan.get("command", server.get("command", []))]
    guard = [stockade, "run", "--policy", str(policy), "--state", state, *passed, "--", *command]
    with open(f"{top}/{name}.log", "w", encoding="utf-8") as log:
        try:
            tools = definitions(stockade, fill(server.get("options", [])), command, env, log)
            shown, answers = play(guard, env, log, plan["calls"], fill)
        except Ended as error:
            log.flush()
            said = Path(log.name).read_text(encoding="utf-8", errors="replace")
            return [f"it does not work: {error}\n{said[-1500:]}"]
    found = []
    kept = POLICIES / f"{name}.tools.json"
    now = json.dumps({"tools": tools}, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE"):
        kept.write_text(now, encoding="utf-8")
    elif kept.read_text(encoding="utf-8") != now:
        found.append(f"{kept.name} is not what the server lists: UPDATE=1 writes it anew")
    decided = records(stockade, state)
    if len(decided) != len(answers):
        found.append(f"{len(answers)} calls and {len(decided)} decisions")
    for (tool, arguments, wanted, by), answer, (came, record) in zip(plan["calls"], answers, decided):
        rules = by if isinstance(by, tuple) else (by,)
        refused = "refused by Stockade" in json.dumps(answer) or "Unknown tool" in json.dumps(answer)
        is_by = by is None or record.get("rule") in rules
        if came != wanted or not is_by or refused == (wanted == ALLOW):
            said = f"{tool} {json.dumps(arguments)[:100]}: {came} by {record.get('rule')}, and not {wanted} by {by}"
            found.append(f"{said}\n      {json.dumps(answer)[:400]}")
    # A tool that no call can reach is not shown, and what is shown is one that a rule names.
    for tool in shown:
        command = [stockade, "policy", "explain", "--format", "json", "--tool", tool["name"], str(policy)]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if not any(it["outcome"] not in ("another tool",) for it in said["rules"][:-1]):
            found.append(f"{tool['name']} is shown, and no rule is about it")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", nargs="*", metavar="SERVER", help="only these")
    options = parser.parse_args()
    stockade = os.path.abspath(os.environ["STOCKADE"])
    if unknown := set(options.servers) - set(PLANS):
        parser.error(f"no such policy: {', '.join(sorted(unknown))}; there are {', '.join(PLANS)}")
    begun = subprocess.run([stockade, "policy", "init"], check=True, capture_output=True, text=True)
    there = {line.split()[0] for line in begun.stdout.splitlines()}
    if there != set(PLANS):
        print(f"not each policy has a plan: {', '.join(sorted(there ^ set(PLANS)))}", file=sys.stderr)
        return 1
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    failed = []
    with tempfile.TemporaryDirectory(prefix="stockade-policies-") as top:
        # Run by root, a server is nobody, and gets there.
        os.chmod(top, 0o755)
        for name in PLANS:
            if options.servers and name not in options.servers:
                continue
            if name == "playwright" and not chromium:
                print(f"{name}: not run here: missing: chromium")
                continue
            found = wrong(name, stockade, top, chromium)
            print(f"{name}: {len(PLANS[name]['calls'])} calls, {'as they should be' if not found else 'NOT as they should be'}")
            for it in found:
                print(f"    {it}")
            failed += [name] if found else []
        cases = sorted(POLICIES.glob("*.test.toml"))
        tested = subprocess.run([stockade, "policy", "test", "--all-rules", *cases], capture_output=True, text=True)
        print(tested.stdout + tested.stderr, end="")
        failed += ["the cases"] if tested.returncode else []
    if failed:
        print(f"not as they should be: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
