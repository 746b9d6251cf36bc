//! Approvals behind `stockade serve`: the same questions, asked of the person who runs the gateway, of
//! clients of both eras, in front of a process and of a remote server.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use crate::approvals::{ASKS, approvals, question, questions, service, waiting};
use crate::harness::http::modern_headers;
use crate::harness::probe::initialize;
use crate::harness::process::kill;
use crate::harness::{
    Connection, Fake, FakeHttp, Gateway, Home, MODERN, Probe, Script, Step, call, is_refusal,
    modern, request, say, text, tool, wait_for,
};

crate::rows![
    u01_a_call_waits_until_it_is_approved,
    u01_who_says_no_and_who_says_nothing,
    u01_a_client_that_leaves,
    u01_what_is_cancelled_is_asked_about_no_more,
    u01_whoever_is_killed_has_not_said_yes,
    u01_a_client_can_ask_its_person,
    u01_a_client_of_one_stream_waits_as_well,
    u02_what_changes_between_question_and_answer,
    u02_two_people_never_share_a_question,
    u04_nobody_takes_all_the_places,
    u07_who_has_a_key_answers_nothing,
    p10_what_a_server_asks_comes_back_to_it,
    p11_a_state_is_for_one_person_one_call_and_once,
    p12_a_client_that_has_not_declared_it_is_not_asked,
];

/// The word of a client counts.
const CLIENT: &str = "\n[approvals]\nclient = true\n";

/// What is in front of the server, and how its client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    is_remote: bool,
    revision: &'static str,
}

impl Form {
    pub(crate) fn is_modern(self) -> bool {
        self.revision == MODERN
    }
}

pub(crate) const FORMS: &[Form] = &[
    Form { is_remote: false, revision: "2025-03-26" },
    Form { is_remote: false, revision: "2025-11-25" },
    Form { is_remote: false, revision: MODERN },
    Form { is_remote: true, revision: "2025-06-18" },
    Form { is_remote: true, revision: "2025-11-25" },
    Form { is_remote: true, revision: MODERN },
];

/// A server, whichever it is.
enum Server {
    Here(Fake),
    There(FakeHttp),
}

/// A gateway in front of a server that has `pay`.
pub(crate) struct Stand {
    pub(crate) home: Home,
    server: Server,
    pub(crate) gateway: Gateway,
    form: Form,
}

impl Stand {
    fn new(form: Form, more: &str) -> Self {
        Self::with(form, more, Script::default(), &[])
    }

    /// With a script, and one key for each of these people.
    pub(crate) fn with(form: Form, more: &str, script: Script, people: &[&str]) -> Self {
        let home = Home::new();
        home.policy(&format!("{ASKS}{more}"));
        let script = script.with(tool("pay")).with(tool("pay_all"));
        let mut command = Gateway::command(&home);
        for name in people {
            command.args(["--key", name]);
        }
        let server = if form.is_remote {
            let server = FakeHttp::new(script);
            command.args(["--upstream", &server.url()]);
            Server::There(server)
        } else {
            let fake = home.fake(script);
            command.arg("--").args(fake.command());
            Server::Here(fake)
        };
        let gateway = Gateway::start(&mut command);
        Self { home, server, gateway, form }
    }

    /// A client that has nothing to show forms with.
    fn client(&self) -> Client {
        self.client_of(self.gateway.connect(), json!({}))
    }

    pub(crate) fn client_of(&self, connection: Connection, can: Value) -> Client {
        self.client_in(self.form.revision, connection, can)
    }

    fn client_in(&self, revision: &'static str, mut connection: Connection, can: Value) -> Client {
        let is_modern = revision == MODERN;
        if !is_modern {
            let mut hello = initialize(revision);
            hello["params"]["capabilities"] = can.clone();
            let answer = connection.post(&[], &hello);
            let session = answer.header("mcp-session-id").expect("a session").to_owned();
            connection.keep("mcp-session-id", &session);
            if revision > "2025-03-26" {
                connection.keep("mcp-protocol-version", revision);
            }
            let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            assert_eq!(connection.post(&[], &ready).status, 202);
        }
        let client = Client { connection, is_modern, can };
        client.ask(&request("list", "tools/list", json!({})));
        client
    }

    pub(crate) fn messages(&self) -> Vec<Value> {
        match &self.server {
            Server::Here(it) => it.messages(),
            Server::There(it) => it.messages(),
        }
    }

    /// The calls of `name` that the server was sent.
    fn sent(&self, name: &str) -> Vec<Value> {
        let is = |it: &Value| it["method"] == "tools/call" && it["params"]["name"] == name;
        self.messages().into_iter().filter(is).collect()
    }

    fn decision(&self, id: &str) -> Value {
        let mut decisions = self.home.records_of("decision").into_iter();
        decisions.find(|it| it["call"] == id && it["decision"] != "ask").expect(id)
    }

