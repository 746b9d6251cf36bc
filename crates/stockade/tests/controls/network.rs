//! Whom a server's process reaches: nobody, and with a list those who are on it. What is tried
//! inside is in `network.py`; what came of it is seen outside, by whoever was to be reached.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::containers;
use crate::harness::home::copy_stockade;
use crate::harness::tls::Authority;
use crate::harness::{FakeHttp, Gateway, Home, Probe, Script, call, process, wait_for};

crate::rows![
    x02_without_a_list_nobody_is_reached,
    x02_a_named_host_is_reached_by_every_way,
    x02_an_ordinary_user_has_the_same,
    x02_what_is_not_named_is_not_reached,
    x02_a_name_is_no_tunnel,
    x02_tls_and_http_must_be_for_the_name_that_was_asked_for,
    x02_what_is_only_like_tls_or_http_is_told_apart,
    x02_the_policy_names_hosts_too,
    x02_every_decision_is_in_the_ledger,
    x02_without_a_ledger_refusals_are_counted_too,
    x02_servers_share_what_the_guard_may_open,
    x02_a_ledger_that_cannot_be_written_closes_the_way_out,
    x02_nothing_of_it_is_left_when_the_guard_is_killed,
    v07_a_listed_name_does_not_lead_to_this_machine,
    v07_the_guard_itself_is_not_reached,
];

const NOBODY: u32 = 65534;
/// What is said on a connection that should not be there.
const HELLO: &str = "hello?\r\n\r\n";

/// Somebody outside, who notes everybody that comes.
pub(crate) struct Canary {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Canary {
    /// Answers every request.
    pub(crate) fn new() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanary", "")
    }

    /// Says something before it is asked.
    fn greeting() -> Self {
        Self::answering("", "220 canary\r\n")
    }

    fn answering(answer: &str, greeting: &str) -> Self {
        Self::of(TcpListener::bind("127.0.0.1:0").unwrap(), answer, greeting)
    }

    fn of(listener: TcpListener, answer: &str, greeting: &str) -> Self {
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (answer, greeting, all) = (answer.to_owned(), greeting.to_owned(), Arc::clone(&heard));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(String::new());
                    all.len() - 1
                };
                let (answer, greeting, all) = (answer.clone(), greeting.clone(), Arc::clone(&all));
                thread::spawn(move || {
                    let _gone = stream.write_all(greeting.as_bytes());
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut bytes) {
                        let said = String::from_utf8_lossy(&bytes[..count]).into_owned();
                        let whole = {
                            let mut all = all.lock().unwrap();
                            all[number].push_str(&said);
                            all[number].ends_with("\r\n\r\n")
                        };
                        if whole {
                            let _gone = stream.write_all(answer.as_bytes());
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What each connection has said.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    #[track_caller]
    fn heard_nothing(&self) {
        assert_eq!(self.heard(), Vec::<String>::new());
    }
}

/// Where a server is that tries.
pub(crate) struct Place {
    pub(crate) home: Home,
    dir: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let dir = home.path().join("server");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("network.py"), include_str!("network.py")).unwrap();
        Self { home, dir }
    }

    fn tries(&self, tries: &[Value]) {
        fs::write(self.dir.join("tries.json"), json!(tries).to_string()).unwrap();
    }

    #[track_caller]
    fn outcomes(&self, tries: &[Value], said: &str) -> Vec<String> {
        let outcomes = fs::read(self.dir.join("outcomes.json"));
        let outcomes = outcomes.unwrap_or_else(|it| panic!("nothing was tried: {it}: {said}"));
        let outcomes: Vec<String> = serde_json::from_slice(&outcomes).unwrap();
        assert_eq!(outcomes.len(), tries.len());
        outcomes
    }

    /// Each command with the server's directory as its root.
    fn options(&self) -> [String; 4] {
        let root = format!("{}:rw", self.dir.display());
        ["--allow-weaker".into(), "memory".into(), "--root".into(), root]
    }

    fn server(&self, arguments: &[&str]) -> Vec<String> {
        let script = self.dir.join("network.py").to_str().unwrap().to_owned();
        let words = ["--", "python3", &script].into_iter().chain(arguments.iter().copied());
        words.map(str::to_owned).collect()
    }

    /// Tries everything in `stockade sandbox`, and says what came of each, and what was said.
    #[track_caller]
    fn sandbox(&self, options: &[&str], tries: &[Value]) -> (Vec<String>, String) {
        self.tries(tries);
        let mut command = self.home.stockade(["sandbox"]);
        command.args(self.options()).args(options).args(self.server(&[]));
        let Output { stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&stderr).into_owned();
        (self.outcomes(tries, &said), said)
    }

    /// `stockade run`, in front of the same as an MCP server.
    pub(crate) fn run(&self, options: &[&str]) -> Probe {
        let mut command = self.home.stockade(["run"]);
        command.args(self.home.state()).args(self.options()).args(options);
        Probe::of(command.args(self.server(&["serve"]))).begin()
    }

    #[track_caller]
    pub(crate) fn tried(&self, probe: &mut Probe, tries: &[Value]) -> Vec<String> {
        self.tries(tries);
        let _none = fs::remove_file(self.dir.join("outcomes.json"));
        let answer = probe.ask(&call("try", "try", json!({})));
        self.outcomes(tries, &answer.to_string())
    }
}

/// What can hold a server here.
fn holders() -> impl Iterator<Item = &'static str> {
    ["native"].into_iter().chain(containers::can_run().then_some("podman"))
}

