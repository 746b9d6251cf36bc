"""A registry for npm and PyPI, on this machine only, with packages that mean no good.

    registry.py CANARY MARK

CANARY is the path that code of a package writes to when it runs, followed by what ran; MARK is
written when somebody waits for the archive that never comes. The port is printed when it listens.
"""

import base64
import hashlib
import http.server
import io
import json
import sys
import tarfile
import time
import zipfile

CANARY, MARK = sys.argv[1:3]

NODE_SERVER = r"""#!/usr/bin/env node
const answer = (id, result) => console.log(JSON.stringify({ jsonrpc: "2.0", id, result }));
require("readline").createInterface({ input: process.stdin }).on("line", line => {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return;
  if (method === "initialize") answer(id, { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "from npm", version: "1" } });
  else if (method === "tools/list") answer(id, { tools: [{ name: "about", inputSchema: { type: "object" } }] });
  else if (method === "tools/call") answer(id, { content: [{ type: "text", text: JSON.stringify([require("helper"), process.argv.slice(2), process.env.KEY]) }] });
  else answer(id, {});
});
"""
PYTHON_SERVER = r"""
import json, os, sys
import helper
def main():
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked: continue
        if asked["method"] == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "from pypi", "version": "1"}}
        elif asked["method"] == "tools/call":
            said = json.dumps([helper.said, sys.argv[1:], os.environ.get("KEY")])
            result = {"content": [{"type": "text", "text": said}]}
        else: result = {}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""


def canary_from(what):
    return f"open({CANARY + '-' + what!r}, 'w').write({what!r})"


def shell_canary_from(what):
    return f"touch {CANARY}-{what}"


def archive(about, files, links=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in {"package/package.json": json.dumps(about), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o6755 if "setuid" in name else 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, to, kind in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, to
            tar.addfile(entry)
    return out.getvalue()


SCRIPTS = {
    script: shell_canary_from(script)
    for script in ("preinstall", "install", "postinstall", "prepare", "prepublish", "preprepare", "postprepare")
}


def npm(name, version="1.0.0", files=None, links=(), **more):
    about = {"name": name, "version": version, **more}
    return about, archive(about, files or {}, links)


NPM = [
    npm("helper", files={"package/index.js": 'module.exports = "helped"'}, main="index.js", scripts=SCRIPTS),
    npm(
        "server",
        files={
            "package/server.js": NODE_SERVER,
            "package/binding.gyp": "{}",
            CANARY + "-absolute": "x",
            "package/link/through-a-link": "x",
        },
        links=[
            ("package/link", CANARY.rsplit("/", 1)[0], tarfile.SYMTYPE),
            ("package/hard", "/etc/passwd", tarfile.LNKTYPE),
            ("package/pipe", "", tarfile.FIFOTYPE),
        ],
        bin={"server": "server.js", "other": "./server.js"},
        scripts=SCRIPTS,
        dependencies={"helper": "^1.0.0"},
    ),
    npm("server", "1.1.0", {"package/server.js": NODE_SERVER}, bin="server.js", dependencies={"helper": "*"}),
    npm("climber", files={"package/../../../escaped": "x"}, bin={"climber": "package.json"}),
    npm("setuid", files={"package/setuid": "x"}, bin={"setuid": "package.json"}),
    npm("bin-outside", bin={"bin-outside": "../../../../../../etc/passwd"}),
    npm("bin-absolute", bin={"bin-absolute": "/etc/passwd"}),
    npm("from-git", bin={"from-git": "x.js"}, dependencies={"evil": "git+file:///nowhere"}),
    npm("from-file", bin={"from-file": "x.js"}, dependencies={"evil": "file:../../.."}),
    npm("from-elsewhere", bin={"from-elsewhere": "x.js"}),
    # What a package writes into its own lock, npm takes as it is: here, another port of this machine.
    npm("shrinks", bin={"shrinks": "x.js"}, dependencies={"inner": "9.9.9"}, _hasShrinkwrap=True, files={
        "package/x.js": "",
        "package/npm-shrinkwrap.json": json.dumps({
            "name": "shrinks", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": {
                "": {"name": "shrinks", "version": "1.0.0", "dependencies": {"inner": "9.9.9"}},
                "node_modules/inner": {
                    "version": "9.9.9", "resolved": "http://127.0.0.1:1/internal",
                    "integrity": f"sha512-{base64.b64encode(bytes(64)).decode()}",
                },
            },
        }),
    }),
    npm("shrinks-below", bin={"shrinks-below": "x.js"}, files={"package/x.js": ""}, dependencies={"shrinks": "1.0.0"}),
    npm("named-otherwise", bin={"named-otherwise": "x.js"}, files={"package/x.js": ""}),
    npm("badly-named", bin={"a\u001b[2J": "x.js"}, files={"package/x.js": ""}),
    npm("without-program"),
    npm("never-comes", bin={"never-comes": "x.js"}, files={"package/x.js": ""}),
]


def wheel(name, version, files, programs=""):
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
            "Requires-Dist: helper\n" if name == "server" else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{programs}\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        record = "".join(f"{it},,\n" for it in [*files, f"{info}/RECORD"])
        for path, text in {**files, f"{info}/RECORD": record}.items():
            zipped.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", out.getvalue()


def sdist(name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        text = f"{canary_from('setup')}\nfrom setuptools import setup\nsetup(name={name!r}, version='1.0')\n"
        for path, text in {"setup.py": text, "PKG-INFO": f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n"}.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return f"{name}-1.0.tar.gz", out.getvalue()


PYPI = {
    "helper": [wheel("helper", "1.0", {"helper.py": 'said = "helped"', "evil.pth": f"import os; {canary_from('pth')}\n"})],
    "server": [
        wheel("server", "1.0", {
            "server.py": PYTHON_SERVER,
            "sitecustomize.py": canary_from("sitecustomize"),
            "usercustomize.py": canary_from("usercustomize"),
            "server-1.0.data/scripts/tool": f"#!python\n{canary_from('script')}\n",
        }, "server = server:main\nother = server:main"),
    ],
    "climber": [wheel("climber", "1.0", {"../../../../escaped.py": "x", "climber.py": "x"}, "climber = climber:main")],
    "absolute": [wheel("absolute", "1.0", {CANARY + "-absolute": "x", "absolute.py": "x"}, "absolute = absolute:main")],
    "source": [sdist("source")],
}


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        here = f"http://{self.headers['Host']}"
        _, place, *rest = self.path.replace("%2f", "/").split("/")
        found, kind = None, "application/octet-stream"
        if place == "npm" and len(rest) == 1:
            versions = {}
            for about, packed in NPM:
                if about["name"] == rest[0]:
                    digest = base64.b64encode(hashlib.sha512(packed).digest()).decode()
                    if rest[0] == "from-elsewhere":
                        here = "http://registry.invalid"
                    dist = {"tarball": f"{here}/tgz/{about['name']}/{about['version']}", "integrity": f"sha512-{digest}"}
                    if rest[0] == "named-otherwise":
                        about = {**about, "name": "../../../elsewhere"}
                    scripted = {"hasInstallScript": True} if "scripts" in about else {}
                    versions[about["version"]] = {**about, **scripted, "dist": dist}
            if versions:
                latest = {"latest": [*versions][-1]}
                found = json.dumps({"name": rest[0], "dist-tags": latest, "versions": versions}).encode()
                kind = "application/json"
        elif place == "tgz":
            if rest[0] == "never-comes":
                open(MARK, "w").close()
                time.sleep(3600)
            packed = [packed for about, packed in NPM if [about["name"], about["version"]] == rest]
            found = packed[0] if packed else None
        elif place == "simple" and rest[0] in PYPI:
            links = [f'<a href="{here}/whl/{rest[0]}/{name}#sha256={hashlib.sha256(it).hexdigest()}">{name}</a>' for name, it in PYPI[rest[0]]]
            found, kind = "".join(links).encode(), "text/html"
        elif place == "whl":
            found = dict(PYPI[rest[0]]).get(rest[1])
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()
