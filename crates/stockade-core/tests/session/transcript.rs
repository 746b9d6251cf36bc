//! Conversations as they were written down: `tests/transcripts/*.txt`.
//!
//! A line at the margin is what happens, the indented lines below it are the effects, in order:
//!
//! ```text
//! # A comment.
//! policy: default secret=deny tools=deny:delete_*     what is judged by, from here on (root=PATH,
//!                                                     asks=nobody, asks=client, shadow=all)
//! client> {"jsonrpc":"2.0","id":1,"method":"ping"}    what a side says
//! server garbled: says                                what its transport could not take in
//! client left: why
//! unanswered: ID why
//! withdrawn: ID
//! abandoned: ID
//! expired: ID
//! passed: 130000                                      so many milliseconds
//! another client                                      another conversation with the server
//! heeds                                               the client's roots are heeded in it
//! asks                                                a person can be asked in it
//! approved: ID                                        who was asked says yes to this exchange
//! approved other: ID                                  and here to something else
//! denied: ID                                          no
//! wanted: ID                                          whoever answers sees the question now
//! unheard: ID                                         nobody has said anything
//! granted: ["/a"]                                     these of them count
//! replaced: why                                       the server goes, for another process of it
//! begins                                              which is there
//! ```
//!
//! `STATE1` stands for the first `requestState` that the guard has made, and so on.
//!
//! Of an effect `to server: as it was`, the bytes are those that came in. `$filler` stands for a
//! text of 5000 bytes. `UPDATE=1` in the environment rewrites the files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use stockade_core::approval::{Answer, Question};
use stockade_core::check;
use stockade_core::json::Document;
use stockade_core::message::{Id, Side};
use stockade_core::meter::Meter;
use stockade_core::policy::{self, Action, Origin, Pattern, Policy, Reading, ToolRule};
use stockade_core::record::{self, Record};
use stockade_core::root::{Admission, Admitted};
use stockade_core::session::{Effect, Event, Parties, Server, Session};

use crate::oracle::{Oracle, nothing_hidden};

#[test]
fn every_transcript_is_what_happens() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(&directory).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    assert!(files.len() > 20, "the transcripts are in {}", directory.display());
    let mut wrong = String::new();
    for file in files {
        let expected = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().display();
        let replayed = panic::catch_unwind(|| Replay::new().run(&expected));
        let Ok(happened) = replayed else {
            writeln!(wrong, "{name}: see the panic above").unwrap();
            continue;
        };
        if happened == expected {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, happened).unwrap();
            continue;
        }
        let lines = expected.lines().zip(happened.lines());
        let same = lines.take_while(|(a, b)| a == b).count();
        let rest = |it: &str| it.lines().skip(same).take(6).collect::<Vec<_>>().join("\n");
        let (line, expected, happened) = (same + 1, rest(&expected), rest(&happened));
        writeln!(wrong, "{name}:{line}: expected\n{expected}\nand there is\n{happened}\n").unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// One transcript, being replayed.
struct Replay {
    server: Arc<Server>,
    session: Session,
    oracle: Oracle,
    policy: Arc<Policy>,
    clients: usize,
    now_ms: u64,
    /// What was asked about, by exchange.
    digests: HashMap<String, String>,
    /// The states that the guard has made.
    states: Vec<String>,
    out: String,
}

impl Replay {
    fn new() -> Self {
        let server = Arc::new(Server::new("files"));
        Self {
            session: session(&server, 1),
            server,
            oracle: Oracle::default(),
            policy: Arc::default(),
            clients: 1,
            now_ms: 0,
            digests: HashMap::new(),
            states: Vec::new(),
            out: String::new(),
        }
    }

    fn run(mut self, text: &str) -> String {
        for line in text.lines().filter(|it| !it.starts_with("    ")) {
            writeln!(self.out, "{line}").unwrap();
            if !line.is_empty() && !line.starts_with('#') {
                self.line(line);
            }
        }
        let written = std::mem::take(&mut self.out);
        self.leave();
        written
    }