#[track_caller]
fn all_fail(tries: &[Value], outcomes: &[String]) {
    for (asked, outcome) in tries.iter().zip(outcomes) {
        assert!(outcome.starts_with("no: "), "{asked}: {outcome}");
    }
}

#[track_caller]
fn all_reach(tries: &[Value], outcomes: &[String]) {
    for (asked, outcome) in tries.iter().zip(outcomes) {
        assert!(outcome.starts_with("ok: ") && outcome.contains("canary"), "{asked}: {outcome}");
    }
}

pub(crate) fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Whether there is a program, which the machine's own `PATH` says.
fn is_there(program: &str) -> bool {
    let ran = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    if !ran.is_ok_and(|it| it.success()) {
        println!("there is no `{program}`, so not tried with it");
        return false;
    }
    true
}

fn x02_without_a_list_nobody_is_reached() {
    let (tcp, place) = (Canary::new(), Place::new());
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
    let six = six.map(|it| Canary::of(it, "canary", ""));
    let name = format!("stockade-canary-{}", std::process::id());
    let abstract_name = UnixAddr::from_abstract_name(&name).unwrap();
    let in_abstract = UnixListener::bind_addr(&abstract_name).unwrap();
    let path = place.dir.join("socket");
    let with_path = UnixListener::bind(&path).unwrap();
    let mode = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&path, mode).unwrap();
    let unix_hits = Arc::<Mutex<usize>>::default();
    for listener in [in_abstract, with_path] {
        let hits = Arc::clone(&unix_hits);
        thread::spawn(move || {
            for stream in listener.incoming() {
                *hits.lock().unwrap() += 1;
                let _gone = stream.unwrap().write_all(b"canary");
            }
        });
    }
    let to_udp = udp.local_addr().unwrap().port();
    // What reaches somebody where nothing holds the server.
    let mut tries = vec![
        json!(["direct", "127.0.0.1", tcp.port(), HELLO]),
        json!(["direct", "localhost", tcp.port(), HELLO]),
        json!(["fast_open", "127.0.0.1", tcp.port()]),
        json!(["udp", "127.0.0.1", to_udp]),
        json!(["unix", format!("@{name}")]),
        json!(["unix", path]),
    ];
    tries.extend(six.as_ref().map(|it| json!(["direct", "::1", it.port(), HELLO])));
    let reaching = tries.len();
    let other = format!("elsewhere.test:{}=127.0.0.1", to_udp.wrapping_add(1).max(1024));
    // What needs more than an ordinary user has, or another machine.
    tries.extend([
        json!(["direct", "169.254.169.254", 80, HELLO]),
        json!(["direct", "192.0.2.1", 80, HELLO]),
        json!(["direct", "2001:db8::1", 80, HELLO]),
        json!(["udp", "8.8.8.8", 53]),
        json!(["udp", "255.255.255.255", 9]),
        json!(["udp", "224.0.0.251", 5353]),
        json!(["resolve", "example.com"]),
        json!(["resolve", "s3cret.example.com"]),
    ]);
    // ICMP, raw, packets, netlink, vsock, the kernel's cryptography, XDP, Bluetooth, MPTCP, SCTP.
    for (family, kind, protocol) in [
        (2, 2, 1),
        (2, 3, 1),
        (2, 3, 255),
        (10, 2, 58),
        (10, 3, 58),
        (17, 3, 768),
        (17, 2, 0),
        (16, 3, 0),
        (40, 1, 0),
        (38, 5, 0),
        (44, 3, 0),
        (31, 1, 3),
        (2, 1, 262),
        (2, 1, 132),
        (2, 5, 132),
        (1, 1, 0),
        (1, 2, 0),
    ] {
        tries.push(json!(["family", family, kind, protocol]));
    }
    for holder in holders() {
        for options in [&[][..], &["--net", "none"], &["--net", &other]] {
            let options = [&["--sandbox", holder], options].concat();
            let (outcomes, said) = place.sandbox(&options, &tries);
            all_fail(&tries, &outcomes);
            assert!(!said.contains("panicked"), "{said}");
        }
    }
    tcp.heard_nothing();
    assert_eq!(*unix_hits.lock().unwrap(), 0);
    assert!(udp.recv(&mut [0; 9]).is_err());
    six.iter().for_each(Canary::heard_nothing);

    let (outcomes, _) = place.sandbox(&["--sandbox", "none"], &tries[..reaching]);
    assert_eq!(tcp.heard().len(), 3, "a try that cannot reach shows nothing: {outcomes:?}");
    assert_eq!(*unix_hits.lock().unwrap(), 2, "{outcomes:?}");
    assert!(udp.recv(&mut [0; 9]).is_ok(), "{outcomes:?}");
    assert!(six.iter().all(|it| it.heard().len() == 1), "{outcomes:?}");
}

