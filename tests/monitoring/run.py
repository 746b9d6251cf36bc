"""What a guard tells others, in front of those who read it for a living.

- `export`: a real rsyslog receives the ledger by syslog over TLS, is stopped and started in the middle, and
  has parsed every record as RFC 5424, field by field.
- `gnutls`: the same by one that does not say that it has ended a connection, which is not taken for its
  word unless that is wanted.
- `alerts`: the same rsyslog is told alerts.
- `metrics`: Prometheus finds nothing wrong with the numbers, scrapes them and answers questions about them.
- `traces`: spans are what OpenTelemetry's own definitions say, and belong where `traceparent` puts them.

    STOCKADE=target/debug/stockade tests/monitoring/run.sh [export|gnutls|alerts|metrics|traces…]
"""

import base64
import http.server
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from google.protobuf import json_format  # noqa: E402  (its place depends on the line above)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: E402
from opentelemetry.proto.trace.v1 import trace_pb2  # noqa: E402

from guard import AWKWARD, STOCKADE, Guard, certificates, wait_for  # noqa: E402

POLICY = 'default = "allow"\n[[tools]]\neffect = "deny"\ntool = "remove"\n'
DATA_ID = "stockade@32473"
# What is in the data of records and alerts here.
FIELDS = ("seq", "hash", "server", "principal", "client", "session", "call", "method", "tool", "decision", "rule",
          "status", "duration_ms", "segment", "kind", "subject", "times")
# So many calls, of which each has two records: more than one connection of an export has.
CALLS = 1200


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Rsyslog:
    """A real one, that receives by TLS and writes what it has understood of each message.

    With OpenSSL (`ossl`) it says that it ends a connection, as RFC 5425 demands; with GnuTLS (`gtls`) it
    does not.
    """

    CONFIG = """
global(workDirectory="{place}" maxMessageSize="64k"
       defaultNetstreamDriverCAFile="{place}/ca.pem"
       defaultNetstreamDriverCertFile="{place}/server.pem"
       defaultNetstreamDriverKeyFile="{place}/server.key")
module(load="imtcp" streamDriver.name="{driver}" streamDriver.mode="1" streamDriver.authMode="anon")
module(load="mmpstrucdata")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="understood" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="version" name="protocol-version" format="jsonf")
  property(outname="at" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="process" name="procid" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="raw" name="structured-data" format="jsonf")
  property(outname="says" name="msg" format="jsonf")
  {data}
}}
action(type="mmpstrucdata" sd_name.lowercase="off")
action(type="omfile" file="{place}/understood.jsonl" template="understood")
"""

    def __init__(self, place, driver):
        self.place, self.port = place, free_port()
        self.driver = driver
        certificates(place)
        data = "\n  ".join(
            f'property(outname="data.{it}" name="$!rfc5424-sd!{DATA_ID}!{it}" format="jsonf")' for it in FIELDS)
        config = self.CONFIG.format(place=place, port=self.port, driver=self.driver, data=data)
        (place / "rsyslog.conf").write_text(config)
        self.log = open(place / "rsyslog.log", "a", encoding="utf-8")
        self.child = None
        self.start()

    def start(self):
        config, pid = str(self.place / "rsyslog.conf"), str(self.place / "rsyslog.pid")
        self.child = subprocess.Popen(["rsyslogd", "-n", "-f", config, "-i", pid], stdout=self.log, stderr=self.log)
        wait_for("rsyslog to listen", self.listens)

    def listens(self):
        if self.child.poll() is not None:
            raise AssertionError(f"rsyslog has ended: {(self.place / 'rsyslog.log').read_text()}")
        with socket.socket() as it:
            return it.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.child.terminate()
        self.child.wait(60)

    def url(self):
        return f"tls://localhost:{self.port}"

    def understood(self):
        """What it has written, without a last line that is not whole yet."""
        file = self.place / "understood.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def fields(message):
    """The fields of a message, as rsyslog has parsed them; and that these are all that stands there."""
    parsed = {it: message[f"data.{it}"] for it in FIELDS if message[f"data.{it}"]}
    said = re.fullmatch(rf'\[{re.escape(DATA_ID)}((?: [^ =\]"]+="(?:[^"\\\]]|\\.)*")*)\]', message["raw"])
    assert said, message["raw"]
    by_hand = {
        name: re.sub(r"\\(.)", r"\1", value)
        for name, value in re.findall(r' ([^ =]+)="((?:[^"\\\]]|\\.)*)"', said[1])
    }
    assert parsed == by_hand, (parsed, by_hand)
    return parsed


def exporting(guard, rsyslog, *options):
    command = [STOCKADE, "audit", "export", *guard.state(), "--format", "syslog", "--to", rsyslog.url(),
               "--ca", str(guard.place / "ca.pem"), *options]
    log = open(guard.place / "export.log", "w", encoding="utf-8")
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)