    pub(crate) fn allows(&self, id: &str) {
        let done = approvals(&self.home, &["allow", id]);
        assert!(done.status.success(), "{:?} {done:?}", self.form);
    }

    pub(crate) fn denies(&self, id: &str) {
        assert!(approvals(&self.home, &["deny", id]).status.success());
    }

    #[track_caller]
    pub(crate) fn complains(&self, id: &str) {
        let done = approvals(&self.home, &["allow", id]);
        let says = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && says.contains("no question"), "{done:?}");
    }
}

/// A client: a key, and a session where there are sessions.
pub(crate) struct Client {
    connection: Connection,
    is_modern: bool,
    can: Value,
}

/// A request that is under way.
pub(crate) struct Waits {
    connection: Connection,
    id: Value,
    is_stream: bool,
    whole: Option<String>,
    events: VecDeque<Value>,
    /// What came before the answer.
    others: Vec<Value>,
    last_event: Option<String>,
}

impl Client {
    /// A message as this client says it.
    fn says(&self, message: &Value) -> Value {
        if !self.is_modern {
            return message.clone();
        }
        let mut message = modern(message.clone());
        message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.can.clone();
        message
    }

    /// Sends a request on a connection of its own, and reads the head of its answer.
    pub(crate) fn begins(&self, message: &Value) -> Waits {
        let (mut connection, id) = self.sends(message);
        let head = connection.head().expect("an answer");
        let is_stream = head.header("content-type") == Some("text/event-stream");
        let whole = (!is_stream).then(|| {
            let length = head.header("content-length").map_or(0, |it| it.parse().unwrap());
            connection.bytes(length)
        });
        let (events, others) = Default::default();
        Waits { connection, id, is_stream, whole, events, others, last_event: None }
    }

    fn sends(&self, message: &Value) -> (Connection, Value) {
        let message = self.says(message);
        let headers = if self.is_modern { modern_headers(&message) } else { Vec::new() };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut connection = self.connection.again();
        connection.start_post(&headers, &message);
        (connection, message["id"].clone())
    }

    /// Sends a request, and waits for its answer.
    #[track_caller]
    pub(crate) fn ask(&self, message: &Value) -> Value {
        self.begins(message).answer()
    }

    /// Sends what nobody answers.
    pub(crate) fn tells(&self, message: &Value) -> u16 {
        let (mut connection, _) = self.sends(message);
        connection.response().status
    }
}

impl Waits {
    /// What comes next; nothing, at the end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        if let Some(whole) = self.whole.take() {
            return serde_json::from_str(&whole).ok();
        }
        while self.is_stream && self.events.is_empty() {
            let chunk = self.connection.chunk()?;
            let id = chunk.lines().filter_map(|it| it.strip_prefix("id:")).next_back();
            self.last_event = id.map(|it| it.trim().to_owned()).or(self.last_event.take());
            let data = chunk.lines().filter_map(|it| it.strip_prefix("data:"));
            let data = data.filter(|it| !it.trim().is_empty());
            self.events.extend(data.map(|it| serde_json::from_str::<Value>(it).expect(it)));
        }
        self.events.pop_front()
    }

    #[track_caller]
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            let message = self.next().unwrap_or_else(|| panic!("no answer to {}", self.id));
            if message.get("method").is_none() && message["id"] == self.id {
                return message;
            }
            self.others.push(message);
        }
    }

    /// The question that the client itself is asked.
    #[track_caller]
    fn asked(&mut self) -> Value {
        loop {
            let message = self.next().expect("a question");
            if message["method"] == "elicitation/create" {
                return message;
            }
            self.others.push(message);
        }
    }
}

fn pay(id: u64, sum: u64) -> Value {
    let mut pay = call(id, "pay", json!({ "to": "somebody", "sum": sum }));
    pay["params"]["_meta"]["progressToken"] = json!(format!("t{id}"));
    pay
}

fn says(decision: &str) -> Value {
    json!({ "action": "accept", "content": { "decision": decision } })
}

/// The same call once more, with the state that came for it.
fn again(first: &Value, id: u64, asked: &Value, said: &Value) -> Value {
    let mut again = first.clone();
    again["id"] = json!(id);
    again["params"]["requestState"] = asked["result"]["requestState"].clone();
    again["params"]["inputResponses"] = json!({ "stockade": said });
    again
}