/// Every way to somebody who is named.
struct Named {
    web: Canary,
    greets: Canary,
    list: String,
    tries: Vec<Value>,
}

impl Named {
    fn new() -> Self {
        let (web, greets) = (Canary::new(), Canary::greeting());
        let (at, greets_at) = (web.port(), greets.port());
        let list = format!(
            "api.test:{at}=127.0.0.1,*.wild.test:{at}=127.0.0.1,smtp.test:{greets_at}=127.0.0.1,127.0.0.1:{at}"
        );
        let whom = format!("api.test:{at}");
        let mut tries = vec![
            json!(["urllib", format!("http://{whom}/by-variables")]),
            json!(["direct", "api.test", at, get(&whom)]),
            json!(["direct", "API.Test", at, get(&whom)]),
            json!(["direct", "api.test.", at, get(&whom)]),
            json!(["direct", "deep.er.wild.test", at, get(&format!("deep.er.wild.test:{at}"))]),
            json!(["direct", "127.0.0.1", at, get(&format!("127.0.0.1:{at}"))]),
            json!(["direct", "smtp.test", greets_at, ""]),
            json!(["connect", whom, get(&whom)]),
            json!(["connect", whom, format!("early {}", get(&whom))]),
            json!(["connect", format!("API.TEST.:{at}"), get(&whom)]),
            json!(["connect", format!("127.0.0.1:{at}"), get(&format!("127.0.0.1:{at}"))]),
            json!(["connect", format!("smtp.test:{greets_at}"), ""]),
            json!(["absolute", whom, whom]),
            json!(["socks", "name", "api.test", at, get(&whom)]),
            json!(["socks", "name", "a.wild.test", at, get("a.wild.test")]),
            json!(["socks", "four", "127.0.0.1", at, get(&format!("127.0.0.1:{at}"))]),
            json!(["socks", "name", "smtp.test", greets_at, ""]),
            json!(["listen", 0]),
        ];
        if is_there("curl") {
            tries.push(json!([
                "program",
                "curl",
                "-sS",
                "--noproxy",
                "*",
                format!("http://{whom}/")
            ]));
            tries.push(json!(["program", "curl", "-sS", "-p", format!("http://{whom}/")]));
            let socks = ["--socks5", "127.64.0.1:1080"];
            tries.push(json!([
                "program",
                "curl",
                "-sS",
                socks[0],
                socks[1],
                format!("http://{whom}/")
            ]));
        }
        if is_there("node") {
            let fetch = format!("fetch('http://{whom}/').then(it => it.text()).then(console.log)");
            tries.push(json!(["program", "node", "-e", fetch]));
        }
        Self { web, greets, list, tries }
    }
}

fn x02_a_named_host_is_reached_by_every_way() {
    for holder in holders() {
        let (named, place) = (Named::new(), Place::new());
        let options = ["--sandbox", holder, "--net", &named.list];
        let (outcomes, said) = place.sandbox(&options, &named.tries);
        all_reach(&named.tries, &outcomes);
        assert_eq!(said, "", "{holder}: nothing was refused");
        let heard = named.web.heard();
        let all = heard.len() + named.greets.heard().len();
        assert_eq!(all, named.tries.len() - 1, "{holder}: {heard:?}");
        // A proxy is no part of what is asked.
        let plain = |it: &String| it.starts_with("GET /") && !it.contains("proxy");
        assert!(heard.iter().all(plain), "{holder}: {heard:?}");
    }
}

fn x02_an_ordinary_user_has_the_same() {
    let podman = containers::can_run_as_nobody().then_some("podman");
    for holder in ["native"].into_iter().chain(podman) {
        an_ordinary_user_reaches(holder);
    }
}

fn an_ordinary_user_reaches(holder: &str) {
    let (named, place) = (Named::new(), Place::new());
    let (at, whom) = (named.web.port(), format!("api.test:{}", named.web.port()));
    let tries = [
        json!(["urllib", format!("http://{whom}/")]),
        json!(["direct", "api.test", at, get(&whom)]),
        json!(["socks", "name", "api.test", at, get(&whom)]),
        json!(["connect", whom, get(&whom)]),
    ];
    place.tries(&tries);
    let program = place.home.path().join("stockade");
    copy_stockade(&program);
    let mut command = Command::new(&program);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    command.args(["sandbox", "--sandbox", holder]).args(place.options());
    command.args(["--net", &named.list]);
    command.args(place.server(&[])).stdin(Stdio::null());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        for path in [place.home.path(), &program, &place.dir] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    all_reach(&tries, &place.outcomes(&tries, &said));
    assert_eq!(named.web.heard().len(), tries.len());
}

