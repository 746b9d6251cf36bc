//! Who a client says it is, and what it says it can do. Nothing of it is proven.

use std::sync::Arc;

use crate::check;
use crate::json::Json;
use crate::message::Message;
use crate::revision::{META_CAPABILITIES, META_CLIENT};
use crate::subject::Capabilities;

/// So much is kept of a name: whoever speaks can make it as long as a message.
const NAME_CHARS_MAX: usize = 120;

/// What a client says of itself.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its name, as a policy asks for it. Empty where it has not said one.
    pub(super) name: Box<str>,
    /// Its name and its version, for the record.
    pub(super) label: Arc<str>,
    /// What it can do.
    pub(super) can: Capabilities,
}

impl Client {
    /// The client of a session, by its `initialize`.
    pub(super) fn of_session(initialize: &Message) -> Self {
        Self::read(initialize.get("clientInfo"), initialize.get("capabilities"))
    }

    /// The client of a request that describes itself.
    pub(super) fn of_request(message: &Message) -> Self {
        Self::read(message.meta(META_CLIENT), message.meta(META_CAPABILITIES))
    }

    fn read(info: Option<Json<'_>>, can: Option<Json<'_>>) -> Self {
        let text = |it| info.and_then(|info| info.get(it)).and_then(Json::str).unwrap_or_default();
        let (name, version) = (text("name"), text("version"));
        let label = check::clipped(&format!("{name} {version}"), NAME_CHARS_MAX);
        Self {
            name: name.chars().take(NAME_CHARS_MAX).collect(),
            label: label.trim().into(),
            can: Capabilities::read(can),
        }
    }
}
