//! The way out, in front of a machine that answers as it is told: what a name resolves to at which
//! moment cannot be chosen from outside.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, RCODE, TYPE, rdata::RData};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::Waited;
use super::opening::{Look, Opening};
use super::*;
use crate::guard::Unrecorded;

/// Answers with one list of addresses after the other, and connects to a listener of this test
/// whatever is dialled.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    own: Vec<IpAddr>,
    unknown: Vec<IpAddr>,
    dialled: Mutex<Vec<SocketAddr>>,
    there: Option<SocketAddr>,
}

impl Reach for Scripted {
    fn resolve<'a>(&'a self, _name: &'a str) -> Waited<'a, Vec<IpAddr>> {
        let mut answers = self.answers.lock().unwrap();
        let found = if answers.is_empty() { None } else { Some(answers.remove(0)) };
        Box::pin(async { found.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }

    fn is_own(&self, address: IpAddr) -> io::Result<bool> {
        match self.unknown.contains(&address) {
            true => Err(io::ErrorKind::Other.into()),
            false => Ok(self.own.contains(&address)),
        }
    }

    fn dial(&self, address: SocketAddr) -> Waited<'_, TcpStream> {
        self.dialled.lock().unwrap().push(address);
        Box::pin(async {
            let there = self.there.ok_or(io::ErrorKind::ConnectionRefused)?;
            TcpStream::connect(there).await
        })
    }
}

/// Keeps decisions, as long as it can.
#[derive(Debug, Default)]
struct Kept {
    lines: Mutex<Vec<String>>,
    broken: bool,
}

impl Witness for Kept {
    fn write(&self, it: &Decision<'_>) -> Result<(), Unrecorded> {
        if self.broken {
            return Err(Unrecorded(stockade_store::Error::Poisoned {
                cause: "no space".to_owned(),
            }));
        }
        let address = it.address.map(|it| format!(" at {it}")).unwrap_or_default();
        let what = if it.allowed { "allow" } else { "deny" };
        self.lines.lock().unwrap().push(format!("{what} {}{address}", it.destination));
        Ok(())
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn way(list: &str, reach: &Arc<Scripted>, kept: &Arc<Kept>) -> Arc<Way> {
    let network: Network = list.parse().unwrap();
    let names = Names::new(&network);
    let (witness, reach) = (Arc::clone(kept), Arc::clone(reach));
    Arc::new(Way { network, names, witness, reach })
}

fn resolving(answers: &[&[&str]]) -> Arc<Scripted> {
    let answers = answers.iter().map(|all| all.iter().map(|it| ip(it)).collect()).collect();
    Arc::new(Scripted { answers: Mutex::new(answers), ..Scripted::default() })
}

fn dialled(reach: &Scripted) -> Vec<String> {
    reach.dialled.lock().unwrap().iter().map(ToString::to_string).collect()
}

async fn connect(way: &Way, asked: &str) -> Result<(), Refused> {
    let (host, port) = way.parse(asked)?;
    way.connect(&host, port).await.map(drop)
}

#[tokio::test]
async fn a_name_is_resolved_once_and_the_judged_address_is_dialled() {
    // What a rebinding name does: public for whoever judges, private for whoever connects.
    let reach = resolving(&[&["93.184.216.34"], &["127.0.0.1"], &["169.254.169.254"]]);
    let kept = Arc::new(Kept::default());
    let way = way("rebind.example:80", &reach, &kept);
    let unreachable = connect(&way, "rebind.example:80").await;
    assert!(matches!(unreachable, Err(Refused::Unreachable(_))), "nobody listens in this test");
    assert_eq!(dialled(&reach), ["93.184.216.34:80"]);
    for _ in 0..2 {
        let refused = connect(&way, "rebind.example:80").await;
        assert!(matches!(refused, Err(Refused::Forbidden(_))), "{refused:?}");
    }
    assert_eq!(dialled(&reach).len(), 1);
    assert_eq!(
        *kept.lines.lock().unwrap(),
        [
            "allow rebind.example:80 at 93.184.216.34",
            "deny rebind.example:80 at 127.0.0.1",
            "deny rebind.example:80 at 169.254.169.254",
        ]
    );
}

#[tokio::test]
async fn every_address_of_a_name_is_judged() {
    let mixed: &[&str] = &["10.0.0.1", "::1", "1.1.1.1", "::ffff:1.1.1.1", "2606:4700::1"];
    let reach = resolving(&[mixed]);
    let way = way("a.example", &reach, &Arc::default());
    assert!(connect(&way, "a.example:443").await.is_err());
    assert_eq!(dialled(&reach), ["1.1.1.1:443", "[2606:4700::1]:443"]);
}

#[tokio::test]
async fn a_public_address_of_this_machine_is_this_machine() {
    let answers = Mutex::new(vec![vec![ip("1.2.3.4")]]);
    let reach = Scripted { answers, own: vec![ip("1.2.3.4")], ..Scripted::default() };
    let reach = Arc::new(reach);
    let way = way("a.example", &reach, &Arc::default());
    assert!(matches!(connect(&way, "a.example:443").await, Err(Refused::Forbidden(_))));
    assert!(dialled(&reach).is_empty());
    assert!(System.is_own(ip("127.0.0.1")).unwrap(), "the kernel says so too");
}

#[tokio::test]
async fn an_address_that_cannot_be_looked_at_is_not_dialled() {
    let answers = Mutex::new(vec![vec![ip("1.2.3.4")]]);
    let reach = Scripted { answers, unknown: vec![ip("1.2.3.4")], ..Scripted::default() };
    let reach = Arc::new(reach);
    let way = way("a.example", &reach, &Arc::default());
    assert!(matches!(connect(&way, "a.example:443").await, Err(Refused::Forbidden(_))));
    assert!(dialled(&reach).is_empty());
}

#[tokio::test]
async fn only_so_many_addresses_are_tried() {
    let many: Vec<String> = (1..200).map(|it| format!("1.1.1.{it}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let reach = resolving(&[&many]);
    let way = way("a.example", &reach, &Arc::default());
    assert!(connect(&way, "a.example:443").await.is_err());
    assert_eq!(dialled(&reach).len(), dial::ADDRESSES_MAX);
}

#[tokio::test]
async fn what_the_operator_wrote_is_dialled_and_never_resolved() {
    let reach = resolving(&[&["9.9.9.9"]]);
    let way = way("db.internal:5432=10.0.0.5,192.168.1.1:80", &reach, &Arc::default());
    for asked in ["db.internal:5432", "DB.Internal.:5432", "192.168.1.1:80"] {
        assert!(matches!(connect(&way, asked).await, Err(Refused::Unreachable(_))), "{asked}");
    }
    assert_eq!(dialled(&reach), ["10.0.0.5:5432", "10.0.0.5:5432", "192.168.1.1:80"]);
    // The address behind a name is not itself on the list.
    for asked in ["10.0.0.5:5432", "[::ffff:192.168.1.1]:80", "[64:ff9b::c0a8:101]:80"] {
        assert!(matches!(connect(&way, asked).await, Err(Refused::Forbidden(_))), "{asked}");
    }
    assert_eq!(reach.answers.lock().unwrap().len(), 1, "nobody was asked");
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_happen() {
    let reach = resolving(&[&["1.1.1.1"]]);
    let kept = Arc::new(Kept { broken: true, ..Kept::default() });
    let way = way("a.example,10.0.0.1:80", &reach, &kept);
    for asked in ["a.example:443", "10.0.0.1:80"] {
        assert!(matches!(connect(&way, asked).await, Err(Refused::Forbidden(_))), "{asked}");
    }
    assert!(dialled(&reach).is_empty());
}

#[tokio::test]
async fn a_made_up_address_means_its_name() {
    let reach = resolving(&[&["1.1.1.1"]]);
    let way = way("a.example", &reach, &Arc::default());
    let made_up = Host::Address(way.names.address_of("a.example").unwrap().into());
    assert!(way.connect(&made_up, 443).await.is_err());
    assert_eq!(dialled(&reach), ["1.1.1.1:443"]);
    let next = Host::Address(Ipv4Addr::new(11, 64, 0, 2).into());
    assert!(matches!(way.connect(&next, 443).await, Err(Refused::Forbidden(_))));
}

/// The first bytes of a TLS client that asks for `name`.
fn hello(name: &str, says_name: bool) -> Vec<u8> {
    use rustls::crypto::aws_lc_rs::default_provider;
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let roots = rustls::RootCertStore::empty();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_sni = says_name;
    let name = name.to_owned().try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn opening(bytes: &[u8]) -> Option<Opening> {
    Look::default().take(bytes).unwrap()
}

#[test]
fn a_beginning_is_known_however_it_is_cut() {
    let get = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec();
    for (bytes, expected) in [
        (hello("a.example", true), Opening::Tls(Some("a.example".to_owned()))),
        (hello("A.Example", true), Opening::Tls(Some("a.example".to_owned()))),
        (hello("a.example", false), Opening::Tls(None)),
        (hello("10.0.0.1", true), Opening::Tls(None)),
        (get, Opening::Http),
    ] {
        assert_eq!(opening(&bytes), Some(expected.clone()));
        let mut look = Look::default();
        let found: Vec<_> = bytes.iter().map(|it| look.take(&[*it]).unwrap()).collect();
        let (last, before) = found.split_last().unwrap();
        assert!(before.iter().all(Option::is_none));
        assert_eq!(*last, Some(expected));
        assert_eq!(look.bytes, bytes, "all of it is passed on");
    }
    for other in [
        &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
        b"*1\r\n$4\r\nPING\r\n",
        b"EHLO me\r\n",
        b"SSH-2.0-x\r\n",
    ] {
        assert_eq!(opening(other), Some(Opening::Other), "{other:?}");
    }
    // What somebody lenient could take for a request is not something else, however it is cut.
    for odd in [
        &b"GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..],
        b"GET  /",
        b"GET / HTTP/1.1\r\nHost : b.example\r\n\r\n",
        b"\r\n\r\n  GET / HTTP/1.1\r\n",
        b"ODD  / HTTP/1.1\r\n",
        b"ODD  / http/1.1\r\n",
        b"GET /path\r\n",
        b"GET /path\n",
        b"get /path\r\n",
        b"get\t/path\r\n",
        b"Post  http://b.example/\r\n",
        b"  get /path\r\n",
        b"PRI * HTTP/2.0\r\nHost: b.example\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
    ] {
        assert_eq!(opening(odd), Some(Opening::Http), "{odd:?}");
        assert_eq!(by_bytes(odd), Some(Opening::Http), "{odd:?}");
    }
    // What reads like one, and is another's.
    for other in [&b"get key\r\n"[..], b"set key 0 0 1\r\n", b"{\"a\": 1", b"PING\r\n"] {
        assert_eq!(opening(other), Some(Opening::Other), "{other:?}");
        assert_eq!(by_bytes(other), Some(Opening::Other), "{other:?}");
    }
}

/// The same, where each byte comes by itself.
fn by_bytes(bytes: &[u8]) -> Option<Opening> {
    let mut look = Look::default();
    bytes.iter().find_map(|it| look.take(&[*it]).unwrap())
}

#[test]
fn what_somebody_lenient_takes_for_tls_or_http_is_told_apart() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let behind = |more: &[u8]| [&preface[..], more].concat();
    let settings = behind(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
    assert_eq!(opening(&settings), Some(Opening::Other));
    assert_eq!(by_bytes(&settings), Some(Opening::Other));
    assert_eq!(opening(preface), None);
    let hello = hello("b.example", true);
    let after = |record: &[u8]| [record, &hello].concat();
    for bytes in [
        behind(b"GET / HTTP/1.1\r\n"),
        behind(&[0, 0, 6, 1, 0, 0, 0, 0, 1]),
        after(&[21, 3, 1, 0, 2, 1, 0]),
        after(&[21, 3, 3, 0, 2, 1, 90]),
        after(&[21, 3, 0, 0, 1, 1]),
        after(&[20, 3, 3, 0, 1, 1]),
        vec![0x80, 46, 1, 3, 1, 0, 21, 0, 0],
        vec![0x80, 46, 1, 0, 2, 0, 21, 0, 0],
    ] {
        let found = opening(&bytes).unwrap();
        assert!(matches!(found, Opening::Disguised(_)), "{bytes:?}: {found:?}");
        assert_eq!(by_bytes(&bytes), Some(found.clone()));
        for (host, fine) in [("a.example", false), ("10.0.0.1", true)] {
            assert_eq!(found.check(&Host::parse(host).unwrap(), 8443).is_ok(), fine, "{host}");
        }
    }
    assert!(Look::default().take(&[22, 3, 1, 0, 4, 2, 0, 0, 0]).is_err(), "a server's hello");
    let mut look = Look::default();
    let endless = (0..100).find_map(|_| look.take(&[b'A'; 1024]).err());
    assert_eq!(endless.as_deref(), Some("it begins with too much"));
}

#[test]
fn the_name_that_was_asked_for_is_the_name_that_is_said() {
    let tls = |name: &str| Opening::Tls(Some(name.to_owned()));
    let name = |text: &str| Host::parse(text).unwrap();
    for (opening, host, port, fine) in [
        (tls("a.example"), "a.example", 443, true),
        (tls("a.example"), "a.example", 8443, true),
        (tls("b.example"), "a.example", 443, false),
        (tls("a.example.evil"), "a.example", 443, false),
        (tls("a.example"), "10.0.0.1", 443, false),
        (Opening::Tls(None), "a.example", 443, false),
        (Opening::Tls(None), "10.0.0.1", 443, true),
        (Opening::Http, "a.example", 443, true),
        (Opening::Other, "a.example", 443, false),
        (Opening::Other, "a.example", 80, false),
        (Opening::Other, "a.example", 5432, true),
        (Opening::Other, "10.0.0.1", 443, true),
    ] {
        assert_eq!(opening.check(&name(host), port).is_ok(), fine, "{opening:?} {host}:{port}");
    }
}

fn ask(way: &Way, name: &str, kind: TYPE) -> (RCODE, Vec<Ipv4Addr>) {
    let mut question = Packet::new_query(7);
    let kind = QTYPE::TYPE(kind);
    let name = Name::new_unchecked(name);
    question.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    let answer = dns::answer(way, &question.build_bytes_vec().unwrap()).unwrap();
    let answer = Packet::parse(&answer).unwrap();
    assert_eq!((answer.id(), answer.questions.len()), (7, 1));
    let addresses = answer.answers.iter().map(|it| {
        let RData::A(it) = &it.rdata else { panic!("{it:?}") };
        Ipv4Addr::from_bits(it.address)
    });
    (answer.rcode(), addresses.collect())
}

#[test]
fn listed_names_have_an_address_and_others_do_not_exist() {
    let kept = Arc::new(Kept::default());
    let way = way("a.example,*.b.example:80,10.0.0.1:80", &resolving(&[]), &kept);
    let first = Ipv4Addr::new(11, 64, 0, 1);
    let second = Ipv4Addr::new(11, 64, 0, 2);
    assert_eq!(ask(&way, "a.example", TYPE::A), (RCODE::NoError, vec![first]));
    assert_eq!(ask(&way, "A.EXAMPLE", TYPE::A), (RCODE::NoError, vec![first]));
    assert_eq!(ask(&way, "x.b.example", TYPE::A), (RCODE::NoError, vec![second]));
    for kind in [TYPE::AAAA, TYPE::HTTPS, TYPE::SVCB, TYPE::TXT, TYPE::MX, TYPE::NS] {
        assert_eq!(ask(&way, "a.example", kind), (RCODE::NoError, vec![]), "{kind:?}");
    }
    assert!(kept.lines.lock().unwrap().is_empty());
    for name in ["b.example", "c.example", "x.a.example", "localhost", "10.0.0.1", "s3cret.evil"] {
        for kind in [TYPE::A, TYPE::TXT] {
            assert_eq!(ask(&way, name, kind), (RCODE::NameError, vec![]), "{name}");
        }
    }
    assert_eq!(kept.lines.lock().unwrap().len(), 12);
}

#[test]
fn what_is_no_question_has_no_answer() {
    let way = way("a.example", &resolving(&[]), &Arc::default());
    let mut question = Packet::new_query(7);
    let kind = QTYPE::TYPE(TYPE::A);
    let name = Name::new_unchecked("a.example");
    question.questions.push(Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false));
    let whole = question.build_bytes_vec().unwrap();
    assert!(dns::answer(&way, &whole).is_some());
    for end in 0..whole.len() {
        assert_eq!(dns::answer(&way, &whole[..end]), None, "cut at {end}");
    }
    // Every byte of it as every other: whatever comes of that, it comes to an end.
    for at in 0..whole.len() {
        for byte in 0..=u8::MAX {
            let mut changed = whole.clone();
            changed[at] = byte;
            dns::answer(&way, &changed);
        }
    }
    // Numbers that nothing follows.
    for at in [4, 6, 8, 10] {
        let mut many = whole.clone();
        many[at] = 0xff;
        assert_eq!(dns::answer(&way, &many), None);
    }
    let mut answer = whole.clone();
    answer[2] |= 0x80;
    assert_eq!(dns::answer(&way, &answer), None, "an answer is no question");
}

/// A request over a connection that was made for `a.example:8080`, and what the two sides get.
async fn relayed(request: &str) -> (String, String) {
    answered(request, "", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "").await
}

/// The same, with this greeting and this answer, and with this said by the client after it.
async fn answered(
    request: &str,
    greeting: &'static str,
    answer: &'static str,
    then: &str,
) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = Some(listener.local_addr().unwrap());
    let reach = Arc::new(Scripted { there, ..Scripted::default() });
    let way = way("a.example:8080=10.0.0.1", &reach, &Arc::default());
    let reached = way.connect(&Host::parse("a.example").unwrap(), 8080).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        while !heard.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut heard).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return heard,
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _rest = stream.read_to_end(&mut heard).await;
        heard
    });
    let (mut client, inside) = tokio::io::duplex(64 << 10);
    let relay = tokio::spawn(async move { tunnel::pass(&way, inside, reached).await });
    if !greeting.is_empty() {
        let mut greeted = vec![0; greeting.len()];
        client.read_exact(&mut greeted).await.unwrap();
        assert_eq!(greeted, greeting.as_bytes());
    }
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    if !then.is_empty() {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            assert_ne!(client.read_buf(&mut bytes).await.unwrap(), 0);
        }
        answer = String::from_utf8(bytes).unwrap();
        client.write_all(then.as_bytes()).await.unwrap();
    }
    client.shutdown().await.unwrap();
    let _reset = client.read_to_string(&mut answer).await;
    relay.await.unwrap();
    (answer, String::from_utf8(server.await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_connection_becomes_a_websocket_and_nothing_else() {
    let asks = |protocol: &str| {
        let connection = "Connection: keep-alive, Upgrade";
        format!("GET / HTTP/1.1\r\nHost: a.example\r\n{connection}\r\nUpgrade: {protocol}\r\n\r\n")
    };
    let agrees =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let (answer, heard) = answered(&asks("WebSocket"), "", agrees, "\x01frames").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(heard.contains("upgrade: websocket\r\n") && heard.ends_with("\x01frames"), "{heard}");
    // In this the next request would be for whomever it says.
    let (answer, heard) = relayed(&asks("h2c")).await;
    assert!(answer.contains("200 OK") && !heard.contains("h2c"), "{answer}{heard}");
    let (answer, _) = answered(&asks("h2c"), "", agrees, "").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn whoever_speaks_first_is_no_server_of_http() {
    let says = "CONNECT {\"verbose\":false}\r\nPING\r\n\r\n";
    let (answer, heard) = answered(says, "INFO {}\r\n", "+OK\r\n", "").await;
    assert_eq!((answer.as_str(), heard.as_str()), ("+OK\r\n", says));
}

#[tokio::test]
async fn every_request_is_for_the_host_that_was_asked_for() {
    let (answer, heard) = relayed("GET /x HTTP/1.1\r\nHost: a.example:8080\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hi"), "{answer}");
    assert!(heard.starts_with("GET /x HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: a.example:8080\r\n"), "{heard}");
    let second =
        "GET /1 HTTP/1.1\r\nHost: A.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let (answer, heard) = relayed(second).await;
    assert!(answer.contains("200 OK") && answer.contains("403 Forbidden"), "{answer}");
    assert!(heard.contains("/1") && !heard.contains("/2"), "{heard}");
    for bad in [
        "GET / HTTP/1.1\r\nHost: b.example:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET http://b.example/ HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
    ] {
        let (answer, heard) = relayed(bad).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.0 403"),
            "{bad}: {answer}"
        );
        assert_eq!(heard, "", "{bad}");
    }
    // What hides one request in another cannot be read at all.
    for smuggled in [
        "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\n X: y\r\n\r\n",
    ] {
        let (answer, heard) = relayed(smuggled).await;
        assert!(!answer.contains("200 OK"), "{smuggled}: {answer}");
        assert!(!heard.contains("hello") || heard.is_empty(), "{smuggled}: {heard}");
    }
}