/// Tries to reach `host` at `port` by every way that takes a host.
fn every_way(host: &str, port: u16) -> Vec<Value> {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let whom = format!("{bracketed}:{port}");
    let mut all = vec![
        json!(["connect", whom, get(&whom)]),
        json!(["absolute", whom, whom]),
        json!(["socks", "name", host, port, get(&whom)]),
        json!(["direct", host, port, get(&whom)]),
    ];
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        all.push(json!(["socks", "four", host, port, get(&whom)]));
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        all.push(json!(["socks", "six", host, port, get(&whom)]));
    }
    all
}

/// Whether what came back is no answer of whoever should not be reached.
#[track_caller]
fn none_reaches(tries: &[Value], outcomes: &[String]) {
    for (asked, outcome) in tries.iter().zip(outcomes) {
        let refused = outcome.starts_with("no: ")
            || ["ok: HTTP/1.1 403", "ok: HTTP/1.1 400"].iter().any(|it| outcome.starts_with(it))
            || outcome == "ok: ";
        assert!(refused && !outcome.contains("canary"), "{asked}: {outcome}");
    }
}

fn x02_what_is_not_named_is_not_reached() {
    for holder in holders() {
        nobody_else_is_reached_from(holder);
    }
}

fn nobody_else_is_reached_from(holder: &str) {
    let (canary, named, place) = (Canary::new(), Canary::new(), Place::new());
    let at = canary.port();
    let list = format!("a.test:{}=127.0.0.1,*.example.com:{at}=127.0.0.1", named.port());
    let mut tries: Vec<Value> = [
        "other.test",
        "a.test",
        "example.com",
        "evil-example.com",
        "evilexample.com",
        "example.com.evil",
        "x.example.com.evil",
        "x.example.comm",
        "127.0.0.1",
        "127.0.0.2",
        "127.64.0.1",
        "127.64.1.0",
        "11.64.0.0",
        "11.64.0.3",
        "0x7f000001",
        "0x7f.0.0.1",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "0.0.0.0",
        "localhost",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "169.254.169.254",
        "10.0.0.1",
        "192.0.2.1",
    ]
    .iter()
    .flat_map(|it| every_way(it, at))
    .collect();
    // The name with other ports.
    for port in [80, 443, 22, at] {
        tries.extend(every_way("a.test", port));
    }
    // What could be read as a listed host, and as another.
    let (fine, bad) = (format!("x.example.com:{at}"), format!("127.0.0.1:{at}"));
    for authority in [
        format!("{fine}@{bad}"),
        format!("x.example.com@{bad}"),
        format!("user:x.example.com@{bad}"),
        format!("{bad}#{fine}"),
        format!("{bad}?{fine}"),
        format!("{bad}/{fine}"),
        format!("127.0.0.1%00.example.com:{at}"),
        format!("127.0.0.1\0.example.com:{at}"),
        format!("127.0.0.1\t.example.com:{at}"),
        format!("127.0.0.1\\.example.com:{at}"),
        format!("%31%32%37.0.0.1:{at}"),
        format!("[::1].example.com:{at}"),
        format!("x.example.com:{at}:{at}"),
        format!("x.example.com:+{at}"),
        "x.example.com".to_owned(),
        String::new(),
    ] {
        tries.push(json!(["connect", authority, get(&bad)]));
        tries.push(json!(["absolute", authority, authority]));
    }
    for name in
        ["127.0.0.1\0.example.com", "127.0.0.1\n.example.com", "x.example.com:80", "", "[::1]"]
    {
        tries.push(json!(["socks", "name", name, at, HELLO]));
    }
    // A request behind one that is refused, or behind the tunnel that it asked for.
    let behind = format!("CONNECT {bad} HTTP/1.1\r\nHost: x\r\n\r\n{}", get(&fine));
    tries.push(json!(["raw", behind]));
    tries.push(json!(["connect", fine, format!("early {}", get("other.test"))]));
    tries.push(json!(["raw", format!("GET / HTTP/1.1\r\nHost: {fine}\r\n\r\n")]));
    tries.push(json!(["raw", format!("GET https://{fine}/ HTTP/1.1\r\nHost: {fine}\r\n\r\n")]));
    tries.push(json!(["raw", format!("GET ftp://{fine}/ HTTP/1.1\r\nHost: {fine}\r\n\r\n")]));
    tries.push(json!(["raw", "\u{4}\u{1}\0\u{50}\u{7f}\0\0\u{1}\0"]));
    let mut probe = place.run(&["--sandbox", holder, "--net", &list]);
    let outcomes = place.tried(&mut probe, &tries);
    none_reaches(&tries, &outcomes);
    probe.end();
    // The one tunnel that may be was opened, and nothing was said in it.
    let heard = canary.heard();
    assert!(heard.iter().all(String::is_empty) && heard.len() <= 1, "{heard:?}");
    named.heard_nothing();
    let records = place.home.records_of("egress");
    let denied =
        |what: &str| records.iter().any(|it| it["decision"] == "deny" && it["destination"] == what);
    for what in [&*bad, &format!("evil-example.com:{at}"), &format!("a.test:{at}")] {
        assert!(denied(what), "{what}: {records:?}");
    }
}