fn u01_a_call_waits_until_it_is_approved() {
    for form in FORMS {
        let stand = Stand::new(*form, "");
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 5));
        let question = question(&stand.home);
        // Who waits is told so on the stream of its request, and everything else goes on.
        let told = waits.next().unwrap();
        assert_eq!(told["method"], "notifications/progress", "{form:?} {told}");
        assert_eq!(told["params"]["progressToken"], "t1", "{form:?}");
        assert!(told["params"]["message"].as_str().unwrap().contains(&question), "{told}");
        for n in 10..20 {
            assert!(!is_refusal(&client.ask(&call(n, "echo", json!({ "text": "x" })))), "{form:?}");
        }
        let again = waits.next().unwrap();
        assert_eq!(again["method"], "notifications/progress", "{form:?} {again}");
        assert!(again["params"]["progress"].as_f64() > told["params"]["progress"].as_f64());
        assert!(stand.sent("pay").is_empty());
        stand.allows(&question);
        let answer = waits.answer();
        assert!(!is_refusal(&answer), "{form:?} {answer}");
        assert_eq!(waits.next(), None, "and no more");
        let sent = stand.sent("pay");
        assert_eq!((sent.len(), &sent[0]["params"]["arguments"]["sum"]), (1, &json!(5)));
        let decision = stand.decision(&question);
        assert_eq!(decision["channel"], "terminal");
        assert_eq!(
            (&decision["decision"], &decision["principal"]),
            (&json!("allow"), &json!("key"))
        );
        // A client that asks for no progress has the head of an answer, and waits.
        let mut plain = pay(2, 6);
        plain["params"].as_object_mut().unwrap().remove("_meta");
        let mut waits = client.begins(&plain);
        stand.allows(&self::question(&stand.home));
        assert!(!is_refusal(&waits.answer()), "{form:?}");
        assert_eq!(waits.others, [] as [Value; 0]);
        stand.gateway.end();
        assert!(stand.home.is_whole());
    }
}

fn u01_who_says_no_and_who_says_nothing() {
    for form in FORMS {
        let stand = Stand::new(*form, "\n[limits]\napproval_timeout_s = 3\n");
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 1));
        let denied = question(&stand.home);
        stand.denies(&denied);
        let answer = waits.answer();
        assert!(is_refusal(&answer) && text(&answer).contains("said no"), "{form:?} {answer}");
        let mut waits = client.begins(&pay(2, 2));
        let late = question(&stand.home);
        let answer = waits.answer();
        assert!(text(&answer).contains("nobody has answered in time"), "{form:?} {answer}");
        stand.complains(&late);
        questions(&stand.home, 0);
        assert!(stand.sent("pay").is_empty());
        assert_eq!(stand.decision(&denied)["decision"], "deny");
        assert!(stand.decision(&late)["approver"].is_null());
    }
}

fn u01_a_client_that_leaves() {
    for form in FORMS {
        let stand = Stand::new(*form, "");
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 1));
        let question = question(&stand.home);
        waits.next().unwrap();
        let last = waits.last_event.clone();
        drop(waits);
        if form.is_modern() {
            // Closing the stream is what cancels (2026-07-28, "Cancellation").
            questions(&stand.home, 0);
            stand.complains(&question);
            assert!(stand.sent("pay").is_empty());
            let outcomes = stand.home.records_of("outcome");
            assert!(
                outcomes.iter().any(|it| it["call"] == question && it["status"] == "cancelled")
            );
            continue;
        }
        // Until then it is not: the call is asked about, and made, and its answer can be had.
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self::question(&stand.home), question, "{form:?}");
        stand.allows(&question);
        wait_for("the call", || Some(()).filter(|()| stand.sent("pay").len() == 1));
        let last = last.expect("an event with a name");
        let mut listens = client.connection.again();
        let headers = [("accept", "text/event-stream"), ("last-event-id", last.as_str())];
        listens.send("GET", "/mcp", &headers, "");
        assert_eq!(listens.head().unwrap().status, 200, "{form:?}");
        let answer = listens.events().find(|it| it["id"] == 1).expect("the answer");
        assert!(!is_refusal(&answer), "{form:?} {answer}");
    }
}

fn u01_what_is_cancelled_is_asked_about_no_more() {
    for form in FORMS.iter().filter(|it| !it.is_modern()) {
        let stand = Stand::new(*form, "");
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 1));
        let first = question(&stand.home);
        let method = "notifications/cancelled";
        let cancel = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1 } });
        assert_eq!(client.tells(&cancel), 202);
        questions(&stand.home, 0);
        stand.complains(&first);
        // Its stream ends, and has no answer.
        while let Some(message) = waits.next() {
            assert_eq!(message["method"], "notifications/progress", "{form:?} {message}");
        }
        // The end of the session.
        let mut waits = client.begins(&pay(2, 2));
        let second = question(&stand.home);
        let mut ends = client.connection.again();
        assert_eq!(ends.ask("DELETE", "/mcp", &[], "").status, 200);
        questions(&stand.home, 0);
        stand.complains(&second);
        while let Some(message) = waits.next() {
            assert!(
                message.get("result").is_none_or(|_| is_refusal(&message)),
                "{form:?} {message}"
            );
        }
        assert!(stand.sent("pay").is_empty());
        let heard = stand.messages();
        assert!(!heard.iter().any(|it| it["method"] == method), "{form:?} {heard:?}");
        for it in [&first, &second] {
            assert_eq!(stand.decision(it)["decision"], "deny", "{form:?}");
        }
    }
}

