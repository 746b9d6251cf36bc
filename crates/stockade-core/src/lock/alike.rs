//! Names of tools that read the same across the servers of a lock.
//!
//! A model has the tools of all servers before it, and many clients know them by their names alone:
//! a server that offers another's `send_mail`, or one that reads like it, is called in its place.

use std::collections::BTreeMap;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::{Lock, Part};
use crate::name;

/// Two tools whose names read the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alike {
    /// The tool.
    pub name: String,
    /// The server of the other.
    pub server: String,
    /// The other, as its server writes it.
    pub other: String,
    /// What is the same about them.
    pub how: How,
}

/// In what two names are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// They are one name.
    Equal,
    /// In upper or lower case.
    Case,
    /// In characters that stand for one another (NFKC).
    Compatible,
    /// They look the same.
    Looks,
}

impl How {
    /// In words, behind "the name".
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "is the same as",
            Self::Case => "differs only in upper and lower case from",
            Self::Compatible => "differs only in compatible characters (NFKC) from",
            Self::Looks => "looks like",
        }
    }

    fn of(a: &str, b: &str) -> Self {
        let compatible = |it: &str| it.nfkc().collect::<String>();
        if a == b {
            Self::Equal
        } else if a.to_lowercase() == b.to_lowercase() {
            Self::Case
        } else if compatible(a) == compatible(b) {
            Self::Compatible
        } else {
            Self::Looks
        }
    }
}

impl Lock {
    /// The tools of `server` whose names read like those of another server, or like another of its
    /// own, each with the first that it reads like. What was approved by name is not among them.
    pub fn alike(&self, server: &str) -> Vec<Alike> {
        let Some(entry) = self.servers.get(server) else { return Vec::new() };
        let mut names: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for (server, entry) in &self.servers {
            for (tool, _) in entry.offers.of(Part::Tool) {
                for looks in name::looks(tool) {
                    names.entry(looks).or_default().push((server, tool));
                }
            }
        }
        let own = entry.offers.of(Part::Tool).map(|(tool, _)| tool);
        let own = own.filter(|it| !entry.alike.contains(*it));
        own.filter_map(|tool| {
            let looks = name::looks(tool);
            let same = looks.iter().filter_map(|it| names.get(it)).flatten();
            let (server, other) = same.into_iter().find(|it| **it != (server, tool))?;
            let how = How::of(tool, other);
            let (server, other) = ((*server).to_owned(), (*other).to_owned());
            Some(Alike { name: tool.to_owned(), server, other, how })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::lock::Entry;

    fn lock(servers: &[(&str, &[&str])]) -> Lock {
        let mut lock = Lock::default();
        for (server, tools) in servers {
            let entry: &mut Entry = lock.servers.entry((*server).to_owned()).or_default();
            for tool in *tools {
                entry.offers.add(Part::Tool, tool, json!({ "name": tool }));
            }
        }
        lock
    }

    #[test]
    fn names_that_read_the_same_are_found_and_others_are_not() {
        for (a, b, how) in [
            ("send_mail", "send_mail", Some(How::Equal)),
            ("send_mail", "Send_Mail", Some(How::Case)),
            ("send_mail", "send_m\u{ff41}il", Some(How::Compatible)),
            ("send_mail", "s\u{435}nd_mail", Some(How::Looks)),
            ("send_mail", "send_mai1", Some(How::Looks)),
            ("send_mail", "send_maiI", Some(How::Looks)),
            ("info", "INFO", Some(How::Case)),
            ("send_mail", "send\u{200b}_mail", Some(How::Looks)),
            ("send_mail", "sendmail", None),
            ("read", "write", None),
        ] {
            let lock = lock(&[("one", &[a]), ("two", &[b])]);
            let found = lock.alike("one");
            assert_eq!(found.first().map(|it| it.how), how, "{a} {b}");
            assert_eq!(found.first().map(|it| &*it.other), how.map(|_| b), "{a} {b}");
            assert_eq!(lock.alike("two").first().map(|it| it.how), how, "{a} {b}");
        }
        assert_eq!(lock(&[("one", &["read", "Read"])]).alike("one").len(), 2);
    }

    #[test]
    fn what_was_approved_by_name_is_not_told_again() {
        let mut lock = lock(&[("one", &["send_mail"]), ("two", &["send_mail"])]);
        lock.servers.get_mut("one").unwrap().alike.insert("send_mail".to_owned());
        assert_eq!(lock.alike("one"), Vec::new());
        assert_eq!(lock.alike("two").len(), 1);
    }
}