fn x02_a_name_is_no_tunnel() {
    let (canary, place) = (Canary::new(), Place::new());
    let list = format!("a.test:{}=127.0.0.1,*.b.test=127.0.0.1", canary.port());
    let (a, aaaa, txt, mx, https) = (1, 28, 16, 15, 65);
    let (tries, expected): (Vec<Value>, Vec<&str>) = [
        (json!(["query", "a.test", a]), "ok: code 0, 1 records"),
        (json!(["query", "A.teST", a]), "ok: code 0, 1 records"),
        (json!(["query", "a.test", a, "tcp"]), "ok: code 0, 1 records"),
        (json!(["query", "x.b.test", a]), "ok: code 0, 1 records"),
        (json!(["query", "a.test", aaaa]), "ok: code 0, 0 records"),
        (json!(["query", "a.test", https]), "ok: code 0, 0 records"),
        (json!(["query", "a.test", txt]), "ok: code 0, 0 records"),
        (json!(["query", "b.test", a]), "ok: code 3, 0 records"),
        (json!(["query", "s3cret.evil.test", a]), "ok: code 3, 0 records"),
        (json!(["query", "s3cret.evil.test", txt]), "ok: code 3, 0 records"),
        (json!(["query", "s3cret.evil.test", mx, "tcp"]), "ok: code 3, 0 records"),
        (json!(["query", "s3cret.a.test", a]), "ok: code 3, 0 records"),
        (json!(["query", "localhost", a]), "ok: code 3, 0 records"),
        (json!(["resolve", "a.test"]), "ok: 11.64.0.1"),
        (json!(["resolve", "evil.test"]), "no: gaierror"),
    ]
    .into_iter()
    .unzip();
    let (outcomes, said) = place.sandbox(&["--net", &list], &tries);
    for ((asked, outcome), expected) in tries.iter().zip(outcomes).zip(expected) {
        assert!(outcome.starts_with(expected), "{asked}: {outcome}");
    }
    assert!(said.contains("s3cret.evil.test"), "it is said what was refused: {said}");
    assert!(!said.contains(": a.test"), "{said}");
    canary.heard_nothing();
}

fn x02_tls_and_http_must_be_for_the_name_that_was_asked_for() {
    let (authority, place) = (Authority::new("the one"), Place::new());
    fs::copy(authority.file(&place.home), place.dir.join("authority.pem")).unwrap();
    let secure = FakeHttp::secure(Script::default(), authority.vouch("api.test", 2099));
    let canary = Canary::new();
    let (at, other) = (secure.address.port(), canary.port());
    let list = format!("api.test:{at}=127.0.0.1,cdn.test:{other}=127.0.0.1,127.0.0.1:{other}");
    let mut tries = vec![
        json!(["tls", "direct", "api.test", at, "api.test"]),
        json!(["tls", "connect", "api.test", at, "api.test"]),
    ];
    if is_there("node") {
        let fetch = format!("fetch('https://api.test:{at}/').then(it => console.log(it.status))");
        let ca = place.dir.join("authority.pem");
        let ca = format!("NODE_EXTRA_CA_CERTS={}", ca.display());
        tries.push(json!(["program", "env", ca, "node", "-e", fetch]));
    }
    let (outcomes, said) = place.sandbox(&["--net", &list], &tries);
    for (asked, outcome) in tries.iter().zip(&outcomes) {
        assert!(outcome.starts_with("ok: "), "{asked}: {outcome}: {said}");
    }
    assert_eq!(secure.requests().len(), tries.len());

    let cdn = format!("cdn.test:{other}");
    let two = format!("GET /1 HTTP/1.1\r\nHost: {cdn}\r\n\r\n{}", get("victim.test"));
    let mut tries = vec![
        json!(["direct", "cdn.test", other, get("victim.test")]),
        json!(["connect", cdn, get("victim.test")]),
        json!(["connect", cdn, get(&format!("cdn.test:{}", other ^ 1))]),
        json!(["absolute", cdn, "victim.test"]),
        json!(["direct", "cdn.test", other, "GET / HTTP/1.1\r\n\r\n"]),
        json!([
            "direct",
            "cdn.test",
            other,
            "GET / HTTP/1.1\r\nHost: cdn.test\r\nHost: victim.test\r\n\r\n"
        ]),
        json!(["direct", "cdn.test", other, "GET / HTTP/1.1\r\nHost : victim.test\r\n\r\n"]),
        json!(["direct", "cdn.test", other, "GET  / HTTP/1.1\r\nHost: victim.test\r\n\r\n"]),
        json!(["direct", "cdn.test", other, "\r\n GET / HTTP/1.1\r\nHost: victim.test\r\n\r\n"]),
        json!(["direct", "127.0.0.1", other, get("victim.test")]),
    ];
    for how in ["direct", "connect"] {
        for asked in ["victim.test", "cdn.test.victim.test", ""] {
            tries.push(json!(["tls", how, "cdn.test", other, asked]));
        }
        tries.push(json!(["tls", how, "127.0.0.1", other, "victim.test"]));
    }
    let (outcomes, said) = place.sandbox(&["--net", &list], &tries);
    none_reaches(&tries, &outcomes);
    assert!(said.contains("for `victim.test`"), "{said}");
    assert!(canary.heard().iter().all(String::is_empty), "{:?}", canary.heard());
    let (outcomes, _) =
        place.sandbox(&["--net", &list], &[json!(["direct", "cdn.test", other, two])]);
    assert!(outcomes[0].contains("canary"), "{outcomes:?}");
    let heard = canary.heard().concat();
    assert!(heard.contains("GET /1") && !heard.contains("victim"), "{heard}");
}