    fn line(&mut self, line: &str) {
        if line == "another client" {
            self.leave();
            self.clients += 1;
            self.session = session(&self.server, self.clients);
            return;
        }
        if line == "heeds" {
            return self.session.heeds_roots();
        }
        if line == "asks" {
            return self.session.heeds_questions();
        }
        if line == "holds" {
            return self.session.heeds_answers();
        }
        if line == "begins" {
            return self.happens(Event::Begins);
        }
        let (what, rest) = line.split_once(['>', ':']).unwrap_or_else(|| panic!("{line}"));
        let rest = rest.trim_start();
        let rest = &self.with_states(rest);
        let one = |side| Event::Heard { from: side, bytes: Bytes::from(filled(rest)) };
        let event = match what {
            "policy" => {
                self.policy = Arc::new(policy(rest));
                return;
            }
            "client" => one(Side::Client),
            "server" => one(Side::Server),
            "client garbled" => Event::Garbled { from: Side::Client, says: rest.to_owned() },
            "server garbled" => Event::Garbled { from: Side::Server, says: rest.to_owned() },
            "client left" => Event::Left(Side::Client, rest.to_owned()),
            "server left" => Event::Left(Side::Server, rest.to_owned()),
            "answered" => {
                let (name, bytes) = rest.split_once(' ').unwrap();
                Event::Answered { id: id(name), bytes: Bytes::from(filled(bytes)) }
            }
            "withdrawn" => Event::Withdrawn { id: id(rest) },
            "abandoned" => Event::Abandoned { id: id(rest) },
            "expired" => Event::Expired { id: id(rest) },
            "unanswered" => {
                let (name, why) = rest.split_once(' ').unwrap();
                Event::Unanswered { id: id(name), why: why.to_owned() }
            }
            "passed" => {
                self.now_ms += rest.parse::<u64>().unwrap();
                Event::Passed
            }
            "granted" => Event::Granted { roots: serde_json::from_str(rest).unwrap(), tell: true },
            "wanted" => {
                Event::Wanted { call: rest.to_owned(), says: "May this be done?".to_owned() }
            }
            "approved" => self.decided(rest, None, true),
            "approved other" => self.decided(rest, Some("another"), true),
            "denied" => self.decided(rest, None, false),
            "unheard" => Event::Decided {
                call: rest.to_owned(),
                digest: self.digests[rest].clone(),
                answer: Answer::none("they are gone"),
            },
            "replaced" => Event::Replaced { why: rest.to_owned() },
            _ => panic!("{line}"),
        };
        self.happens(event);
    }

    /// A text with the states that the guard has made in the places of `STATE1` and so on.
    fn with_states(&self, text: &str) -> String {
        let states = self.states.iter().enumerate();
        states.fold(text.to_owned(), |text, (n, it)| text.replace(&format!("STATE{}", n + 1), it))
    }

    fn decided(&self, call: &str, digest: Option<&str>, approved: bool) -> Event {
        let digest = digest.unwrap_or_else(|| self.digests.get(call).map_or("", String::as_str));
        let answer = Answer {
            approved,
            approver: Some("somebody".to_owned()),
            channel: Some("terminal".to_owned()),
            says: String::new(),
            edited: None,
        };
        Event::Decided { call: call.to_owned(), digest: digest.to_owned(), answer }
    }

    fn happens(&mut self, event: Event) {
        let heard = if let Event::Heard { bytes, .. } | Event::Answered { bytes, .. } = &event {
            bytes.clone()
        } else {
            Bytes::new()
        };
        for effect in self.on(event) {
            let line = match effect {
                Effect::Record(record) => recorded(&record),
                Effect::Ask(it) => {
                    self.digests.insert(it.id.clone(), it.digest.clone());
                    let Question { id, arguments, reasons, expires_in_ms, .. } = *it;
                    let reasons = reasons.join("; ");
                    format!("ask about {id}: {arguments} ({reasons}) for {expires_in_ms}ms")
                }
                Effect::Answer { call, approved, says, .. } => {
                    let said = if approved { "yes" } else { "no" };
                    format!("the client says {said} to {call} ({says})")
                }
                Effect::Unask(call) => format!("ask no more about {call}"),
                Effect::Roots(roots) => format!("consider: {roots:?}"),
                Effect::Begun(begun) => format!("begun: {begun:?}"),
                Effect::Kill => "kill the server".to_owned(),
                Effect::Differs(it) => format!("keep: {} {}", it.part.name(), it.name),
                Effect::Send(cleared) => {
                    let bytes = cleared.bytes();
                    let text = String::from_utf8(bytes.to_vec()).unwrap();
                    let state = cleared.message().get("requestState").and_then(|it| it.str());
                    self.states
                        .extend(state.filter(|it| it.starts_with("stockade:")).map(Into::into));
                    let shown = if *bytes == heard { "as it was" } else { text.as_str() };
                    format!("to {}: {}", cleared.to().name(), shown.replace(&filler(), "$filler"))
                }
            };
            writeln!(self.out, "    {}", visible(&line)).unwrap();
        }
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.session.on(event.clone(), &self.policy, self.now_ms);
        self.oracle.watch(&event, &effects, &self.policy);
        nothing_hidden(&effects, &self.policy);
        effects
    }

