//! Standing grants: what one person has allowed for later. Each is for one tool of one server, as
//! both were when it was given, for one caller, with arguments within bounds, until some time. It
//! answers no question that asks for more than it was given for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stockade_core::json::Document;
use stockade_core::leads::Lead;
use stockade_core::policy::{Condition, Reading, Test};

use super::Asked;
use crate::guard::links::look;

/// So many may stand at a time.
const GRANTS_MAX: usize = 1000;

/// The longest that one may stand, in seconds: a year.
pub const FOR_MAX_S: u64 = 365 * 86_400;

/// Within which a call is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// What each argument may be. One that is not here may not be there.
    pub arguments: BTreeMap<String, Bound>,
    /// For how long, in seconds.
    pub for_s: u64,
}

/// What one argument may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This.
    Equals(Value),
    /// A path in this directory.
    Within(String),
    /// A text that fits this regular expression, the whole of it.
    Matches(String),
    /// Anything.
    Any,
}

/// What stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// What it goes by.
    pub id: String,
    /// The server, by its name in the policy.
    pub server: String,
    /// And what it is: [`Asked::identity`].
    pub identity: String,
    /// The tool.
    pub tool: String,
    /// As its server described it.
    pub tool_digest: String,
    /// For whose calls.
    pub principal: String,
    /// Which rules asked. A question of another is not answered by this.
    pub reasons: Vec<String>,
    /// What the arguments may be.
    pub arguments: BTreeMap<String, Bound>,
    /// Until when, in seconds since 1970.
    pub until_s: u64,
    /// Who gave it.
    pub by: String,
    /// That the service has written it: see [`stockade_store::vouch`].
    #[serde(default)]
    pub voucher: String,
    /// Why it does not stand, and never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

/// All that stand, and the file that they are kept in.
#[derive(Debug)]
pub struct Grants {
    file: PathBuf,
    /// The ledger whose key says that they are the service's.
    ledger: PathBuf,
    all: Vec<Grant>,
}

impl Bounds {
    /// The narrowest: what the question has, and nothing else. Nothing, where it has no arguments
    /// that could be told apart by name.
    pub fn of(asked: &Asked, for_s: u64) -> Option<Self> {
        let arguments = match &asked.question.arguments {
            Value::Null => BTreeMap::new(),
            Value::Object(members) => {
                members.iter().map(|(name, it)| (name.clone(), Bound::Equals(it.clone()))).collect()
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
        };
        Some(Self { arguments, for_s })
    }

    /// The same with some of them otherwise.
    ///
    /// # Errors
    /// The first that is none of the tool's or of the call's.
    pub fn with(
        mut self,
        asked: &Asked,
        otherwise: impl IntoIterator<Item = (String, Bound)>,
    ) -> Result<Self, String> {
        for (name, bound) in otherwise {
            if !self.arguments.contains_key(&name) && !asked.question.takes.contains(&name) {
                return Err(name);
            }
            self.arguments.insert(name, bound);
        }
        Ok(self)
    }
}

impl Bound {
    /// Whether a value is within.
    fn holds(&self, value: &Value) -> bool {
        let holds = |test: Test, roots: &[String]| {
            let Ok(document) = Document::from_value(&serde_json::json!({ "it": value })) else {
                return false;
            };
            let argument = "it".to_owned();
            let condition = Condition { argument, tests: vec![test], reading: Reading::Narrow };
            condition.holds(Some(document.root()), roots)
        };
        match self {
            Self::Equals(it) => it == value && !is_rounded(it),
            Self::Any => true,
            // A relative path is the server's, and from where it counts is not known.
            Self::Within(directory) => {
                let root = std::slice::from_ref(directory);
                is_whole(value) && holds(Test::InRoots(true), root) && stays(value, root)
            }
            Self::Matches(text) => {
                Test::matches(text, Reading::Narrow).is_ok_and(|it| holds(it, &[]))
            }
        }
    }