def check_gnutls(place):
    rsyslog = Rsyslog(place, "gtls")
    guard = Guard(place, POLICY)
    guard.call("echo")
    guard.end()
    try:
        refused = exporting(guard, rsyslog).wait(120)
        said = (place / "export.log").read_text()
        assert refused == 4 and "close_notify" in said and "--tcp-end" in said, (refused, said)
    finally:
        rsyslog.stop()
    (place / "understood.jsonl").unlink()
    return check_export(place, "gtls", "--tcp-end")


def check_export(place, driver="ossl", *options):
    rsyslog = Rsyslog(place, driver)
    guard = Guard(place, POLICY)
    export = exporting(guard, rsyslog, "--follow", *options)
    try:
        tools = ["echo", "fail", "remove", AWKWARD]
        for number in range(CALLS):
            guard.call(tools[number % len(tools)])
            if number == CALLS // 3:
                wait_for("rsyslog to have written something", rsyslog.understood)
                rsyslog.stop()
            if number == CALLS * 2 // 3:
                rsyslog.start()
                # It is stopped again with connections on their way.
                wait_for("an export to have begun again", lambda: len(rsyslog.understood()) > CALLS // 2)
                rsyslog.stop()
                rsyslog.start()
        guard.end()
        records = guard.ledger()
        wanted = [it["hash"] for it in records]

        def all_there():
            return {fields(it)["hash"] for it in rsyslog.understood()} >= set(wanted)

        try:
            wait_for("every record to arrive", all_there)
        except AssertionError as late:
            there = {fields(it)["hash"] for it in rsyslog.understood()}
            said = (place / "export.log").read_text()
            raise AssertionError(f"{late}: {len(set(wanted) - there)} of {len(wanted)} are missing: {said}") from late
    finally:
        export.terminate()
        export.wait(20)
        rsyslog.stop()
    messages = rsyslog.understood()
    order, twice = {}, 0
    for message in messages:
        name = fields(message)["hash"]
        if name in order:
            assert order[name] == message, "a record that comes twice is the same"
            twice += 1
        order.setdefault(name, message)
    assert list(order) == wanted, "each record, in order"
    for record in records:
        compare(record, order[record["hash"]])
    assert any(fields(it).get("tool") == AWKWARD for it in messages)
    return f"{len(records)} records by rsyslog's {rsyslog.driver}, each parsed; {twice} came twice, none was lost"


def compare(record, message):
    """A message says what the record says."""
    assert (message["version"], message["app"], message["id"]) == ("1", "stockade", record["kind"]), message
    assert message["host"] == socket.gethostname(), message
    assert message["process"].isdigit(), message
    assert message["at"].replace("+00:00", "Z") == record["at"], (message["at"], record["at"])
    facility, severity = divmod(int(message["pri"]), 8)
    assert facility == 10 and 2 <= severity <= 6, message
    said = fields(message)
    for name in ("seq", "hash", "server", "session", "call", "method", "tool", "decision", "rule", "status"):
        value = record.get(name)
        assert said.get(name) == (None if value in (None, "") else str(value)), (name, record, said)
    if record.get("decision") == "deny" and record["kind"] == "decision":
        assert severity == 4, message


def check_alerts(place):
    return "; ".join(alerted(place, driver) for driver in ("ossl", "gtls"))


def two(messages):
    return messages if len(messages) >= 2 else None


def alerted(above, driver):
    place = above / driver
    place.mkdir()
    rsyslog = Rsyslog(place, driver)
    alerts = f'[alerts]\nsyslog = "{rsyslog.url()}"\ndenials_per_minute = 3\ncalls_per_minute = 5\n'
    guard = Guard(place, POLICY + alerts, {"SSL_CERT_FILE": str(place / "ca.pem")})
    try:
        for _ in range(8):
            guard.call("remove")
        told = wait_for("two alerts", lambda: two(rsyslog.understood()))
        said = guard.end()
    finally:
        rsyslog.stop()
    assert "alert" not in said, said
    kinds = {fields(it)["kind"]: it for it in told}
    assert set(kinds) == {"denials", "volume"}, told
    for message in kinds.values():
        assert (message["version"], message["app"], message["pri"]) == ("1", "stockade", str(10 * 8 + 4)), message
        assert "server" in fields(message), message
    seen = {it["seq"]: it for it in guard.ledger()}
    denial = fields(kinds["denials"])
    assert seen[int(denial["seq"])]["hash"] == denial["hash"], denial
    return f"{len(told)} alerts by rsyslog's {driver}, each parsed, and leading to its record"


def check_metrics(place):
    port, own = free_port(), free_port()
    guard = Guard(place, POLICY + f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
    for tool in ["echo"] * 5 + ["fail"] * 2 + ["remove"] * 3:
        guard.call(tool)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    complaints = (checked.stdout + checked.stderr).decode()
    assert checked.returncode == 0 and not complaints.strip(), f"{complaints}\n{text.decode()}"
    (place / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, scrape_timeout: 400ms}\n"
        "scrape_configs:\n- job_name: stockade\n  static_configs:\n"
        f"  - targets: ['127.0.0.1:{port}']\n")
    log = open(place / "prometheus.log", "w", encoding="utf-8")
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/tsdb",
         f"--web.listen-address=127.0.0.1:{own}"], stdout=log, stderr=log)

    def asked(question):
        url = f"http://127.0.0.1:{own}/api/v1/query?" + urllib.parse.urlencode({"query": question})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)
        except OSError:
            return None
        assert found["status"] == "success", found
        return [(it["metric"], float(it["value"][1])) for it in found["data"]["result"]]

    def value(question):
        found = asked(question)
        assert found and len(found) == 1, (question, found)
        return found[0][1]

    try:
        wait_for("Prometheus to have scraped", lambda: asked('up{job="stockade"} == 1'))
        answers = {
            'stockade_calls_total{tool="echo",decision="allow"}': 5,
            'stockade_calls_total{tool="remove",decision="deny"}': 3,
            'sum(stockade_calls_ended_total{status="tool_error"})': 2,
            "sum(stockade_denials_total)": 3,
            "stockade_call_duration_seconds_count": 7,
            "count(stockade_build_info)": 1,
            "stockade_sessions_open": 1,
        }
        for question, wanted in answers.items():
            assert value(question) == wanted, (question, asked(question))
        quantile = value("histogram_quantile(0.9, stockade_call_duration_seconds_bucket)")
        assert 0 < quantile < 30, quantile
        guard.call("echo")
        wait_for("the next number", lambda: asked('stockade_calls_total{tool="echo"} == 6'))
    finally:
        prometheus.terminate()
        prometheus.wait(20)
        guard.end()
    return f"{len(text.splitlines())} lines that promtool has nothing against; {len(answers) + 2} questions answered"


