//! What differs between the revisions of the protocol, as data. The only file that knows.
//!
//! Source: the MCP specification's revisions 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and
//! 2026-07-28.

use crate::message::Side;

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
/// The key under `_meta` that ties a notification to the `subscriptions/listen` it belongs to.
pub const META_SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// Headers say another thing than the body (2026-07-28, "Server Validation").
pub const HEADER_MISMATCH: i64 = -32020;
/// A revision that the server does not speak (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
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
    "notifications/tasks/status",
];

/// What is known of a method.
#[derive(Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// Who says it.
    pub from: Side,
    /// What the other side must have declared, as a path below its capabilities. Empty: nothing.
    pub needs: &'static [&'static str],
}

/// What a server may ask of a client, and what the client must have declared for it.
///
/// The table is for what is asked *of the client*, where an undeclared request reaches a person or
/// a model that did not expect it. What a client asks of a server is answered by the server.
const ASKS: &[Method] = &[
    Method { name: "sampling/createMessage", from: Side::Server, needs: &["sampling"] },
    Method { name: "elicitation/create", from: Side::Server, needs: &["elicitation"] },
    Method { name: "roots/list", from: Side::Server, needs: &["roots"] },
];

/// What must be declared before `from` may ask for `method`; nothing, of a method that is unknown.
pub fn needs(from: Side, method: &str) -> &'static [&'static str] {
    ASKS.iter().find(|it| it.name == method && it.from == from).map_or(&[], |it| it.needs)
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
    use super::*;

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
    fn a_server_asks_for_what_was_declared() {
        assert_eq!(needs(Side::Server, "sampling/createMessage"), ["sampling"]);
        assert!(needs(Side::Client, "tools/call").is_empty());
        assert!(needs(Side::Server, "x/y").is_empty());
    }
}
