//! Finds secrets that are the `value` of something whose name is beside it.

use super::context::is_secret_name;
use super::instead;
use super::password::{Trust, is_password, is_password_name};
use crate::check::{Facts, Findings};
use crate::finding::At;
use crate::json::Json;
use crate::subject::{Channel, Subject};

pub(super) fn look(subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
    use Channel::{Argument, Call, Prompt, Resource, Roots, Template, Tool, Uri};
    // What describes something has names and values that are none.
    if matches!(
        subject.channel,
        Argument | Call | Prompt | Resource | Roots | Template | Tool | Uri
    ) {
        return;
    }
    for one in subject.json.all() {
        let named = ["name", "key"].into_iter().find_map(|it| one.get(it).and_then(Json::str));
        let Some(name) =
            named.filter(|it| is_secret_name(it.as_bytes()) || is_password_name(it.as_bytes()))
        else {
            continue;
        };
        let Some(value) = one.get("value") else { continue };
        let trust = if is_password_name(name.as_bytes()) { Trust::Full } else { Trust::Some };
        let is_secret = |it: &str| {
            is_password(it.as_bytes(), trust)
                && !it.contains(char::is_whitespace)
                && super::secrets(it, value.name()).is_empty()
        };
        if let Some(str) = value.str().filter(|it| is_secret(it)) {
            let shown = instead("assigned-secret", str.as_bytes(), facts.aliases);
            out.add_fixable(At::Value(value), "a secret: assigned-secret", shown);
        }
    }
}
