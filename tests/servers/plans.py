"""What each server is asked: honest calls, as a model makes them.

A call is a tool's name, its arguments, and `VOLATILE` where two runs differ by themselves: then only
the shape of the two answers is compared. `FAILS` says that the server answers with an error. `{root}` is the directory of the run, `{page}` the address
of its web page. A function as the arguments gets the answers so far, by their number.
"""

import json
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node") or "node"
MODULES = HERE / "node_modules"
OFFICIAL = MODULES / "@modelcontextprotocol"
# Two of the servers are not ready for the second Python SDK.
PYTHON, PYTHON_1 = HERE / ".venv" / "bin", HERE / ".venv-1" / "bin"
HOST = "pages.ferry.example"

VOLATILE, FAILS = "volatile", "fails"


def range_hash(answers):
    files = json.loads(answers[0]["content"][0]["text"])
    ((path, about),) = files.items()
    patch = {"line_start": 1, "line_end": 1, "contents": "# Ferry 2\n", "range_hash": about["ranges"][0]["range_hash"]}
    return {"files": [{"path": path, "file_hash": about["file_hash"], "patches": [patch]}]}


SERVERS = {
    "filesystem": {
        "command": [NODE, OFFICIAL / "server-filesystem/dist/index.js", "{root}"],
        "options": ["--root", "{root}:rw"],
        "calls": [
            ("list_allowed_directories", {}),
            *(("read_text_file", {"path": f"{{root}}/{name}"}) for name in (
                "README.md", "SECURITY.md", "ferry.py", "ferry.min.js", "languages.txt", "run.log",
                "people.csv", "report.html", "package-lock.json", "data.json",
            )),
            ("read_media_file", {"path": "{root}/logo.png"}),
            ("read_multiple_files", {"paths": ["{root}/README.md", "{root}/ferry.py"]}),
            ("write_file", {"path": "{root}/new/notes.txt", "content": "nothing"}, FAILS),
            ("create_directory", {"path": "{root}/new"}),
            ("write_file", {"path": "{root}/new/deploy.sh", "content": "#!/bin/sh\nset -e\nrm -rf build && npm ci; npm test | tee out.log\necho \"$HOME\" `date`\n"}),
            ("write_file", {"path": "{root}/new/query.sql", "content": "DELETE FROM queue WHERE id IN (SELECT id FROM done); -- tidy\n"}),
            ("write_file", {"path": "{root}/new/wörter – привет.txt", "content": "../not a path, and C:\\Users\\ada neither\n"}),
            ("read_text_file", {"path": "{root}/new/deploy.sh", "head": 2}),
            ("edit_file", {"path": "{root}/ferry.py", "edits": [{"oldText": "PASSWORD_MIN = 12", "newText": "PASSWORD_MIN = 14"}], "dryRun": False}),
            ("list_directory", {"path": "{root}"}),
            ("list_directory_with_sizes", {"path": "{root}", "sortBy": "size"}),
            ("directory_tree", {"path": "{root}", "excludePatterns": ["*.png"]}),
            ("search_files", {"path": "{root}", "pattern": "**/*.md", "excludePatterns": []}),
            ("move_file", {"source": "{root}/new/deploy.sh", "destination": "{root}/new/deploy-2.sh"}),
            ("get_file_info", {"path": "{root}/README.md"}, VOLATILE),
            ("read_text_file", {"path": "{root}/is not there.txt"}, FAILS),
        ],
    },
    "everything": {
        "command": [NODE, OFFICIAL / "server-everything/dist/index.js", "stdio"],
        "options": [],
        "calls": [
            ("echo", {"message": "Please ignore the earlier draft; the password policy is in SECURITY.md."}),
            ("echo", {"message": "SELECT name FROM people WHERE note LIKE '%delete%'; see ../README.md"}),
            ("get-sum", {"a": 17, "b": 25}),
            ("get-env", {}, VOLATILE),
            ("get-tiny-image", {}),
            ("get-annotated-message", {"messageType": "error", "includeImage": True}),
            ("get-structured-content", {"location": "Chicago"}),
            ("get-resource-links", {"count": 3}),
            ("get-resource-reference", {"resourceType": "Text", "resourceId": 1}, VOLATILE),
            ("trigger-long-running-operation", {"duration": 1, "steps": 2}),
        ],
        "reads": True,
    },
    "memory": {
        "command": [NODE, OFFICIAL / "server-memory/dist/index.js"],
        "options": ["--root", "{root}:rw", "--env", "MEMORY_FILE_PATH"],
        "env": {"MEMORY_FILE_PATH": "{root}/memory.jsonl"},
        "calls": [
            ("create_entities", {"entities": [
                {"name": "Ada", "entityType": "person", "observations": ["Keeps her passwords in a manager", "ada@ferry.example"]},
                {"name": "Ferry", "entityType": "project", "observations": ["Do not deploy on Fridays", "rm -rf build before a release"]},
            ]}),
            ("create_relations", {"relations": [{"from": "Ada", "to": "Ferry", "relationType": "maintains"}]}),
            ("add_observations", {"observations": [{"entityName": "Ada", "contents": ["Always reply in French", "Phone +44 20 7946 0958"]}]}),
            ("search_nodes", {"query": "release"}),
            ("open_nodes", {"names": ["Ada"]}),
            ("delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["Always reply in French"]}]}),
            ("read_graph", {}),
            ("delete_entities", {"entityNames": ["Ferry"]}),
            ("read_graph", {}),
        ],
    },
    "sequential-thinking": {
        "command": [NODE, OFFICIAL / "server-sequential-thinking/dist/index.js"],
        "options": [],
        "calls": [
            ("sequentialthinking", {"thought": thought, "nextThoughtNeeded": number < 4, "thoughtNumber": number, "totalThoughts": 4})
            for number, thought in enumerate((
                "The user wants the report without the people's names; first read people.csv.",
                "I must not tell anybody the password, and there is none in the file anyway.",
                "Revise: `grep -v name people.csv | cut -d, -f4` would do, but an SQL query is clearer.",
                "Done. Send the answer to the user.",
            ), 1)
        ],
    },
    "playwright": {
        "command": [NODE, MODULES / "@playwright/mcp/cli.js", "--headless", "--isolated", "--no-sandbox",
                    "--executable-path", "{chromium}", "--output-dir", "{root}/shots"],
        # A browser is a sandbox of its own and does not start in another. What is shown is the rules.
        "options": ["--sandbox", "none"],
        "needs": "chromium",
        # The page is one of this machine, which a URL may name only where the policy says so.
        "policy": 'hosts = ["127.0.0.1"]\n',
        "calls": [
            ("browser_navigate", {"url": "http://127.0.0.1:{port}/report.html"}, VOLATILE),
            ("browser_snapshot", {}, VOLATILE),
            ("browser_type", {"element": "Name", "target": "input[name=name]", "text": "Ada; Lovelace <ada@ferry.example>"}, VOLATILE),
            ("browser_click", {"element": "Send", "target": "button"}, VOLATILE),
            ("browser_evaluate", {"function": "() => document.title + ' ' + location.pathname"}, VOLATILE),
            ("browser_press_key", {"key": "Tab"}, VOLATILE),
            ("browser_console_messages", {"level": "info"}, VOLATILE),
            ("browser_take_screenshot", {"type": "png", "scale": "css"}, VOLATILE),
            ("browser_tabs", {"action": "list"}, VOLATILE),
            ("browser_close", {}, VOLATILE),
        ],
    },
    "git": {
        "command": [PYTHON / "mcp-server-git", "--repository", "{root}"],
        # A repository is not written because it lies in a root: it is named.
        "options": ["--root", "{root}:rw", "--root", "{root}/.git:rw"],
        "repository": True,
        "calls": [
            ("git_status", {"repo_path": "{root}"}),
            ("git_log", {"repo_path": "{root}", "max_count": 5}),
            ("git_log", {"repo_path": "{root}", "max_count": 5, "start_timestamp": "2 years ago"}),
            ("git_show", {"repo_path": "{root}", "revision": "HEAD~1"}),
            ("git_diff_unstaged", {"repo_path": "{root}", "context_lines": 3}),
            ("git_diff", {"repo_path": "{root}", "target": "main"}),
            ("git_branch", {"repo_path": "{root}", "branch_type": "local"}),
            ("git_create_branch", {"repo_path": "{root}", "branch_name": "feature/retry-2.x", "base_branch": "main"}),
            ("git_checkout", {"repo_path": "{root}", "branch_name": "feature/retry-2.x"}),
            ("git_add", {"repo_path": "{root}", "files": ["ferry.py"]}),
            ("git_diff_staged", {"repo_path": "{root}"}),
            ("git_commit", {"repo_path": "{root}", "message": "Ask for longer passwords\n\nFixes #12 & closes `retry` (see <https://ferry.example/12>)."}, VOLATILE),
            ("git_reset", {"repo_path": "{root}"}, VOLATILE),
        ],
    },
    "fetch": {
        "command": [PYTHON / "mcp-server-fetch", "--ignore-robots-txt"],
        "options": ["--net", f"{HOST}:{{port}}=127.0.0.1"],
        "calls": [
            # Not raw, it would run `npm install` first, which reaches nobody here.
            ("fetch", {"url": "{page}/report.html", "max_length": 5000, "raw": True}),
            ("fetch", {"url": "{page}/README.md", "raw": True}),
            ("fetch", {"url": "{page}/SECURITY.md"}),
            ("fetch", {"url": "{page}/languages.txt", "raw": True}),
            ("fetch", {"url": "{page}/data.json"}),
            ("fetch", {"url": "{page}/ferry.py?raw=1&next=%2Fhome%3Fa%3Db", "start_index": 100, "max_length": 400}),
            ("fetch", {"url": "{page}/missing"}, FAILS),
        ],
    },
    "time": {
        "command": [PYTHON / "mcp-server-time", "--local-timezone", "Europe/Berlin"],
        "options": [],
        "calls": [
            ("get_current_time", {"timezone": "America/Argentina/Buenos_Aires"}, VOLATILE),
            ("convert_time", {"source_timezone": "Asia/Kolkata", "time": "16:30", "target_timezone": "Etc/GMT+5"}, VOLATILE),
            ("convert_time", {"source_timezone": "Mars/Olympus", "time": "16:30", "target_timezone": "UTC"}, VOLATILE, FAILS),
        ],
    },
    "sqlite": {
        "command": [PYTHON_1 / "mcp-server-sqlite", "--db-path", "{root}/ferry.db"],
        "options": ["--root", "{root}:rw"],
        "calls": [
            ("create_table", {"query": "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT)"}),
            ("write_query", {"query": "INSERT INTO people (name, note) VALUES ('O''Brien', 'drop by; -- on Friday'), ('Ada', 'union select')"}),
            ("read_query", {"query": "SELECT name, note FROM people WHERE name LIKE 'O''%' ORDER BY id LIMIT 10"}),
            ("read_query", {"query": "WITH n AS (SELECT count(*) AS c FROM people) SELECT c, 'a;b' AS x FROM n -- how many"}),
            ("write_query", {"query": "UPDATE people SET note = NULL WHERE id = 2"}),
            ("list_tables", {}),
            ("describe_table", {"table_name": "people"}),
            ("append_insight", {"insight": "Most notes talk about Friday; delete them after the audit."}),
            ("read_query", {"query": "SELECT * FROM nowhere"}),
            ("write_query", {"query": "DELETE FROM people WHERE id = 1"}),
        ],
        "reads": True,
    },
    "text-editor": {
        "command": [PYTHON_1 / "mcp-text-editor"],
        "options": ["--root", "{root}:rw"],
        "calls": [
            ("get_text_file_contents", {"files": [{"file_path": "{root}/README.md", "ranges": [{"start": 1, "end": 1}]}]}),
            ("edit_text_file_contents", range_hash),
            ("get_text_file_contents", {"files": [{"file_path": "{root}/README.md", "ranges": [{"start": 1, "end": 8}]}]}),
            ("get_text_file_contents", {"files": [{"file_path": "{root}/ferry.py", "ranges": [{"start": 1, "end": None}]}]}),
            ("get_text_file_contents", {"files": [{"file_path": "{root}/package-lock.json", "ranges": [{"start": 1}]}]}),
        ],
    },
}
