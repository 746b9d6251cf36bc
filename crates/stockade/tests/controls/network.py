"""A server that tries to reach others: each line of `tries.json` one way, its outcomes into
`outcomes.json`. It tries at once, or as an MCP server whenever its tool is called."""

import json, os, select, socket, ssl, struct, subprocess, sys, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
GATE = "127.64.0.1"
WAIT = 20


def told(stream):
    stream.settimeout(WAIT)
    said = b""
    while True:
        more = stream.recv(65536)
        said += more
        if not more or b"canary" in said or b" 403 " in said or b" 400 " in said:
            return said.decode("latin-1")


def talk(stream, say):
    if say:
        stream.sendall(say.encode())
    return told(stream)


def direct(host, port, say):
    return talk(socket.create_connection((host, port), WAIT), say)


def tunnel(authority, say=""):
    stream = socket.create_connection((GATE, 1080), WAIT)
    early = say if say.startswith("early ") else ""
    stream.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n{early[6:]}".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        more = stream.recv(1)
        if not more:
            raise OSError("ended: " + head.decode("latin-1"))
        head += more
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(head.decode("latin-1").split("\r\n")[0])
    return stream


def connect(authority, say):
    return talk(tunnel(authority, say), "" if say.startswith("early ") else say)


def absolute(authority, host, path="/"):
    stream = socket.create_connection((GATE, 1080), WAIT)
    return talk(stream, f"GET http://{authority}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n")


def raw(say):
    return talk(socket.create_connection((GATE, 1080), WAIT), say)


def socks(kind, host, port, say):
    stream = socket.create_connection((GATE, 1080), WAIT)
    stream.sendall(b"\5\1\0")
    assert stream.recv(2) == b"\5\0"
    to = {
        "name": lambda: bytes([3, len(host.encode())]) + host.encode(),
        "four": lambda: b"\1" + socket.inet_pton(socket.AF_INET, host),
        "six": lambda: b"\4" + socket.inet_pton(socket.AF_INET6, host),
    }[kind]()
    stream.sendall(b"\5\1\0" + to + struct.pack(">H", port))
    reply = stream.recv(10)
    if reply[1:2] != b"\0":
        raise OSError(f"socks {reply[1] if len(reply) > 1 else 'ended'}")
    return talk(stream, say)


def tls(how, name, port, asked):
    stream = tunnel(f"{name}:{port}") if how == "connect" else socket.create_connection((name, port), WAIT)
    context = ssl.create_default_context(cafile=os.path.join(HERE, "authority.pem"))
    if asked != name:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    stream = context.wrap_socket(stream, server_hostname=asked or None)
    return talk(stream, f"GET / HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n")


def query(name, kind, how="udp"):
    labels = b"".join(bytes([len(it)]) + it.encode() for it in name.split("."))
    asked = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)
    if how == "tcp":
        stream = socket.create_connection((GATE, 53), WAIT)
        stream.sendall(struct.pack(">H", len(asked)) + asked)
        answer = stream.recv(4096)[2:]
    else:
        stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stream.settimeout(WAIT)
        stream.sendto(asked, (GATE, 53))
        answer = stream.recv(4096)
    return f"code {answer[3] & 15}, {struct.unpack('>H', answer[6:8])[0]} records"


def resolve(name):
    return ",".join(sorted({it[4][0] for it in socket.getaddrinfo(name, 80)}))


def urllib_(url):
    try:
        return urllib.request.urlopen(url, timeout=WAIT).read().decode()
    except urllib.error.HTTPError as error:
        raise OSError(f"{error.code} {error.read().decode()}")


def program(*words):
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    if ran.returncode != 0:
        raise OSError(ran.stderr)
    return ran.stdout


def udp(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    stream = socket.socket(family, socket.SOCK_DGRAM)
    stream.sendto(b"udp", (host, port))
    stream.settimeout(0.2)
    return stream.recv(99).decode()


def fast_open(host, port):
    stream = socket.socket()
    stream.settimeout(WAIT)
    stream.sendto(b"fast", 0x20000000, (host, port))
    return told(stream)


def family(family, kind, protocol):
    socket.socket(family, kind, protocol)
    return "there is a socket"


def unix(path):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path.replace("@", "\0"))
    return told(stream)


def listen(port):
    stream = socket.create_server(("127.0.0.1", port))
    other = socket.create_connection(stream.getsockname(), WAIT)
    return talk(stream.accept()[0], "") if other.sendall(b"canary") else "own canary"


HELD = []


def hold(host, port, count, say):
    """Opens so many connections and keeps them; says how many were answered, and how many ended."""
    waiting = []
    for _ in range(count):
        try:
            stream = socket.create_connection((host, port), WAIT)
            stream.sendall(say.encode())
            waiting.append(stream)
        except OSError:
            pass
    HELD.extend(waiting)
    answered, until = 0, time.monotonic() + 8
    while waiting and time.monotonic() < until:
        for stream in select.select(waiting, [], [], 0.2)[0]:
            waiting.remove(stream)
            try:
                answered += b"canary" in stream.recv(65536)
            except OSError:
                pass
    return f"{answered}"


WAYS = {
    "hold": hold,
    "direct": direct, "connect": connect, "absolute": absolute, "raw": raw, "socks": socks, "tls": tls,
    "query": query, "resolve": resolve, "urllib": urllib_, "program": program, "udp": udp,
    "fast_open": fast_open, "family": family, "unix": unix, "listen": listen,
}


def try_all():
    outcomes = []
    for way, *arguments in json.load(open(os.path.join(HERE, "tries.json"))):
        try:
            outcomes.append("ok: " + WAYS[way](*arguments))
        except Exception as error:
            outcomes.append(f"no: {type(error).__name__}: {error}")
    new = os.path.join(HERE, "outcomes.new")
    with open(new, "w") as file:
        json.dump(outcomes, file)
    os.rename(new, os.path.join(HERE, "outcomes.json"))


def serve():
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        result = {}
        if asked["method"] == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                      "serverInfo": {"name": "network", "version": "1"}}
        elif asked["method"] == "tools/call":
            try_all()
            result = {"content": [{"type": "text", "text": "tried"}]}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)


serve() if sys.argv[1:] == ["serve"] else try_all()