/// What a lenient server could take for TLS or HTTP, although no library does: it would be for
/// whomever it says.
fn x02_what_is_only_like_tls_or_http_is_told_apart() {
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let list = format!("cdn.test:{at}=127.0.0.1,127.0.0.1:{at}");
    let disguised = [
        "GET /path\r\n\r\n",
        "get /path\r\n\r\n",
        "Get\t/path\r\n\r\n",
        "  post  http://victim.test/\r\n\r\n",
        "odd / http/1.1\r\nHost: victim.test\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: victim.test\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\nHost: victim.test\r\n\r\n",
        "\u{15}\u{3}\u{1}\0\u{2}\u{1}\0\u{16}\u{3}\u{1}\r\n\r\n",
        "\u{14}\u{3}\u{3}\0\u{1}\u{1}\u{16}\u{3}\u{1}\r\n\r\n",
    ];
    let mut tries: Vec<Value> =
        disguised.iter().map(|it| json!(["direct", "cdn.test", at, it])).collect();
    tries.extend(disguised.iter().map(|it| json!(["connect", format!("cdn.test:{at}"), it])));
    let mut probe = place.run(&["--net", &list]);
    let outcomes = place.tried(&mut probe, &tries);
    none_reaches(&tries, &outcomes);
    assert!(canary.heard().iter().all(String::is_empty), "{:?}", canary.heard());
    // What is neither is bytes, and passes; and where no name is asked for, there is none to miss.
    let passes = [
        json!(["direct", "cdn.test", at, "get key\r\n\r\n"]),
        json!(["direct", "cdn.test", at, "EHLO me\r\n\r\n"]),
        json!(["direct", "127.0.0.1", at, disguised[7]]),
    ];
    let outcomes = place.tried(&mut probe, &passes);
    all_reach(&passes, &outcomes);
    probe.end();
    let records = place.home.records_of("egress");
    for says in [
        "what begins like a request cannot be read as one",
        "it begins like HTTP/2, and is not",
        "it begins with a TLS record before any handshake",
    ] {
        assert!(records.iter().any(|it| it["says"] == says), "{says}: {records:?}");
    }
}

fn x02_the_policy_names_hosts_too() {
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let tries = [json!(["direct", "a.test", at, get(&format!("a.test:{at}"))])];
    place.home.policy(&format!(
        "[sandbox]\nnet = [\"a.test:{at}=127.0.0.1\"]\n\
         [servers.closed]\ncommand = [\"true\"]\n[servers.closed.sandbox]\nnet = [\"none\"]\n\
         [servers.open]\ncommand = [\"true\"]\n"
    ));
    for (options, reached) in [
        (&["--server", "open"][..], true),
        (&["--server", "closed"], false),
        (&["--server", "open", "--net", "none"], false),
        (&["--server", "open", "--net", "b.test"], false),
    ] {
        let mut probe = place.run(options);
        let outcomes = place.tried(&mut probe, &tries);
        assert_eq!(outcomes[0].contains("canary"), reached, "{options:?}: {outcomes:?}");
        probe.end();
    }
    let wrong = [
        "net = []",
        "net = [\"*\"]",
        "net = [\"169.254.169.254\"]",
        "net = [\"none\", \"a.test\"]",
        "net = [\"a.test=10.0.0.1\", \"a.test=10.0.0.2\"]",
    ];
    for text in wrong {
        place.home.policy(&format!("[sandbox]\n{text}\n"));
        let checked = place.home.stockade(["policy", "check"]).output().unwrap();
        assert!(!checked.status.success(), "{text}: {checked:?}");
    }
}