fn u01_whoever_is_killed_has_not_said_yes() {
    for form in FORMS {
        let script = Script::default().on_tool("die", [Step::Exit(1)]);
        let stand = Stand::with(*form, "", script, &[]);
        let client = stand.client();
        // The service.
        let mut waits = client.begins(&pay(1, 1));
        question(&stand.home);
        kill(service(&stand.home));
        let answer = waits.answer();
        assert!(is_refusal(&answer) && text(&answer).contains("nobody has"), "{form:?} {answer}");
        // The server, where there is a process that can be.
        if !form.is_remote {
            let mut waits = client.begins(&pay(2, 2));
            let asked = question(&stand.home);
            let mut dies = client.begins(&call(3, "die", json!({})));
            assert!(is_refusal(&dies.answer()));
            assert!(is_refusal(&waits.answer()), "{form:?}");
            questions(&stand.home, 0);
            stand.complains(&asked);
        }
        // The guard. Its next question starts another service.
        let client = stand.client();
        let _waits = client.begins(&pay(4, 4));
        let asked = question(&stand.home);
        kill(i32::try_from(stand.gateway.pid()).unwrap());
        questions(&stand.home, 0);
        stand.complains(&asked);
        assert!(stand.sent("pay").is_empty(), "{form:?}");
    }
}

fn u02_what_changes_between_question_and_answer() {
    for form in FORMS {
        let stand = Stand::new(*form, "");
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 1));
        let first = question(&stand.home);
        stand.home.policy("default = \"allow\"\n[[tools]]\neffect = \"deny\"\ntool = \"pay\"");
        wait_for("another policy", || stand.home.records_of("policy").into_iter().next());
        stand.allows(&first);
        let answer = waits.answer();
        assert!(is_refusal(&answer) && text(&answer).contains("may not be"), "{form:?} {answer}");
        assert!(stand.sent("pay").is_empty());
    }
    // The tool itself.
    for form in FORMS.iter().filter(|it| !it.is_remote) {
        let listing = |text: &str| {
            let pay = json!({ "name": "pay", "description": text, "inputSchema": {} });
            let mut result = json!({ "tools": [pay] });
            if form.is_modern() {
                let more = json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
                result.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            }
            let listing = json!({ "jsonrpc": "2.0", "id": "$id", "result": result });
            let script = Script::default().on("tools/list", [say(listing)]);
            Script { fickle: true, ..script }
        };
        let stand = Stand::with(*form, "", listing("Pays."), &[]);
        let client = stand.client();
        let mut waits = client.begins(&pay(1, 1));
        let first = question(&stand.home);
        let Server::Here(fake) = &stand.server else { unreachable!() };
        fake.becomes(&listing("Pays everything."));
        let listed = client.ask(&request("again", "tools/list", json!({})));
        assert!(listed.to_string().contains("everything"), "{listed}");
        stand.allows(&first);
        let answer = waits.answer();
        assert!(is_refusal(&answer) && text(&answer).contains("may not be"), "{form:?} {answer}");
        assert!(stand.sent("pay").is_empty());
    }
}