    /// Why it bounds nothing that could be meant.
    fn wrong(&self) -> Option<String> {
        match self {
            Self::Equals(it) if is_rounded(it) => {
                let says = "a number that is no integer cannot be compared to the letter";
                Some(format!("{says}: say `any` of that argument"))
            }
            Self::Matches(text) => {
                let error = Test::matches(text, Reading::Narrow).err()?;
                Some(format!("`{text}` is not a regular expression: {error}"))
            }
            Self::Within(directory) if !directory.starts_with('/') => {
                Some(format!("`{directory}` is not a whole path"))
            }
            Self::Within(_) | Self::Equals(_) | Self::Any => None,
        }
    }
}

/// Whether all texts in it are paths from the top, or URIs.
fn is_whole(value: &Value) -> bool {
    match value {
        Value::String(it) => it.starts_with('/') || it.contains("://"),
        Value::Array(items) => items.iter().all(is_whole),
        Value::Object(members) => members.values().all(is_whole),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether no path in it has a link that leads out of the root. Looked at now; what it is when the call
/// is made, the sandbox holds.
fn stays(value: &Value, root: &[String]) -> bool {
    let mut paths = BTreeSet::new();
    texts(value, &mut paths);
    let leads = look(paths.clone(), root);
    paths.iter().all(|it| leads.of(it) == Lead::Inside)
}

fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(it) => drop(into.insert(it.clone())),
        Value::Array(items) => items.iter().for_each(|it| texts(it, into)),
        Value::Object(members) => members.values().for_each(|it| texts(it, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => (),
    }
}

/// Whether there is a number in it of which two that differ may look the same here.
fn is_rounded(value: &Value) -> bool {
    match value {
        Value::Number(it) => it.is_f64(),
        Value::Array(items) => items.iter().any(is_rounded),
        Value::Object(members) => members.values().any(is_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Whether a grant answers a question.
pub fn covers(grant: &Grant, asked: &Asked, unix_s: u64) -> bool {
    let question = &asked.question;
    let same = grant.void.is_none()
        && grant.identity == asked.identity
        && grant.server == question.server
        && grant.principal == question.principal
        && question.method == "tools/call"
        && question.from == "client"
        && question.tool.as_ref() == Some(&grant.tool)
        && question.tool_digest.as_ref() == Some(&grant.tool_digest)
        && question.asks_no_more()
        && unix_s < grant.until_s;
    let known = || question.reasons.iter().all(|it| grant.reasons.contains(it));
    let within = || match &question.arguments {
        Value::Null => grant.arguments.values().all(|it| *it == Bound::Any),
        Value::Object(members) => {
            let named = members.keys().all(|it| grant.arguments.contains_key(it));
            let holds = |(name, bound): (&String, &Bound)| match members.get(name) {
                Some(value) => bound.holds(value),
                // What was there when it was granted may be what makes it harmless.
                None => *bound == Bound::Any,
            };
            named && grant.arguments.iter().all(holds)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    };
    same && known() && within()
}

impl Grant {
    /// What says that the service has written it, which only who has the ledger's key can make.
    fn vouched(&self, ledger: &Path) -> Result<String, String> {
        let bare = Self { voucher: String::new(), void: None, ..self.clone() };
        let text = serde_json::to_vec(&bare).map_err(|it| it.to_string())?;
        stockade_store::vouch(ledger, "grant", &text).map_err(|it| it.to_string())
    }
}

impl Grants {
    /// Those that are kept in `file`, where the key of `ledger` says that the service has written them:
    /// what others have put there stands for nothing. What cannot be read grants nothing, and is an
    /// error.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(file: PathBuf, ledger: PathBuf) -> io::Result<Self> {
        let mut all: Vec<Grant> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        all.truncate(GRANTS_MAX);
        for grant in &mut all {
            grant.void = match grant.vouched(&ledger) {
                Ok(voucher) if voucher == grant.voucher => None,
                Ok(_) => Some("it is not as the service of approvals has kept it".to_owned()),
                Err(why) => Some(format!("it cannot be compared with the ledger: {why}")),
            };
        }
        Ok(Self { file, ledger, all })
    }

    /// Those that stand for nothing.
    pub fn void(&self) -> impl Iterator<Item = &Grant> {
        self.all.iter().filter(|it| it.void.is_some())
    }

    /// Takes away those for the tool of a question that its server describes otherwise by now. They do
    /// not stand again when it describes it as before.
    pub fn end_changed(&mut self, asked: &Asked) -> Vec<Grant> {
        let question = &asked.question;
        let Some(now) = question.tool_digest.as_ref().filter(|_| question.from == "client") else {
            return Vec::new();
        };
        let is_changed = |it: &mut Grant| {
            it.identity == asked.identity
                && it.server == question.server
                && question.tool.as_ref() == Some(&it.tool)
                && it.tool_digest != *now
        };
        let ended: Vec<Grant> = self.all.extract_if(.., is_changed).collect();
        if !ended.is_empty() {
            // They are gone here in any case.
            let _written = self.write();
        }
        ended
    }

    /// All that stand.
    pub fn all(&self, unix_s: u64) -> Vec<Grant> {
        self.all.iter().filter(|it| unix_s < it.until_s).cloned().collect()
    }

    /// One that answers a question.
    pub fn find(&self, asked: &Asked, unix_s: u64) -> Option<&Grant> {
        self.all.iter().find(|it| covers(it, asked, unix_s))
    }

    /// Grants what is asked, within bounds.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn give(
        &mut self,
        asked: &Asked,
        bounds: &Bounds,
        by: &str,
        unix_s: u64,
    ) -> Result<Grant, String> {
        let question = &asked.question;
        let (Some(tool), Some(tool_digest)) = (&question.tool, &question.tool_digest) else {
            return Err("the server has not described this, so nobody would see it change".into());
        };
        if let Some(wrong) = bounds.arguments.values().find_map(Bound::wrong) {
            return Err(wrong);
        }
        if !(1..=FOR_MAX_S).contains(&bounds.for_s) {
            return Err("a grant stands for a second at least, and for a year at most".into());
        }
        self.all.retain(|it| unix_s < it.until_s);
        if self.all.iter().filter(|it| it.void.is_none()).count() >= GRANTS_MAX {
            return Err(format!("there are {GRANTS_MAX} grants; revoke some first"));
        }
        let mark = getrandom::u32().map_err(|it| it.to_string())?;
        let mut grant = Grant {
            id: format!("g{mark:08x}"),
            server: question.server.clone(),
            identity: asked.identity.clone(),
            tool: tool.clone(),
            tool_digest: tool_digest.clone(),
            principal: question.principal.clone(),
            reasons: question.reasons.clone(),
            arguments: bounds.arguments.clone(),
            until_s: unix_s.saturating_add(bounds.for_s),
            by: by.to_owned(),
            voucher: String::new(),
            void: None,
        };
        if !covers(&grant, asked, unix_s) {
            return Err("these bounds do not allow the very call that they are given for".into());
        }
        let unkept = |it: String| format!("the grant cannot be kept: {it}");
        grant.voucher = grant.vouched(&self.ledger).map_err(unkept)?;
        self.all.push(grant.clone());
        if let Err(error) = self.write() {
            self.all.pop();
            return Err(format!("the grant cannot be kept: {error}"));
        }
        Ok(grant)
    }

    /// Takes one back.
    ///
    /// # Errors
    /// When there is none, or when that cannot be kept.
    pub fn revoke(&mut self, id: &str) -> Result<Grant, String> {
        let at = self.all.iter().position(|it| it.id == id);
        let grant = at.map(|it| self.all.remove(it)).ok_or("there is no such grant")?;
        // It is gone here in any case.
        self.write().map_err(|it| format!("it does not stand now, but cannot be removed: {it}"))?;
        Ok(grant)
    }

    fn write(&self) -> io::Result<()> {
        let new = self.file.with_extension("new");
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec_pretty(&self.all)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_relative_path_is_within_no_directory() {
        let within = Bound::Within("/srv/notes".into());
        for (value, holds) in [
            (json!("/srv/notes/a"), true),
            (json!(["/srv/notes/a", "file:///srv/notes/b"]), true),
            (json!("/srv/other"), false),
            (json!("a"), false),
            (json!("../notes/a"), false),
            (json!(["/srv/notes/a", "b"]), false),
        ] {
            assert_eq!(within.holds(&value), holds, "{value}");
        }
    }

    #[test]
    fn a_link_that_leads_out_is_within_no_directory() {
        let top = tempfile::tempdir().unwrap();
        let notes = top.path().join("notes");
        fs::create_dir_all(&notes).unwrap();
        fs::create_dir(top.path().join("private")).unwrap();
        std::os::unix::fs::symlink("../private", notes.join("out")).unwrap();
        std::os::unix::fs::symlink(".", notes.join("in")).unwrap();
        let within = Bound::Within(notes.display().to_string());
        let value = |it: &str| json!(notes.join(it).display().to_string());
        assert!(within.holds(&value("new")) && within.holds(&value("in/new")));
        assert!(!within.holds(&value("out/key")));
        assert!(!within.holds(&json!([value("new"), value("out/key")])));
    }
}