fn x02_every_decision_is_in_the_ledger() {
    const FLOOD: usize = 300;
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let mut tries = vec![
        json!(["direct", "a.test", at, get("a.test")]),
        json!(["direct", "127.0.0.1", at, HELLO]),
        json!(["connect", "b.test:443", ""]),
    ];
    tries.extend((0..FLOOD).map(|it| json!(["query", format!("s{it}.evil.test"), 1])));
    let mut probe = place.run(&["--net", &format!("a.test:{at}=127.0.0.1")]);
    place.tried(&mut probe, &tries);
    probe.end();
    assert!(place.home.is_whole());
    let records = place.home.records_of("egress");
    let find = |what: &str| records.iter().find(|it| it["destination"] == what);
    let reached = find(&format!("a.test:{at}")).unwrap();
    assert_eq!((&reached["decision"], &reached["address"]), (&json!("allow"), &json!("127.0.0.1")));
    assert!(reached["session"].as_str().is_some_and(|it| !it.is_empty()), "{reached}");
    for what in [&*format!("127.0.0.1:{at}"), "b.test:443"] {
        let refused = find(what).unwrap_or_else(|| panic!("{what}: {records:?}"));
        assert_eq!(refused["decision"], "deny");
        assert_eq!(refused["says"], "it is not on the list of the sandbox");
    }
    let counted = |it: &Value| usize::try_from(it["repeats"].as_u64().unwrap_or(1)).unwrap();
    let denied = records.iter().filter(|it| it["decision"] == "deny");
    assert_eq!(denied.map(counted).sum::<usize>(), FLOOD + 2, "none is lost");
    assert!(records.len() < FLOOD / 2, "and not each is written: {}", records.len());
    let shown = place.home.audit(&["query", "--kind", "egress", "--decision", "allow"]);
    assert!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains(&format!("a.test:{at}")), "{shown}");
}

fn x02_without_a_ledger_refusals_are_counted_too() {
    const FLOOD: usize = 300;
    let place = Place::new();
    let tries: Vec<Value> =
        (0..FLOOD).map(|it| json!(["query", format!("s{it}.evil.test"), 1])).collect();
    let (_, said) = place.sandbox(&["--net", "a.test=127.0.0.1"], &tries);
    let lines: Vec<&str> =
        said.lines().filter_map(|it| it.strip_prefix("note: not reached: ")).collect();
    let number = |it: &&str| -> usize {
        let more = it.split(": ").find_map(|it| it.split_once(" more")?.0.parse().ok());
        more.unwrap_or(1)
    };
    assert_eq!(lines.iter().map(number).sum::<usize>(), FLOOD, "none is lost: {said}");
    assert!(lines.len() < FLOOD / 2, "and not each is said: {}", lines.len());
}

/// Servers that open what they can, of a guard that may open no more than usual.
fn x02_servers_share_what_the_guard_may_open() {
    const OPEN_MAX: usize = 1024;
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let mut serve = place.home.stockade(["serve", "--listen", "127.0.0.1:0"]);
    serve.args(place.home.state()).args(place.options());
    serve.args(["--net", &format!("a.test:{at}=127.0.0.1")]).args(place.server(&["serve"]));
    let gateway = Gateway::start(&mut process::limited(&serve, 256, OPEN_MAX));
    let ask = |tries: &[Value]| {
        place.tries(tries);
        let _none = fs::remove_file(place.dir.join("outcomes.json"));
        let mut connection = gateway.connect();
        connection.begin_legacy();
        connection.post(&[], &call("try", "try", json!({}))).message();
        (place.outcomes(tries, ""), connection)
    };
    let mut sessions = Vec::new();
    for number in 0..4 {
        let (outcomes, session) = ask(&[json!(["hold", "a.test", at, 200, get("a.test")])]);
        let answered: usize = outcomes[0].strip_prefix("ok: ").unwrap().parse().unwrap();
        assert!(answered >= 8, "server {number}: {answered}");
        sessions.push(session);
    }
    let way = [json!(["direct", "a.test", at, get("a.test")])];
    let (outcomes, _session) = ask(&way);
    all_reach(&way, &outcomes);
    let open = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count();
    assert!(open < OPEN_MAX * 3 / 4, "{open} are open, and the clients need some as well");
    gateway.end();
    let records = place.home.records_of("egress");
    let says = "the guard holds as many connections as it can, or too many of this server";
    let refused: Vec<&Value> = records.iter().filter(|it| it["says"] == says).collect();
    assert_eq!(refused.first().map(|it| &it["destination"]), Some(&json!(format!("a.test:{at}"))));
    assert!(refused.iter().all(|it| it["decision"] == "deny"), "{refused:?}");
}

