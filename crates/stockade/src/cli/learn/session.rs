//! A traced session, as the ledger has it. Whatever is missing in a record was not seen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stockade_core::check::visible;
use stockade_store::Filter;

use crate::failure::{Exit, Failure};

/// What a session did.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) server: String,
    /// The roots that it had, and whether they could be written.
    pub(super) roots: Vec<(PathBuf, bool)>,
    /// The places that it was said to have programs in.
    pub(super) programs: Vec<PathBuf>,
    /// Whom it might have reached, as a policy says it.
    pub(super) net: Vec<String>,
    /// The tools whose calls were answered, of those that the server has listed or that did it well:
    /// a client may call any name, and a server says no by an answer.
    pub(super) tools: BTreeSet<String>,
    /// Paths as they were noted, with a slash behind those of directories.
    pub(super) read: BTreeSet<String>,
    pub(super) written: BTreeSet<String>,
    /// Programs that were started, and places that files were used of.
    pub(super) used: BTreeSet<PathBuf>,
    pub(super) reached: BTreeSet<String>,
    pub(super) refused: BTreeSet<String>,
    /// Paths that are no text, as far as they can be shown.
    pub(super) unreadable: BTreeSet<String>,
    /// What was not kept by name, or could not be looked into.
    pub(super) more: u64,
}

impl Session {
    /// The session of this name, or the last that was traced.
    pub(super) fn read(ledger: &Path, name: Option<&str>) -> Result<Self, Failure> {
        let query = |filter: Filter| {
            stockade_store::query(ledger, &filter).map_err(|error| {
                let says = format!("cannot read the ledger in `{}`", ledger.display());
                Failure::new(Exit::Usage, says)
                    .from(error)
                    .help("name the directory that it was written to with `--state DIR`")
            })
        };
        let nothing = |says: String| {
            Failure::new(Exit::Usage, says)
                .help("have one traced: `stockade run --trace …`; then learn from it")
        };
        let traced = Filter {
            kind: Some("touched".to_owned()),
            session: name.map(str::to_owned),
            limit: Some(1),
            ..Filter::default()
        };
        let found = query(traced)?.records.into_iter().next();
        let found = found.and_then(|it| serde_json::from_str::<Value>(&it.json).ok());
        let Some(found) = found else {
            return Err(nothing(match name {
                Some(name) => format!("no session `{name}` was traced"),
                None => "no session was traced".to_owned(),
            }));
        };
        let name = text(&found, "session");
        let filter = Filter { session: Some(name.clone()), ..Filter::default() };
        let mut session = Self { name, server: text(&found, "server"), ..Self::default() };
        for record in query(filter)?.records {
            if let Ok(record) = serde_json::from_str::<Value>(&record.json) {
                session.take(&record);
            }
        }
        Ok(session)
    }

    fn take(&mut self, record: &Value) {
        let answered = match text(record, "status").as_str() {
            "ok" => true,
            "tool_error" => record.get("tool_digest").is_some_and(|it| !it.is_null()),
            _ => false,
        };
        if answered && text(record, "kind") == "outcome" && text(record, "method") == "tools/call" {
            self.tools.extend(record.get("tool").and_then(Value::as_str).map(str::to_owned));
        }
        let Some(touched) = record.get("touched") else { return };
        for root in list(touched, "roots") {
            let (path, writes) = match (root.strip_suffix(":rw"), root.strip_suffix(":ro")) {
                (Some(path), _) => (path, true),
                (None, Some(path)) => (path, false),
                (None, None) => continue,
            };
            if !self.roots.iter().any(|(it, _)| it == Path::new(path)) {
                self.roots.push((path.into(), writes));
            }
        }
        self.programs.extend(list(touched, "programs").map(PathBuf::from));
        self.net.extend(list(touched, "net").map(str::to_owned));
        for (name, into) in [("read", &mut self.read), ("written", &mut self.written)] {
            // What was too long to be kept whole is no path.
            let (cut, whole) = list(touched, name).partition::<Vec<_>, _>(|it| it.ends_with('…'));
            let (garbled, named) =
                whole.into_iter().map(str::to_owned).partition::<Vec<_>, _>(|it| is_garbled(it));
            into.extend(named);
            self.unreadable.extend(garbled);
            self.more = self.more.saturating_add(u64::try_from(cut.len()).unwrap_or(u64::MAX));
        }
        for name in ["used", "executed"] {
            let (garbled, named) = list(touched, name).partition::<Vec<_>, _>(|it| is_garbled(it));
            self.used.extend(named.into_iter().map(PathBuf::from));
            self.unreadable.extend(garbled.into_iter().map(str::to_owned));
        }
        self.reached.extend(list(touched, "reached").map(str::to_owned));
        self.refused.extend(list(touched, "refused").map(str::to_owned));
        let number = |name| touched.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.more = self.more.saturating_add(number("more")).saturating_add(number("unseen"));
    }
}

/// Whether this is not what a file is called, but stands for something that is no text or was taken
/// out; or whether nobody who reads it would see what it is called.
fn is_garbled(path: &str) -> bool {
    visible(path).contains('\u{fffd}') || path.contains("[redacted:")
}

fn text(record: &Value, name: &str) -> String {
    record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'v>(touched: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    touched.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_was_listed_or_done_well_is_learnt() {
        let mut session = Session::default();
        for (tool, status, definition) in [
            ("listed", "tool_error", json!("b3:x")),
            ("unlisted", "ok", Value::Null),
            ("made_up", "tool_error", Value::Null),
            ("failed", "error", json!("b3:x")),
        ] {
            session.take(&json!({ "kind": "outcome", "method": "tools/call", "tool": tool,
                "status": status, "tool_digest": definition }));
        }
        assert_eq!(session.tools, ["listed".into(), "unlisted".into()].into());
    }

    #[test]
    fn a_path_that_is_no_text_is_kept_apart() {
        let mut session = Session::default();
        let odd =
            ["/a/\u{fffd}/c", "/a/\u{9b}/c", "/a/\n", "/a/\u{202e}", "/[redacted:github-token]/c"];
        for odd in odd {
            session.take(&json!({ "touched": { "written": ["/a/b", odd], "used": [odd] } }));
            assert_eq!(session.written, ["/a/b".into()].into());
            assert!(session.used.is_empty());
            assert!(session.unreadable.remove(odd), "{odd:?}");
        }
    }
}