fn u01_a_client_can_ask_its_person() {
    let forms = json!({ "elicitation": {} });
    for form in FORMS.iter().filter(|it| it.revision > "2025-03-26") {
        let stand = Stand::new(*form, CLIENT);
        let client = stand.client_of(stand.gateway.connect(), forms.clone());
        if form.is_modern() {
            let first = pay(1, 1);
            let asked = client.ask(&first);
            assert_eq!(asked["result"]["resultType"], "input_required", "{form:?} {asked}");
            assert!(stand.sent("pay").is_empty());
            // Some time passes, and another request.
            client.ask(&call(9, "echo", json!({})));
            std::thread::sleep(Duration::from_millis(700));
            let answer = client.ask(&again(&first, 2, &asked, &says("allow once")));
            assert!(!is_refusal(&answer), "{form:?} {answer}");
            let asked = client.ask(&pay(3, 3));
            let answer = client.ask(&again(&pay(3, 3), 4, &asked, &says("deny")));
            assert!(text(&answer).contains("said no"), "{form:?} {answer}");
            // In the terminal, before the call comes again.
            let asked = client.ask(&pay(5, 5));
            stand.allows(&question(&stand.home));
            questions(&stand.home, 0);
            let answer = client.ask(&again(&pay(5, 5), 6, &asked, &says("deny")));
            assert!(!is_refusal(&answer), "{form:?} {answer}");
            let digest = &stand.home.records_of("question")[0]["approved_digest"];
            let decisions = stand.home.records_of("decision").into_iter();
            let of: Vec<_> = decisions.filter(|it| it["approved_digest"] == *digest).collect();
            assert_eq!((of.len(), &of[1]["channel"]), (2, &json!("client")), "{of:?}");
        } else {
            let answers = |question: &Value, decision: &str| {
                let id = question["id"].clone();
                json!({ "jsonrpc": "2.0", "id": id, "result": says(decision) })
            };
            let mut waits = client.begins(&pay(1, 1));
            let asked = waits.asked();
            assert!(asked["params"]["message"].as_str().unwrap().contains("\"sum\": 1"), "{asked}");
            // Two at a time: each has its question on its own stream.
            let mut others = client.begins(&pay(2, 2));
            let another = others.asked();
            assert!(another["params"]["message"].as_str().unwrap().contains("\"sum\": 2"));
            // What another session says is no answer.
            let other = stand.client_of(stand.gateway.connect(), forms.clone());
            other.tells(&answers(&asked, "allow once"));
            assert!(!is_refusal(&client.ask(&call(9, "echo", json!({})))));
            assert!(stand.sent("pay").is_empty(), "{form:?}");
            assert_eq!(client.tells(&answers(&another, "deny")), 202);
            assert!(text(&others.answer()).contains("said no"), "{form:?}");
            assert_eq!(client.tells(&answers(&asked, "allow once")), 202);
            let answer = waits.answer();
            assert!(!is_refusal(&answer), "{form:?} {answer}");
            // Somebody else is first: the client need not ask any more, and is told where it was asked.
            let mut waits = client.begins(&pay(3, 3));
            let asked = waits.asked();
            stand.allows(&question(&stand.home));
            assert!(!is_refusal(&waits.answer()));
            let cancelled = |it: &Value| it["params"]["requestId"] == asked["id"];
            assert!(waits.others.iter().any(cancelled), "{form:?} {:?}", waits.others);
        }
        assert_eq!(stand.sent("pay").len(), 2, "{form:?}");
        questions(&stand.home, 0);
        let heard = stand.messages();
        assert!(!heard.iter().any(|it| it.to_string().contains("stockade")), "{form:?} {heard:?}");
    }
}

fn u01_a_client_of_one_stream_waits_as_well() {
    // HTTP+SSE, of 2024-11-05: everything comes on one stream.
    for is_remote in [false, true] {
        let stand = Stand::new(Form { is_remote, revision: "2024-11-05" }, "");
        let mut stream = stand.gateway.connect();
        stream.send("GET", "/sse", &[("accept", "text/event-stream")], "");
        assert_eq!(stream.head().unwrap().status, 200);
        let first = stream.chunk().unwrap();
        let address =
            first.lines().find_map(|it| it.strip_prefix("data:")).unwrap().trim().to_owned();
        let post = |message: &Value| {
            let kind = [("content-type", "application/json")];
            let mut connection = stand.gateway.connect();
            assert_eq!(connection.ask("POST", &address, &kind, &message.to_string()).status, 202);
        };
        post(&initialize("2024-11-05"));
        post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        post(&request("list", "tools/list", json!({})));
        stream.events().find(|it| it["id"] == "list").expect("the tools");
        post(&pay(1, 1));
        let first = question(&stand.home);
        post(&pay(2, 2));
        let both = questions(&stand.home, 2);
        let second =
            both.iter().map(|it| it["id"].as_str().unwrap()).find(|it| *it != first).unwrap();
        stand.allows(&first);
        stand.denies(second);
        let mut told: Vec<Value> = Vec::new();
        let has = |told: &[Value], id: u64| told.iter().any(|it| it["id"] == id);
        while !(has(&told, 1) && has(&told, 2)) {
            told.extend(stream.events().next());
        }
        let answer = |id: u64| told.iter().find(|it| it["id"] == id);
        assert!(answer(1).is_some_and(|it| !is_refusal(it)), "{told:?}");
        assert!(answer(2).is_some_and(is_refusal), "{told:?}");
        assert!(told.iter().any(|it| it["method"] == "notifications/progress"));
        assert_eq!(stand.sent("pay").len(), 1);
        post(&pay(3, 3));
        questions(&stand.home, 1);
        drop(stream);
        questions(&stand.home, 0);
    }
}