class Collector:
    """Takes spans as a collector does, by the definitions, and answers in their words."""

    def __init__(self):
        self.requests, self.wrong = [], []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    assert self.path == "/v1/traces" and self.headers["content-type"] == "application/json"
                    collector.requests.append(by_definition(json.loads(body)))
                except Exception as wrong:  # noqa: BLE001  (whatever it is, it is told by the check)
                    collector.wrong.append(f"{wrong!r}: {body.decode(errors='replace')}")
                answer = json_format.MessageToJson(trace_service_pb2.ExportTraceServiceResponse()).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    def spans(self):
        assert not self.wrong, self.wrong
        return [span for it in self.requests for of in it.resource_spans
                for scope in of.scope_spans for span in scope.spans]


def by_definition(body):
    """A request as its definition has it. A field that the definition does not have is an error.

    OTLP writes ids in hexadecimal, where the JSON of protobuf has Base64 for bytes: the one difference
    (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
    """
    for of in body["resourceSpans"]:
        for scope in of["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    wanted = trace_service_pb2.ExportTraceServiceRequest()
    return json_format.ParseDict(body, wanted, ignore_unknown_fields=False)


def check_traces(place):
    collector = Collector()
    guard = Guard(place, POLICY + f'[traces]\nendpoint = "{collector.url()}"\n')
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    named = guard.call("echo", traceparent=f"00-{trace}-{parent}-01", tracestate="vendor=1")
    guard.call("fail")
    guard.call("remove")
    guard.call("echo", traceparent=f"00-{trace}-{parent}-00")
    guard.call("echo", traceparent="not one")
    wait_for("the spans", lambda: len(collector.spans()) >= 4)
    guard.end()
    spans = collector.spans()
    assert len(spans) == 4, "of a trace that is not sampled there is none"
    resource = {it.key: it.value.string_value for it in collector.requests[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "stockade" and resource["service.version"], resource
    for span in spans:
        assert (len(span.trace_id), len(span.span_id)) == (16, 8), span
        assert span.kind == trace_pb2.Span.SPAN_KIND_SERVER, span
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
    told, failed, denied, alone = spans
    assert (told.trace_id.hex(), told.parent_span_id.hex()) == (trace, parent), told
    server = json.loads(named["content"][0]["text"])["traceparent"]
    assert server == f"00-{trace}-{told.span_id.hex()}-01", "the server is told the guard's span"
    for span in (failed, denied, alone):
        assert span.trace_id.hex() != trace and span.parent_span_id == b"", span
    codes = [it.status.code for it in spans]
    unset, error = trace_pb2.Status.STATUS_CODE_UNSET, trace_pb2.Status.STATUS_CODE_ERROR
    assert codes == [unset, error, error, unset], codes
    return f"{len(spans)} spans by the definitions of OpenTelemetry, where `traceparent` puts them"


CHECKS = {"export": check_export, "gnutls": check_gnutls, "alerts": check_alerts, "metrics": check_metrics, "traces": check_traces}


def main():
    wanted = sys.argv[1:] or list(CHECKS)
    unknown = [it for it in wanted if it not in CHECKS]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    failed = 0
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="monitoring-") as place:
            try:
                print(f"passed  {name}: {CHECKS[name](Path(place).resolve())}", flush=True)
            except AssertionError as wrong:
                failed += 1
                print(f"FAILED  {name}: {wrong}", flush=True)
                for log in sorted(Path(place).glob("**/*.log")):
                    text = log.read_text(errors="replace")[-2000:]
                    print(f"--- {log.name}\n{text}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