    fn leave(&mut self) {
        for side in [Side::Client, Side::Server] {
            self.on(Event::Left(side, String::new()));
        }
        std::mem::take(&mut self.oracle).end(&self.session);
    }
}

fn session(server: &Arc<Server>, number: usize) -> Session {
    let session = format!("s{number}").into();
    let parties = Parties { session, principal: "local".into() };
    let mut session = Session::new(Arc::clone(server), parties, Arc::new(Meter::default()));
    session.fenced_with([7; 32]);
    session
}

/// `default` or `transparent`, then what differs: `RULE=ACTION`, `tools=EFFECT:PATTERN`,
/// `otherwise=EFFECT`, `root=PATH`, `client-root=PATH`, `shadow=all`, `shadow=EFFECT:PATTERN`,
/// `sampling=EFFECT`, `reply=EFFECT`, `form=EFFECT`, `url=EFFECT`.
fn policy(words: &str) -> Policy {
    let mut words = words.split_whitespace();
    let mut policy = match words.next() {
        Some("default") => Policy::default(),
        Some("transparent") => Policy::transparent(),
        it => panic!("no policy: {it:?}"),
    };
    let effect = |name: &str| *policy::Effect::ALL.iter().find(|it| it.name() == name).expect(name);
    for word in words {
        match word.split_once('=').expect(word) {
            ("shadow", "all") => policy.shadow = true,
            ("tools" | "shadow", rule) => {
                let (name, pattern) = rule.split_once(':').expect(word);
                let any = |it: &str| Pattern::parse(it, Reading::Wide).unwrap();
                policy.tools.rules.push(ToolRule {
                    origin: Origin { id: rule.to_owned(), place: "transcript".to_owned() },
                    effect: effect(name),
                    servers: vec![any("*")],
                    tools: vec![any(pattern)],
                    conditions: Vec::new(),
                    when: None,
                    shadow: word.starts_with("shadow"),
                });
            }
            ("root", path) => policy.roots.push(path.to_owned()),
            ("client-root", path) => policy
                .client_roots
                .push(Admission { place: Admitted::Directory(path.to_owned()), write: false }),
            ("asks", "client") => policy.asks_client = true,
            ("asks", "nobody") => policy.asks_nobody = true,
            ("otherwise", name) => policy.tools.default = effect(name),
            ("sampling", name) => policy.sampling.effect = effect(name),
            ("reply", name) => policy.sampling.reply = effect(name),
            ("form", name) => policy.elicitation.form = effect(name),
            ("url", name) => policy.elicitation.url = effect(name),
            (rule, name) => {
                let action = Action::ALL.iter().find(|it| it.name() == name).expect(word);
                policy.rules.insert(check::rule(rule).expect(word).id, *action);
            }
        }
    }
    policy
}

/// A record in one line: what it says besides the parties.
fn recorded(record: &Record) -> String {
    let kind = serde_json::to_value(record.kind).unwrap();
    let mut line = format!("record: {}", kind.as_str().unwrap());
    let mut add = |text: &str| {
        if !text.is_empty() {
            line += " ";
            line += text;
        }
    };
    add(record.from.unwrap_or_default());
    add(&record.method);
    add(record.tool.as_deref().unwrap_or_default());
    if record.kind == record::Kind::Decision {
        add(record.revision.unwrap_or_default());
    }
    add(record.decision.unwrap_or_default());
    add(&record.would.map(|it| format!("would {it}")).unwrap_or_default());
    if let Some(status) = record.status {
        add(serde_json::to_value(status).unwrap().as_str().unwrap());
        add(&record.duration_ms.filter(|it| *it > 0).map_or(String::new(), |it| format!("{it}ms")));
    }
    if let Some(rule) = &record.rule {
        add(&format!("by {rule}"));
    }
    if let (Some(approver), Some(channel)) = (&record.approver, &record.channel) {
        add(&format!("({approver}, {channel})"));
    }
    if record.mended {
        add("mended");
    }
    for it in &record.findings {
        add(&format!("[{} {} {}]", it.rule, it.action, it.place));
    }
    if !record.says.is_empty() {
        add(&format!("\"{}\"", record.says));
    }
    line
}

fn id(text: &str) -> Id {
    let value: Value = serde_json::from_str(text).unwrap();
    Id::read(Document::from_value(&value).unwrap().root()).unwrap()
}

/// Text in one line whose characters can all be seen.
fn visible(text: &str) -> String {
    let seen = |it: char| match it {
        ' '..='~' => it.to_string(),
        _ => it.escape_default().to_string(),
    };
    text.chars().map(seen).collect()
}

fn filler() -> String {
    "x".repeat(5000)
}

fn filled(text: &str) -> String {
    text.replace("$filler", &filler())
}