fn u02_two_people_never_share_a_question() {
    for form in FORMS {
        let stand = Stand::with(*form, "", Script::default(), &["anna", "ben"]);
        let of = |name: &str| stand.client_of(stand.gateway.connect_as(name), json!({}));
        let (anna, ben) = (of("anna"), of("ben"));
        // The very same call.
        let mut annas = anna.begins(&pay(1, 1));
        let mut bens = ben.begins(&pay(1, 1));
        let both = questions(&stand.home, 2);
        let whose = |name: &str| {
            let is = |it: &&Value| it["asked"]["question"]["principal"] == name;
            let found = both.iter().find(is).unwrap_or_else(|| panic!("{name}: {both:?}"));
            assert_eq!(found["times"], 1, "{form:?}");
            found["id"].as_str().unwrap().to_owned()
        };
        let listed = approvals(&stand.home, &["list"]);
        assert!(String::from_utf8_lossy(&listed.stdout).contains("\"anna\""), "{listed:?}");
        // What is allowed to one from now on is allowed to that one.
        let (annas_id, bens_id) = (whose("anna"), whose("ben"));
        assert!(approvals(&stand.home, &["allow", &annas_id, "--always"]).status.success());
        let answer = annas.answer();
        assert!(!is_refusal(&answer), "{form:?} {answer}");
        assert!(!is_refusal(&anna.ask(&pay(2, 1))), "{form:?}");
        assert_eq!(question(&stand.home), bens_id, "and this one still waits");
        assert_eq!(stand.sent("pay").len(), 2);
        stand.denies(&bens_id);
        assert!(is_refusal(&bens.answer()));
        assert_eq!(stand.decision(&annas_id)["principal"], "anna");
        assert_eq!(stand.decision(&bens_id)["principal"], "ben");
    }
}

fn u04_nobody_takes_all_the_places() {
    for is_remote in [false, true] {
        let form = Form { is_remote, revision: "2025-11-25" };
        let limits = "\n[limits]\napprovals_max = 5\n";
        let stand = Stand::with(form, limits, Script::default(), &["anna", "ben"]);
        let of = |name: &str, revision| {
            stand.client_in(revision, stand.gateway.connect_as(name), json!({}))
        };
        // In one session, in another, and outside of them.
        let legacy = of("anna", "2025-11-25");
        let _first = legacy.begins(&pay(1, 1));
        let first = question(&stand.home);
        let (modern, another) = (of("anna", MODERN), of("anna", "2025-06-18"));
        let _second = modern.begins(&pay(2, 2));
        questions(&stand.home, 2);
        for client in [&legacy, &modern, &another] {
            let answer = client.ask(&pay(3, 3));
            assert!(is_refusal(&answer) && text(&answer).contains("too many calls"), "{answer}");
        }
        // There is room for the other, in one session or outside of it.
        let ben = of("ben", "2025-11-25");
        let _third = ben.begins(&pay(1, 1));
        let _fourth = of("ben", MODERN).begins(&pay(2, 2));
        questions(&stand.home, 4);
        assert!(is_refusal(&ben.ask(&pay(3, 3))));
        // And again, when one has gone.
        stand.denies(&first);
        questions(&stand.home, 3);
        let _fifth = another.begins(&pay(4, 4));
        questions(&stand.home, 4);
        assert!(stand.sent("pay").is_empty());
    }
}

fn u07_who_has_a_key_answers_nothing() {
    for form in FORMS {
        // The policy takes no client's word.
        let stand = Stand::new(*form, "");
        let client = stand.client_of(stand.gateway.connect(), json!({ "elicitation": {} }));
        let mut waits = client.begins(&pay(1, 1));
        let asked = question(&stand.home);
        let guess = format!("stockade:approval:{asked}");
        client.tells(&json!({ "jsonrpc": "2.0", "id": guess, "result": says("allow once") }));
        let mut state = pay(2, 1);
        state["params"]["requestState"] = json!(format!("stockade:{}", "0".repeat(64)));
        state["params"]["inputResponses"] = json!({ "stockade": says("allow once") });
        assert!(is_refusal(&client.ask(&state)), "{form:?}");
        for path in ["/approvals", "/mcp/approvals", "/approvals/socket"] {
            let mut connection = client.connection.again();
            let kind = [("content-type", "application/json")];
            let give = json!({ "give": { "id": asked, "approved": true } }).to_string();
            assert_eq!(connection.ask("POST", path, &kind, &give).status, 404);
        }
        let answer = client.ask(&request("approve", "approvals/allow", json!({ "id": asked })));
        assert!(is_refusal(&answer));
        assert_eq!(question(&stand.home), asked);
        assert!(stand.sent("pay").is_empty());
        stand.denies(&asked);
        assert!(is_refusal(&waits.answer()));
    }
}

