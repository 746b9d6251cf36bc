//! What the page says of a server, as if it had been typed on a command line: it is read and refused by
//! the same rules.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use serde_json::{Map, Value, json};
use stockade_wire::http::headers::SendHeaders;

use crate::cli::asked::Spoken;
use crate::cli::run::{Asks, Shared};
use crate::client::answers::Answers;
use crate::failure::{Exit, Failure};
use crate::inspect::Spec;

/// What is wanted.
pub(super) struct Wants {
    pub(super) shared: Shared,
    pub(super) upstream: Option<String>,
    pub(super) command: Vec<OsString>,
    pub(super) era: Option<Spoken>,
    pub(super) answers: Map<String, Value>,
    pub(super) label: Option<String>,
    pub(super) meta: Map<String, Value>,
    pub(super) declares: Option<Value>,
    pub(super) roots: Option<Value>,
    /// What was said, for the page.
    pub(super) said: Value,
}

impl Wants {
    /// By these options, of which server is not said yet.
    pub(super) fn by(shared: Shared) -> Self {
        Self {
            shared,
            upstream: None,
            command: Vec::new(),
            era: None,
            answers: Map::new(),
            label: None,
            meta: Map::new(),
            declares: None,
            roots: None,
            said: json!({}),
        }
    }

    /// What the page says, with these options.
    pub(super) fn of(spec: Spec, shared: Shared) -> Result<Self, Failure> {
        let wrong = |says: &str| Failure::new(Exit::Usage, says);
        let said = shown(&spec);
        let Spec { command, url, name, label, era, env, headers, meta, .. } = spec;
        let is_said = [!command.is_empty(), url.is_some(), name.is_some()];
        if is_said.iter().filter(|it| **it).count() != 1 {
            return Err(wrong("a server is one of a command, an address and a name"));
        }
        let is_web = |it: &str| it.starts_with("http://") || it.starts_with("https://");
        if url.as_deref().is_some_and(|it| !is_web(it)) {
            return Err(wrong("the address of a server begins with http:// or https://"));
        }
        if !headers.is_empty() && !command.is_empty() {
            return Err(wrong("headers, and a command that is started"));
        }
        let mut sent = SendHeaders::default();
        for (name, value) in &headers {
            // A secret may stand in it, which is not said again.
            sent.extra(name, value).map_err(|_| {
                wrong("a header cannot be used").help("MCP's own headers are set already")
            })?;
        }
        let is_name = |it: &str| !it.is_empty() && !it.contains(['=', '\0']);
        if env.iter().any(|(name, value)| !is_name(name) || value.contains('\0')) {
            return Err(wrong("a variable cannot be set"));
        }
        if command.iter().any(|it| it.contains('\0')) {
            return Err(wrong("a command with a byte in it that ends words"));
        }
        let era = era.map(|it| it.parse().map_err(|it: String| wrong(&it))).transpose()?;
        let env = env.into_iter().collect();
        let asks = Asks { total: spec.total, many: true, headers: sent, env, ..Asks::default() };
        let shared = match &name {
            Some(name) => shared.named(name),
            None => shared,
        };
        Ok(Self {
            upstream: url,
            command: command.into_iter().map(OsString::from).collect(),
            era,
            answers: spec.answers.unwrap_or_default(),
            label: label.or(name),
            meta,
            declares: spec.capabilities.map(Value::Object),
            roots: spec.roots,
            said,
            ..Self::by(shared.asking(asks))
        })
    }
}

/// What was said of a server, without the values that may be secrets.
fn shown(spec: &Spec) -> Value {
    let names = |it: &BTreeMap<String, String>| {
        let hidden = it.keys().map(|name| (name.clone(), Value::from("…")));
        Value::Object(hidden.collect())
    };
    let held = &spec.sandbox;
    without_nothing(json!({
        "command": spec.command, "url": spec.url, "name": spec.name, "label": spec.label,
        "era": spec.era, "env": names(&spec.env), "passEnv": spec.pass_env,
        "headers": names(&spec.headers), "meta": spec.meta, "timeout": spec.timeout,
        "total": spec.total, "capabilities": spec.capabilities,
        "sandbox": {
            "how": held.how, "image": held.image, "roots": held.roots, "net": held.net,
            "memory": held.memory, "cpus": held.cpus, "pids": held.pids, "time": held.time,
            "allowWeaker": held.allow_weaker, "programs": held.programs,
            "secrets": held.secrets, "trace": held.trace,
        },
    }))
}

/// The same without what was not said.
fn without_nothing(value: Value) -> Value {
    let Value::Object(all) = value else { return value };
    let says_something = |it: &Value| match it {
        Value::Null | Value::Bool(false) => false,
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    };
    let all = all.into_iter().map(|(name, it)| match &*name {
        "sandbox" => (name, without_nothing(it)),
        _ => (name, it),
    });
    Value::Object(all.filter(|(_, it)| says_something(it)).collect())
}

/// The options that the page has said, as they would be typed.
pub(super) fn words(spec: &Spec) -> Vec<OsString> {
    let held = &spec.sandbox;
    let mut words: Vec<String> = Vec::new();
    let mut say = |option: &str, value: &str| words.push(format!("--{option}={value}"));
    held.roots.iter().for_each(|it| say("root", it));
    if !held.net.is_empty() {
        say("net", &held.net.join(","));
    }
    for (option, value) in [
        ("sandbox", &held.how),
        ("image", &held.image),
        ("memory", &held.memory),
        ("cpus", &held.cpus),
        ("pids", &held.pids.map(|it| it.to_string())),
        ("time", &held.time.map(|it| it.to_string())),
        ("timeout", &spec.timeout.map(|it| it.to_string())),
    ] {
        value.iter().for_each(|it| say(option, it));
    }
    held.allow_weaker.iter().for_each(|it| say("allow-weaker", it));
    held.programs.iter().for_each(|it| say("program", it));
    held.secrets.iter().for_each(|it| say("secret", it));
    spec.pass_env.iter().for_each(|it| say("env", it));
    let flags = [("--trace", held.trace), ("--yes", spec.consent)];
    words.extend(flags.into_iter().filter(|(_, it)| *it).map(|(name, _)| name.to_owned()));
    words.into_iter().map(OsString::from).collect()
}

/// A file of answers, as the page has them.
pub(super) fn answers(path: &Path) -> Result<Map<String, Value>, Failure> {
    let shown = path.display();
    let help = "docs/call.md says what there may be in it";
    let text = std::fs::read_to_string(path).map_err(|it| {
        Failure::new(Exit::Usage, format!("cannot read the answers in `{shown}`"))
            .help("name a file that is there with `--answers FILE`")
            .from(it)
    })?;
    let wrong = |it: String| {
        Failure::new(Exit::Usage, format!("the answers in `{shown}` cannot be used: {it}"))
            .help(help)
    };
    Answers::parse(&text).map_err(wrong)?;
    let read = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|it| it.to_string()),
        false => toml::from_str(&text).map_err(|it| it.to_string()),
    };
    read.map_err(wrong)
}
