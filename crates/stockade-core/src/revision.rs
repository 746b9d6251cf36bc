//! What differs between the revisions of the protocol, as data. The only file that knows.
//!
//! Source: the MCP specification's revisions 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and
//! 2026-07-28.

use crate::json::Json;

/// A published revision, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// HTTP+SSE.
    V2024_11_05,
    /// Streamable HTTP, batches.
    V2025_03_26,
    /// Elicitation; batches are gone.
    V2025_06_18,
    /// Tasks, icons, polling.
    V2025_11_25,
    /// No sessions: every request describes itself.
    V2026_07_28,
}

/// The two ways in which a conversation is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// `initialize`, then a session.
    Legacy,
    /// Requests that describe themselves.
    Modern,
}

/// The key under `_meta` that carries the revision of a modern request.
pub const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The key under `_meta` that carries what the client of a modern request can do.
pub const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The key under `_meta` that names the client of a modern request.
pub const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// The key under `_meta` by which a modern request asks for log messages.
pub const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who the server is, in a result (2026-07-28). It may be left away.
pub const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// The key under `_meta` that ties a notification to the `subscriptions/listen` it belongs to.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Headers say another thing than the body (2026-07-28, "Server Validation").
pub const HEADER_MISMATCH: i64 = -32020;
/// A revision that the server does not speak (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// Somebody is to open an address first (2025-11-25, "URL Elicitation Required Error").
pub const ELICITATION_REQUIRED: i64 = -32042;
/// The code of Stockade's own refusals, outside the range that JSON-RPC reserves.
pub const REFUSED: i64 = -31000;

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The revision that goes by `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// How a conversation in it is held.
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 { Era::Modern } else { Era::Legacy }
    }

    /// Whether an array of messages is one input.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether the server may send requests of its own.
    pub fn server_asks(self) -> bool {
        self.era() == Era::Legacy
    }

    /// Whether `Mcp-Method`, `Mcp-Name` and `Mcp-Param-*` must equal the body.
    pub fn binds_headers(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether closing the stream of a response cancels the request.
    pub fn disconnect_cancels(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether a broken stream can be taken up again with `Last-Event-ID`.
    pub fn resumes(self) -> bool {
        (Self::V2025_03_26..=Self::V2025_11_25).contains(&self)
    }

    /// Whether a result must say what it is in `resultType`.
    pub fn types_results(self) -> bool {
        self >= Self::V2026_07_28
    }

    /// Whether whoever asks decides that the answer is a task, by `task` in its request (2025-11-25,
    /// "Tasks"). Later it is the server that decides, for a client that has declared the extension.
    pub fn asks_for_tasks(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether it has a method about tasks. What else there is, is for the peers to know.
    pub fn has(self, method: &str) -> bool {
        match method {
            "tasks/get" | "tasks/cancel" => self >= Self::V2025_11_25,
            "tasks/list" | "tasks/result" => self == Self::V2025_11_25,
            "tasks/update" => self >= Self::V2026_07_28,
            _ => true,
        }
    }

    /// Whether a task may be the answer to this method.
    pub fn may_become_task(self, method: &str) -> bool {
        match method {
            "tools/call" => true,
            "sampling/createMessage" | "elicitation/create" => self.asks_for_tasks(),
            _ => false,
        }
    }
}

/// The methods that the guard does something about. What a lenient reader would take for one of
/// these is refused.
pub const METHODS: &[&str] = &[
    "initialize",
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
    "logging/setLevel",
    "ping",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/cancel",
    "tasks/update",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/tasks",
    "notifications/tasks/status",
];

/// Whether a method is that of a request, in every revision that has it. Without an id it would be a
/// notification, which nobody answers and a lenient server obeys.
pub fn is_request(method: &str) -> bool {
    METHODS.contains(&method) && !method.starts_with(NOTIFICATIONS)
}

/// Whether only clients say it.
pub fn is_of_client(method: &str) -> bool {
    const OF_BOTH: &[&str] = &["ping", "sampling/", "elicitation/", "roots/", "tasks/"];
    let is_greeting =
        matches!(method, "notifications/initialized" | "notifications/roots/list_changed");
    is_greeting || is_request(method) && !OF_BOTH.iter().any(|it| method.starts_with(it))
}

/// What the methods of notifications begin with.
pub const NOTIFICATIONS: &str = "notifications/";

/// What a client can declare, as far as it decides what may be asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// It has roots.
    Roots,
    /// It has a model.
    Sampling,
    /// Its model may be given tools.
    SamplingTools,
    /// Its answer to sampling may be a task.
    SamplingTask,
    /// It has a person to ask, in one way or another.
    Elicitation,
    /// The person can be given a form.
    ElicitationForm,
    /// The person can be sent to an address.
    ElicitationUrl,
    /// Its answer to elicitation may be a task.
    ElicitationTask,
    /// It has tasks of its own.
    OwnTasks,
    /// They can be listed.
    OwnTasksList,
    /// They can be cancelled.
    OwnTasksCancel,
    /// It can wait for tasks of the server (2026-07-28, the extension "Tasks").
    Tasks,
}

impl Capability {
    /// Every capability.
    pub const ALL: &[Self] = &[
        Self::Roots,
        Self::Sampling,
        Self::SamplingTools,
        Self::SamplingTask,
        Self::Elicitation,
        Self::ElicitationForm,
        Self::ElicitationUrl,
        Self::ElicitationTask,
        Self::OwnTasks,
        Self::OwnTasksList,
        Self::OwnTasksCancel,
        Self::Tasks,
    ];

    /// Where it is, below the capabilities of a client.
    pub fn path(self) -> &'static [&'static str] {
        match self {
            Self::Roots => &["roots"],
            Self::Sampling => &["sampling"],
            Self::SamplingTools => &["sampling", "tools"],
            Self::SamplingTask => &["tasks", "requests", "sampling", "createMessage"],
            Self::Elicitation => &["elicitation"],
            Self::ElicitationForm => &["elicitation", "form"],
            Self::ElicitationUrl => &["elicitation", "url"],
            Self::ElicitationTask => &["tasks", "requests", "elicitation", "create"],
            Self::OwnTasks => &["tasks"],
            Self::OwnTasksList => &["tasks", "list"],
            Self::OwnTasksCancel => &["tasks", "cancel"],
            Self::Tasks => &["extensions", "io.modelcontextprotocol/tasks"],
        }
    }
}

/// What a server may ask of a client or tell it, and what the client must have declared for it.
///
/// The table is for what reaches the *client*, where an undeclared request reaches a person or a
/// model that did not expect it. What a client asks of a server is answered by the server.
const ASKS: &[Ask] = {
    use Capability as Can;
    use Said::{Anything, Has, Is, IsNot};
    const SAMPLING: &str = "sampling/createMessage";
    const ELICITATION: &str = "elicitation/create";
    &[
        Ask(SAMPLING, Anything, Can::Sampling),
        Ask(SAMPLING, Has("tools"), Can::SamplingTools),
        Ask(SAMPLING, Has("toolChoice"), Can::SamplingTools),
        Ask(SAMPLING, Has("task"), Can::SamplingTask),
        Ask(ELICITATION, IsNot("mode", "url"), Can::ElicitationForm),
        Ask(ELICITATION, Is("mode", "url"), Can::ElicitationUrl),
        Ask(ELICITATION, Has("task"), Can::ElicitationTask),
        Ask("roots/list", Anything, Can::Roots),
        Ask("tasks/get", Anything, Can::OwnTasks),
        Ask("tasks/result", Anything, Can::OwnTasks),
        Ask("tasks/list", Anything, Can::OwnTasksList),
        Ask("tasks/cancel", Anything, Can::OwnTasksCancel),
        Ask("notifications/tasks", Anything, Can::Tasks),
    ]
};

/// A method, what is said in it, and what that needs.
struct Ask(&'static str, Said, Capability);

/// What is said in the parameters of a method.
enum Said {
    Anything,
    Has(&'static str),
    Is(&'static str, &'static str),
    IsNot(&'static str, &'static str),
}

/// What a client must have declared before its server may say `method` with these parameters;
/// nothing, of a method that is unknown.
pub fn needs<'a>(method: &'a str, params: Json<'a>) -> impl Iterator<Item = Capability> + use<'a> {
    let is = move |name, text| params.get(name).and_then(Json::str) == Some(text);
    let asked = ASKS.iter().filter(move |Ask(name, said, _)| {
        *name == method
            && match *said {
                Said::Anything => true,
                Said::Has(name) => params.get(name).is_some(),
                Said::Is(name, text) => is(name, text),
                Said::IsNot(name, text) => !is(name, text),
            }
    });
    asked.map(|Ask(_, _, needed)| *needed)
}

/// The parameter that `Mcp-Name` repeats (2026-07-28, "Request Headers").
pub fn named_by(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // Of the tasks extension. What 2025-11-25 had besides is an unknown method by now, and the
        // server is to say so.
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The methods whose result may ask for input (2026-07-28, "Multi Round-Trip Requests").
pub fn may_ask_back(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Document;

    #[test]
    fn names_go_both_ways() {
        for it in Revision::ALL {
            assert_eq!(Revision::parse(it.name()), Some(it));
        }
        assert_eq!(Revision::parse("2026-07-29"), None);
    }

    #[test]
    fn only_methods_that_exist_are_named_in_a_header() {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            assert_eq!(named_by(method), Some("taskId"));
        }
        for method in ["tasks/result", "tasks/list", "tasks/x", "tools/list"] {
            assert_eq!(named_by(method), None, "{method}");
        }
    }

    #[test]
    fn what_is_asked_says_what_it_needs() {
        use Capability as Can;
        for (method, params, expected) in [
            ("sampling/createMessage", json!({}), &[Can::Sampling][..]),
            (
                "sampling/createMessage",
                json!({ "tools": [] }),
                &[Can::Sampling, Can::SamplingTools],
            ),
            ("elicitation/create", json!({ "mode": "url" }), &[Can::ElicitationUrl]),
            ("elicitation/create", json!({ "mode": 1 }), &[Can::ElicitationForm]),
            ("elicitation/create", json!(null), &[Can::ElicitationForm]),
            (
                "elicitation/create",
                json!({ "task": {} }),
                &[Can::ElicitationForm, Can::ElicitationTask],
            ),
            ("roots/list", json!({}), &[Can::Roots]),
            ("tasks/cancel", json!({ "taskId": "a" }), &[Can::OwnTasksCancel]),
            ("tools/call", json!({ "task": {} }), &[]),
            ("x/y", json!({}), &[]),
        ] {
            let params = Document::from_value(&params).unwrap();
            let found: Vec<_> = needs(method, params.root()).collect();
            assert_eq!(found, expected, "{method} {params:?}");
        }
    }

    #[test]
    fn methods_about_tasks_come_and_go() {
        let since = |method| Revision::ALL.map(|it| u8::from(it.has(method)));
        assert_eq!(since("tasks/get"), [0, 0, 0, 1, 1]);
        assert_eq!(since("tasks/cancel"), [0, 0, 0, 1, 1]);
        assert_eq!(since("tasks/list"), [0, 0, 0, 1, 0]);
        assert_eq!(since("tasks/result"), [0, 0, 0, 1, 0]);
        assert_eq!(since("tasks/update"), [0, 0, 0, 0, 1]);
        assert_eq!(since("x/y"), [1; 5]);
    }
}