fn p11_a_state_is_for_one_person_one_call_and_once() {
    for form in FORMS.iter().filter(|it| it.is_modern()) {
        let more = format!("{CLIENT}[limits]\napproval_timeout_s = 3\n");
        let wants = json!({
            "resultType": "input_required", "requestState": "their own =/+ \u{e9}",
            "inputRequests": { "q": { "method": "elicitation/create", "params": {
                "message": "Which?",
                "requestedSchema": { "type": "object", "properties": { "x": { "type": "string" } } },
            } } },
        });
        let wants = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": wants }));
        let script = Script::default().on_tool("wants", [wants]);
        let stand = Stand::with(*form, &more, script, &["anna", "ben"]);
        let forms = json!({ "elicitation": { "form": {} } });
        let anna = stand.client_of(stand.gateway.connect_as("anna"), forms.clone());
        let ben = stand.client_of(stand.gateway.connect_as("ben"), forms);
        let yes = says("allow once");
        let refused = |answer: &Value, why: &str| {
            assert!(is_refusal(answer), "{form:?} {why}: {answer}");
            assert!(text(answer).contains("requestState"), "{form:?} {why}: {answer}");
        };
        let changes = ["a bit", "arguments", "a tool", "expired", "replayed", "another person"];
        for (n, change) in changes.iter().enumerate() {
            let n = 100 + 10 * n as u64;
            let first = pay(n, n);
            let asked = anna.ask(&first);
            assert_eq!(asked["result"]["resultType"], "input_required", "{form:?} {asked}");
            let mut second = again(&first, n + 1, &asked, &yes);
            match *change {
                "a bit" => {
                    let state = second["params"]["requestState"].as_str().unwrap().to_owned();
                    let last = if state.ends_with('0') { "1" } else { "0" };
                    let other = format!("{}{last}", &state[..state.len() - 1]);
                    second["params"]["requestState"] = json!(other);
                }
                "arguments" => second["params"]["arguments"]["sum"] = json!(1_000_000),
                "a tool" => second["params"]["name"] = json!("pay_all"),
                "expired" => {
                    // It is not asked about any more either, though nothing else comes.
                    questions(&stand.home, 1);
                    std::thread::sleep(Duration::from_secs(4));
                    questions(&stand.home, 0);
                }
                "replayed" => {
                    assert!(!is_refusal(&anna.ask(&second)));
                    second["id"] = json!(n + 2);
                }
                _ => {
                    refused(&ben.ask(&second), change);
                    // It is nobody else's, and good for whom it was made for.
                    second["id"] = json!(n + 2);
                    assert!(!is_refusal(&anna.ask(&second)), "{form:?}");
                    continue;
                }
            }
            refused(&anna.ask(&second), change);
            // The one whose state was changed still waits.
            for it in waiting(&stand.home) {
                stand.denies(it["id"].as_str().unwrap());
            }
        }
        assert_eq!(stand.sent("pay").len(), 2, "the one that was replayed later, and the last");
        assert!(stand.sent("pay_all").is_empty());
        // What a server has made up comes to its client, and back to it, as it is.
        let first = call(1, "wants", json!({}));
        let asked = anna.ask(&first);
        assert_eq!(asked["result"]["requestState"], "their own =/+ \u{e9}", "{form:?} {asked}");
        let mut second = first.clone();
        (second["id"], second["params"]["inputResponses"]) = (json!(2), json!({ "q": yes }));
        second["params"]["requestState"] = asked["result"]["requestState"].clone();
        anna.ask(&second);
        let sent = stand.sent("wants");
        assert_eq!(sent[1]["params"]["requestState"], "their own =/+ \u{e9}", "{form:?}");
        assert_eq!(sent[1]["params"]["inputResponses"], json!({ "q": yes }));
    }
}

fn p12_a_client_that_has_not_declared_it_is_not_asked() {
    for form in FORMS {
        let stand = Stand::new(*form, CLIENT);
        let mut can = vec![json!({}), json!({ "elicitation": { "url": {} } })];
        if form.revision == "2025-03-26" {
            // There is no such thing.
            can = vec![json!({ "elicitation": {} })];
        }
        for (n, can) in (1..).zip(can) {
            let client = stand.client_of(stand.gateway.connect(), can);
            let mut waits = client.begins(&pay(n, n));
            let asked = question(&stand.home);
            std::thread::sleep(Duration::from_millis(300));
            stand.denies(&asked);
            let answer = waits.answer();
            assert!(is_refusal(&answer) && text(&answer).contains("said no"), "{form:?} {answer}");
            let asks = |it: &Value| it["method"] == "elicitation/create";
            assert!(!waits.others.iter().any(asks), "{form:?} {:?}", waits.others);
        }
    }
}

/// Two questions of a server's own, in the middle of a call.
fn questions_of_a_server(is_modern: bool) -> Script {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let form = json!({ "message": "Which city?", "requestedSchema": schema });
    let content = json!({ "type": "text", "text": "A name for it?" });
    let sample = json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": 5 });
    let done = json!({ "content": [{ "type": "text", "text": "done" }] });
    let done = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": done }));
    if is_modern {
        let wants = json!({
            "resultType": "input_required", "requestState": "of the server",
            "inputRequests": {
                "city": { "method": "elicitation/create", "params": form },
                "name": { "method": "sampling/createMessage", "params": sample },
            },
        });
        let wants = say(json!({ "jsonrpc": "2.0", "id": "$id", "result": wants }));
        return Script::default().on_tool("asks", [wants]);
    }
    let asks = [
        say(request("city", "elicitation/create", form)),
        say(request("name", "sampling/createMessage", sample)),
        Step::Sleep(700),
        done,
    ];
    Script::default().on_tool("asks", asks)
}