fn x02_a_ledger_that_cannot_be_written_closes_the_way_out() {
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let mut probe = place.run(&["--net", &format!("a.test:{at}=127.0.0.1")]);
    let way = [json!(["direct", "a.test", at, get("a.test")])];
    assert!(place.tried(&mut probe, &way)[0].contains("canary"));
    let heard = canary.heard().len();
    // The call itself is written down still; then there is no room.
    let mut tries: Vec<Value> =
        (0..40).map(|it| json!(["resolve", format!("{it}.evil.test")])).collect();
    tries.extend((0..3).map(|_| way[0].clone()));
    place.tries(&tries);
    fs::remove_file(place.dir.join("outcomes.json")).unwrap();
    let size = |dir: &Path| -> u64 {
        let files = fs::read_dir(dir).unwrap().filter_map(|it| it.unwrap().metadata().ok());
        files.filter(fs::Metadata::is_file).map(|it| it.len()).max().unwrap()
    };
    process::limit_files(probe.guard(), size(&place.home.ledger()) + 4096);
    probe.send(&call("try", "try", json!({})));
    let ended = probe.ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert_eq!(canary.heard().len(), heard, "nobody was reached after that");
}

fn x02_nothing_of_it_is_left_when_the_guard_is_killed() {
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let list = format!("a.test:{at}=127.0.0.1");
    for holder in holders() {
        nothing_is_left_of(&place, holder, &list, at);
    }
}

fn nothing_is_left_of(place: &Place, holder: &str, list: &str, at: u16) {
    let mut probe = place.run(&["--sandbox", holder, "--net", list]);
    let way = [json!(["direct", "a.test", at, get("a.test")])];
    assert!(place.tried(&mut probe, &way)[0].contains("canary"));
    let guard = i32::try_from(probe.guard()).unwrap();
    let network = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let own = network(guard).unwrap();
    let tree = process::tree(guard);
    let inside = tree.iter().filter_map(|it| network(*it)).find(|it| *it != own).unwrap();
    let held = || {
        let all = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
        all.filter_map(network).any(|it| it == inside)
    };
    assert!(held());
    process::kill(guard);
    wait_for("the server's network to be gone", || (!held()).then_some(()));
    for pid in tree {
        wait_for("every process to be gone", || process::is_dead(pid).then_some(()));
    }
}

fn v07_a_listed_name_does_not_lead_to_this_machine() {
    let (canary, place) = (Canary::new(), Place::new());
    let at = canary.port();
    let onward = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{at}/\r\ncontent-length: 0\r\n\r\n"
    );
    let redirecting = Canary::answering(&onward, "");
    let from = redirecting.port();
    // Names of this machine's own, which resolve to it without anybody outside being asked.
    let list =
        format!("localhost:{at},ip6-localhost:{at},a.localhost:{at},from.test:{from}=127.0.0.1");
    let mut tries: Vec<Value> = ["localhost", "LOCALHOST.", "ip6-localhost", "a.localhost"]
        .iter()
        .flat_map(|it| every_way(it, at))
        .collect();
    tries.push(json!(["urllib", format!("http://from.test:{from}/")]));
    let mut probe = place.run(&["--net", &list]);
    let outcomes = place.tried(&mut probe, &tries);
    probe.end();
    canary.heard_nothing();
    assert_eq!(redirecting.heard().len(), 1, "{outcomes:?}");
    for (asked, outcome) in tries.iter().zip(&outcomes) {
        assert!(!outcome.contains("canary"), "{asked}: {outcome}");
    }
    let records = place.home.records_of("egress");
    let refused = records.iter().find(|it| it["destination"] == format!("localhost:{at}")).unwrap();
    assert_eq!(refused["decision"], "deny");
    let says = refused["says"].as_str().unwrap();
    assert!(says.contains("it is this machine itself"), "{says}");
}

fn v07_the_guard_itself_is_not_reached() {
    let place = Place::new();
    let mut serve = place.home.stockade(["serve", "--listen", "127.0.0.1:0"]);
    serve.args(place.home.state()).args(place.options());
    serve.args(["--net", "a.test=127.0.0.1,localhost"]).args(place.server(&["serve"]));
    let gateway = Gateway::start(&mut serve);
    let port = gateway.address.port();
    let tries: Vec<Value> =
        ["127.0.0.1", "localhost", "0.0.0.0", "a.test", "::ffff:127.0.0.1", "0x7f.1"]
            .iter()
            .flat_map(|it| every_way(it, port))
            .collect();
    place.tries(&tries);
    let mut connection = gateway.connect();
    connection.begin_legacy();
    connection.post(&[], &call("try", "try", json!({}))).message();
    none_reaches(&tries, &place.outcomes(&tries, ""));
    gateway.end();
    let refusals = place.home.records_of("refusal");
    assert!(refusals.is_empty(), "nobody came to the door: {refusals:?}");
}