fn city() -> Value {
    json!({ "action": "accept", "content": { "city": "Lima" } })
}

fn name() -> Value {
    let content = json!({ "type": "text", "text": "Home" });
    json!({ "role": "assistant", "content": content, "model": "m", "stopReason": "endTurn" })
}

/// The server is told what was answered to its questions, as it was.
fn told(messages: &dyn Fn() -> Vec<Value>) {
    for (id, result) in [("city", city()), ("name", name())] {
        let is = |it: &Value| it["id"] == id && it["result"] == result;
        wait_for(id, || messages().iter().any(is).then_some(()));
    }
}

/// What is written down of the two questions, and of their answers.
fn written(home: &Home, is_modern: bool) {
    let (decisions, outcomes) = (home.records_of("decision"), home.records_of("outcome"));
    if is_modern {
        // Both tries, under the digest of the one call that they are.
        let of = |it: &&Value| it["tool"] == "asks";
        let tries: Vec<&Value> = decisions.iter().filter(of).collect();
        assert_eq!(tries.len(), 2, "{tries:?}");
        assert!(tries[0]["arguments_digest"].is_string());
        assert_eq!(tries[0]["arguments_digest"], tries[1]["arguments_digest"]);
        for it in tries {
            assert!(outcomes.iter().any(|outcome| outcome["call"] == it["call"]));
        }
        return;
    }
    for method in ["elicitation/create", "sampling/createMessage"] {
        let asked = decisions.iter().find(|it| it["method"] == method).expect(method);
        let answered = outcomes.iter().find(|it| it["method"] == method).expect(method);
        assert_eq!(asked["call"], answered["call"], "{asked} {answered}");
        assert_eq!(answered["status"], "ok");
    }
}

fn p10_what_a_server_asks_comes_back_to_it() {
    let can = json!({ "elicitation": {}, "sampling": {} });
    for form in FORMS.iter().filter(|it| it.revision > "2025-03-26") {
        let script = questions_of_a_server(form.is_modern());
        let stand = Stand::with(*form, "", script, &[]);
        let client = stand.client_of(stand.gateway.connect(), can.clone());
        let first = call(1, "asks", json!({ "text": "x" }));
        let mut waits = client.begins(&first);
        if form.is_modern() {
            let asked = waits.answer();
            let wants = &asked["result"]["inputRequests"];
            assert_eq!(wants["city"]["method"], "elicitation/create", "{asked}");
            assert_eq!(wants["name"]["method"], "sampling/createMessage", "{asked}");
            let mut second = first.clone();
            second["id"] = json!(2);
            second["params"]["requestState"] = asked["result"]["requestState"].clone();
            second["params"]["inputResponses"] = json!({ "city": city(), "name": name() });
            client.ask(&second);
            let back = &stand.sent("asks")[1]["params"];
            assert_eq!(back["inputResponses"], json!({ "city": city(), "name": name() }));
            assert_eq!(back["requestState"], "of the server");
        } else {
            let (one, two) = (waits.next().unwrap(), waits.next().unwrap());
            for (asked, result) in [(one, city()), (two, name())] {
                let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
                assert_eq!(client.tells(&answer), 202);
            }
            assert!(!is_refusal(&waits.answer()), "{form:?}");
            told(&|| stand.messages());
        }
        written(&stand.home, form.is_modern());
    }
    // The same by `run`.
    for is_modern in [false, true] {
        let home = Home::new();
        home.policy(ASKS);
        let fake = home.fake(questions_of_a_server(is_modern));
        let mut probe = Probe::run(&home, &fake);
        let mut first = call(1, "asks", json!({ "text": "x" }));
        if is_modern {
            first = modern(first);
            let meta = &mut first["params"]["_meta"];
            meta["io.modelcontextprotocol/clientCapabilities"] = can.clone();
            let asked = probe.ask(&first);
            let mut second = first.clone();
            second["id"] = json!(2);
            second["params"]["requestState"] = asked["result"]["requestState"].clone();
            second["params"]["inputResponses"] = json!({ "city": city(), "name": name() });
            probe.ask(&second);
            let mut calls = fake.messages().into_iter().filter(|it| it["method"] == "tools/call");
            let back = &calls.next_back().unwrap()["params"];
            assert_eq!(back["inputResponses"], json!({ "city": city(), "name": name() }));
            assert_eq!(back["requestState"], "of the server");
        } else {
            let mut hello = initialize("2025-11-25");
            hello["params"]["capabilities"] = can.clone();
            probe.ask(&hello);
            probe.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
            probe.send(&first);
            for result in [city(), name()] {
                let asked = probe.next().unwrap();
                probe.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }));
            }
            assert!(!is_refusal(&probe.answer(1)));
            told(&|| fake.messages());
        }
        probe.end();
        written(&home, is_modern);
    }
}
