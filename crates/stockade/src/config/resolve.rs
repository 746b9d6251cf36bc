//! From what was written to what runs: defaults, then the file, then the command line, each value
//! with the place it came from. Nothing is half taken: a file with one thing wrong gives no policy.

mod alerts;
mod flow;
mod input;
mod monitoring;
mod quota;
mod review;
mod root;
mod sandbox;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stockade_core::check;
use stockade_core::finding::Severity;
use stockade_core::policy::{
    Action, Condition, Effect, Limits, Origin, Pattern, Permitted, Policy, Test, ToolRule, Tools,
    When,
};
use stockade_sandbox::Network;
use stockade_store::{Keep, Options};
use stockade_wire::error::WireError;
use stockade_wire::http::connection::HttpUpstream;

use super::file::{
    Argument, At, File, HttpTable, Mode, Named, OneOrMany, Pinning, Preset, ServerTable, Standing,
    Tool,
};
use super::read::{Reader, nearest};
use super::source::line;
use super::{ConfigError, Problems, Search, Source};
use crate::alerts::Wanted;
pub use alerts::Ways;
pub use root::Root;
pub use sandbox::{Sandbox, with_hosts};

/// What the command line says about the policy.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--server`: the server of the file that this is about.
    pub server: Option<String>,
    /// `--root`, in place of the roots of the file.
    pub roots: Vec<String>,
    /// `--client-root`, in place of what the file says of the client's.
    pub client_roots: Vec<String>,
    /// `--net`, in place of whom the file lets a server reach.
    pub network: Option<Network>,
    /// `--timeout`, in seconds.
    pub call_timeout_s: Option<usize>,
    /// `--total`, in seconds.
    pub call_total_s: Option<usize>,
    /// `--load`: what nobody has bounded in the file is not bounded for calls that are meant to be
    /// many.
    pub load: bool,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A program and its arguments.
    Command(Vec<String>),
    /// An address.
    Url(String),
}

/// A server of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What it goes by.
    pub name: String,
    /// How it is reached.
    pub target: Target,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// Who said so.
    pub origin: Origin,
}

/// Who may come in over HTTP, besides whoever asks for the address itself. There is no way to say
/// "any": it would let every web page in, by a name of its own that leads to this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// The names under which this guard may be asked for.
    pub hosts: Vec<String>,
    /// The web pages that may ask.
    pub origins: Vec<String>,
}

/// A value that holds, and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key, as in `limits.depth_max`.
    pub key: String,
    /// What it is.
    pub value: String,
    /// The file and the line, the flag, or that nobody said it.
    pub place: String,
}

/// Everything that a policy file and a command line come to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What is judged by.
    pub policy: Arc<Policy>,
    /// The server that this is about, where it is in the file.
    pub server: Option<Server>,
    /// Every server of the file.
    pub servers: Vec<Server>,
    /// The directories, with what may be done there.
    pub roots: Vec<Root>,
    /// What holds the server, if it is a process.
    pub sandbox: Sandbox,
    /// Who may come in over HTTP.
    pub http: Http,
    /// How the ledger is written.
    pub ledger: Options,
    /// What is done with a server that is in no lock.
    pub pinning: Pinning,
    /// What somebody is told at once, if anything is.
    pub alerts: Option<Wanted>,
    /// Where numbers of what happens are read, if they are.
    pub metrics: Option<SocketAddr>,
    /// Where calls are told as parts of traces, if they are.
    pub traces: Option<String>,
    /// By what other ways people hear of what asks.
    pub ways: Ways,
    /// Every value that is not the default, and the default of every limit.
    pub settings: Vec<Setting>,
    /// The file that was read.
    pub source: Option<Source>,
}

impl Resolved {
    /// Reads the file that `search` finds, and resolves it.
    ///
    /// # Errors
    /// Why there is no policy. There is nothing to fall back to then: nothing may run.
    pub fn read(search: &Search, flags: &Flags) -> Result<Self, ConfigError> {
        Self::new(search.read()?, flags)
    }

    /// That the file says nothing, if there is one and it does not: `stockade policy init … >
    /// stockade.toml` makes one when it fails.
    pub fn says_nothing(&self) -> Option<String> {
        let source = self.source.as_ref()?;
        let is_empty =
            source.text.lines().map(str::trim).all(|it| it.is_empty() || it.starts_with('#'));
        let path = stockade_core::check::visible(&source.path.display().to_string());
        is_empty.then(|| {
            format!("the policy `{path}` says nothing, so that each tool is allowed: what was to write it may have failed")
        })
    }

    /// Resolves a file that was read, or none.
    ///
    /// # Errors
    /// Why there is no policy.
    pub fn new(source: Option<Source>, flags: &Flags) -> Result<Self, ConfigError> {
        let path = source.as_ref().map(|it| it.path.display().to_string()).unwrap_or_default();
        let text = source.as_ref().map(|it| Arc::clone(&it.text)).unwrap_or_default();
        let wrong = |mut list: Vec<super::Problem>| {
            list.sort_by_key(|it| it.span.start);
            let (path, text) = (path.clone(), Arc::clone(&text));
            ConfigError::Problems(Problems { path, text, list })
        };
        let file = File::parse(&text).map_err(&wrong)?;
        let mut making = Making {
            path: &path,
            text: &text,
            reader: Reader::default(),
            settings: Vec::new(),
            named: Vec::new(),
            flags,
        };
        let made = making.file(&file)?;
        if !making.reader.problems.is_empty() {
            return Err(wrong(making.reader.problems));
        }
        let settings = making.settings;
        Ok(Self { settings, source, ..made })
    }

    /// Where a key was said; `built in`, where nobody said it.
    pub fn place(&self, key: &str) -> &str {
        let said = self.settings.iter().find(|it| it.key == key);
        said.map_or("built in", |it| it.place.as_str())
    }
}

/// So long may the name of a rule be.
const NAME_BYTES_MAX: usize = 40;

/// Shorter ones would be files without end.
const SEGMENT_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 30;
const SEGMENT_AGE_S: RangeInclusive<usize> = 60..=31_536_000;
const KEEP_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 50;
const KEEP_DAYS: RangeInclusive<usize> = 1..=36_500;

/// Whether nobody is to be asked, whatever asks.
fn asks_nobody(file: &File) -> bool {
    let mode = file.approvals.as_ref().and_then(|it| it.value.mode.as_ref());
    mode.is_some_and(|it| it.value == Mode::Production)
}

struct Making<'a> {
    path: &'a str,
    text: &'a str,
    reader: Reader,
    settings: Vec<Setting>,
    /// What rules are called.
    named: Vec<String>,
    flags: &'a Flags,
}

impl Making<'_> {
    fn file(&mut self, file: &File) -> Result<Resolved, ConfigError> {
        let preset = file.preset.as_ref().map(|it| it.value).unwrap_or_default();
        let base = match preset {
            Preset::Default => Policy::default(),
            Preset::Transparent => Policy::transparent(),
        };
        if let Some(it) = &file.preset {
            self.setting("preset", preset.name(), &it.span);
        }
        let shadow = self.shadow(file);
        let servers = self.servers(file);
        let server = self.server(&servers)?;
        let name = self.flags.server.clone().unwrap_or_default();
        let written = file.servers.iter().flat_map(|it| &it.value.0);
        let table = written.clone().find(|(key, _)| key.value == name).map(|(_, it)| &it.value);
        let roots = self.roots(file, table)?;
        let client_roots = self.client_roots(file, table)?;
        let limits = self.limits(file)?;
        let (canaries, plants) = self.canaries(file);
        let sandbox = self.sandbox(file, table);
        let mut severities = base.severities;
        severities.extend(self.severities(file));
        let mut policy = Policy {
            rules: self.rules(file),
            severities,
            roots: roots.iter().map(|it| it.path.clone()).collect(),
            client_roots,
            text_bytes_max: (preset != Preset::Transparent || said(file, "text_bytes_max"))
                .then_some(limits.text_bytes_max),
            asks_nobody: asks_nobody(file),
            asks_client: self.asks_client(file),
            tools: self.tools(file, name),
            inputs: self.inputs(file, table),
            limits,
            quotas: self.quotas(file),
            roles: self.role_rules(file),
            risks: self.risks(file),
            sampling: self.sampling(file),
            elicitation: self.elicitation(file),
            canaries,
            // A canary in an answer is a mend of it.
            plants: plants && !shadow,
            shadow,
            digest: (!self.path.is_empty())
                .then(|| blake3::hash(self.text.as_bytes()).to_hex().as_str().into()),
            kills_overdue: sandbox.kill_overdue,
        };
        let sandbox = self.sandbox(file, table);
        // Whom a server is to reach, its client may name.
        let network = self.flags.network.as_ref().unwrap_or(&sandbox.network);
        let named = network.destinations().iter().map(ToString::to_string);
        policy.inputs.hosts.extend(
            named.filter_map(|it| Permitted::parse(it.split('=').next().unwrap_or_default()).ok()),
        );
        Ok(Resolved {
            policy: Arc::new(policy),
            server,
            servers,
            roots,
            sandbox,
            http: self.http(file),
            ledger: self.ledger(file),
            pinning: self.pinning(file),
            alerts: self.alerts(file),
            metrics: self.metrics(file),
            traces: self.traces(file),
            ways: self.ways(file),
            settings: Vec::new(),
            source: None,
        })
    }

    /// Whether nothing of what is decided is done.
    fn shadow(&mut self, file: &File) -> bool {
        file.mode.as_ref().is_some_and(|it| {
            self.setting("mode", it.value.name(), &it.span);
            it.value == Standing::Shadow
        })
    }

    /// Whether the word of a client is taken for an answer.
    fn asks_client(&mut self, file: &File) -> bool {
        let said = file.approvals.as_ref().and_then(|it| it.value.client.as_ref());
        said.is_some_and(|it| {
            self.setting("approvals.client", &it.value.to_string(), &it.span);
            it.value
        })
    }

    fn tools(&mut self, file: &File, server: String) -> Tools {
        let mut rules = Vec::new();
        if let Some(tools) = &file.tools {
            for (n, tool) in tools.value.iter().enumerate() {
                rules.extend(self.tool(tool, format!("tools[{n}]"), None));
            }
        }
        for (name, table) in file.servers.iter().flat_map(|it| &it.value.0) {
            for (n, tool) in table.value.tools.iter().flat_map(|it| &it.value).enumerate() {
                let id = format!("servers.{}.tools[{n}]", name.value);
                rules.extend(self.tool(tool, id, Some(&name.value)));
            }
        }
        let servers = file.servers.iter().flat_map(|it| &it.value.0);
        let mut tools = file.tools.iter().map(|it| &it.span);
        let first = tools.next().or_else(|| {
            servers.filter_map(|(_, it)| it.value.tools.as_ref()).map(|it| &it.span).next()
        });
        let mode = file.approvals.as_ref().and_then(|it| it.value.mode.as_ref());
        if let Some(mode) = mode {
            self.setting("approvals.mode", mode.value.name(), &mode.span);
        }
        let production = mode.filter(|it| it.value == Mode::Production);
        match (&file.default, first) {
            (Some(it), _) if production.is_some() && it.value != Effect::Deny => {
                let says = "in production, what no rule is about is denied".to_owned();
                self.reader.wrong(it.span.clone(), says, "this says otherwise");
                self.reader.help("write `default = \"deny\"`, or leave it away".to_owned());
                Tools { server, default: Effect::Deny, ..Tools::default() }
            }
            (None, _) if let Some(mode) = production => {
                let default_origin = self.origin("approvals.mode", &mode.span);
                Tools { server, rules, default: Effect::Deny, default_origin }
            }
            (Some(it), _) => {
                self.setting("default", it.value.name(), &it.span);
                let default_origin = self.origin("default", &it.span);
                Tools { server, rules, default: it.value, default_origin }
            }
            (None, Some(span)) => {
                let says = "what happens to calls that no rule is about is not said";
                self.reader.wrong(self.head(span), says.to_owned(), "there are rules about tools");
                self.reader.help("write `default = \"deny\"` at the top of the file".to_owned());
                Tools { server, default: Effect::Deny, ..Tools::default() }
            }
            (None, None) => Tools { server, ..Tools::default() },
        }
    }

    /// Reads a rule. Nothing, when something is wrong with it: that is noted then.
    fn tool(&mut self, at: &At<Tool>, id: String, server: Option<&str>) -> Option<ToolRule> {
        let tool = &at.value;
        let origin = self.origin(&self.rule_name(tool, id), &at.span);
        if let Some(name) = &tool.name {
            self.named(&origin.id, name);
        }
        if tool.effect.is_none() {
            self.missing(&at.span, "effect", "`allow`, `ask` or `deny`");
        }
        if tool.tool.is_none() {
            self.missing(&at.span, "tool", "names of tools; `\"*\"` is any");
        }
        // Read as if it denied, so that everything else that is wrong is found too.
        let effect = tool.effect.as_ref().map_or(Effect::Deny, |it| it.value);
        let servers = match (server, &tool.server) {
            (None, None) => self.pattern("*", &at.span, effect).into_iter().collect(),
            (None, Some(it)) => self.patterns(&it.value, effect),
            (Some(name), None) => Pattern::exact(name, effect.reading()).into_iter().collect(),
            (Some(_), Some(it)) => {
                let says = "a rule of a server cannot be about another".to_owned();
                self.reader.wrong(it.span.clone(), says, "of a server");
                self.reader.help("move the rule to `[[tools]]`".to_owned());
                Vec::new()
            }
        };
        let names = tool.tool.as_ref().map(|it| self.patterns(&it.value, effect));
        let arguments = tool.args.iter().flat_map(|it| &it.value.0);
        let conditions = arguments.filter_map(|(name, it)| self.condition(name, it, effect));
        let conditions = conditions.collect();
        let when = tool.when.as_ref().and_then(|it| self.when(it));
        tool.effect.as_ref()?;
        let shadow = tool.shadow.as_ref().filter(|it| it.value);
        if let (Some(it), Effect::Allow) = (shadow, effect) {
            let says = "an allow in shadow would allow nothing".to_owned();
            self.reader.wrong(it.span.clone(), says, "of an allow");
            self.reader.help("a rule in shadow asks or denies".to_owned());
        }
        let shadow = shadow.is_some();
        Some(ToolRule { origin, effect, servers, tools: names?, conditions, when, shadow })
    }

    /// What a rule goes by: its name, if it has one, or its place.
    fn rule_name(&self, tool: &Tool, id: String) -> String {
        match (&tool.name, id.rsplit_once('[')) {
            (Some(name), Some((list, _))) => format!("{list}.{}", name.value),
            (None, _) | (_, None) => id,
        }
    }

    /// What a rule is called is said to peers, and must mean one rule.
    fn named(&mut self, id: &str, name: &At<String>) {
        let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "-_".contains(it);
        if name.value.is_empty()
            || name.value.len() > NAME_BYTES_MAX
            || !name.value.chars().all(fits)
        {
            let says = "this is not the name of a rule".to_owned();
            self.reader.wrong(name.span.clone(), says, "small letters, digits, `-` and `_`");
        } else if self.named.iter().any(|it| it == id) {
            let says = format!("two rules are called `{}`", name.value);
            self.reader.wrong(name.span.clone(), says, "the second");
        }
        self.named.push(id.to_owned());
    }

    fn missing(&mut self, span: &Range<usize>, key: &str, help: &str) {
        self.reader.wrong(self.head(span), format!("`{key}` is missing"), "in this rule");
        self.reader.help(format!("`{key}` is {help}"));
    }

    fn patterns(&mut self, names: &OneOrMany, effect: Effect) -> Vec<Pattern> {
        let each = names.0.iter().filter_map(|it| self.pattern(&it.value, &it.span, effect));
        each.collect()
    }

    fn pattern(&mut self, text: &str, span: &Range<usize>, effect: Effect) -> Option<Pattern> {
        let parsed = Pattern::parse(text, effect.reading());
        parsed.map_err(|it| self.wrong(span, "this is not a glob", it)).ok()
    }

    fn condition(
        &mut self,
        name: &At<String>,
        at: &At<Argument>,
        effect: Effect,
    ) -> Option<Condition> {
        let (argument, reading) = (&at.value, effect.reading());
        let mut tests = Vec::new();
        tests.extend(argument.present.as_ref().map(|it| Test::Present(it.value)));
        if let Some(it) = &argument.in_roots {
            if effect == Effect::Allow && !it.value {
                let says = "an allow cannot be for what is outside the roots".to_owned();
                self.reader.wrong(it.span.clone(), says, "anything else is outside");
                self.reader.help("allow what is inside, or deny what is outside".to_owned());
            }
            tests.push(Test::InRoots(it.value));
        }
        if let Some(it) = &argument.matches {
            let test = Test::matches(&it.value, reading);
            let test =
                test.map_err(|e| self.wrong(&it.span, "this is not a regular expression", e));
            tests.extend(test);
        }
        tests.extend(argument.prefix.as_ref().map(|it| Test::Prefix(it.value.clone())));
        tests.extend(argument.equals.as_ref().map(|it| Test::OneOf(vec![it.value.clone()])));
        tests.extend(
            argument
                .one_of
                .as_ref()
                .map(|it| Test::OneOf(it.value.iter().map(|it| it.value.clone()).collect())),
        );
        if tests.is_empty() && argument.matches.is_none() {
            let says = format!("nothing is said about `{}`", name.value);
            self.reader.wrong(at.span.clone(), says, "empty");
            self.reader.help("write `{ present = true }` if it must be there".to_owned());
        }
        if argument.present.as_ref().is_some_and(|it| !it.value) && tests.len() > 1 {
            let says = "what is not there cannot be anything else".to_owned();
            self.reader.wrong(at.span.clone(), says, "`present = false` and more");
        }
        Some(Condition { argument: name.value.clone(), tests, reading })
    }

    fn when(&mut self, at: &At<String>) -> Option<When> {
        match When::parse(&at.value) {
            Ok(it) => Some(it),
            Err(error) => {
                let span = error.at().and_then(|it| self.within(at, it));
                let span = span.unwrap_or_else(|| at.span.clone());
                self.reader.wrong(
                    span,
                    "this expression cannot be used".to_owned(),
                    error.to_string(),
                );
                None
            }
        }
    }

    /// The place of a byte of a string in the file, where the string has no escapes before it.
    fn within(&self, string: &At<String>, at: usize) -> Option<Range<usize>> {
        let written = self.text.get(string.span.clone())?;
        let start = string.span.start + written.find(string.value.as_str())? + at;
        let rest = self.text.get(start..string.span.end)?;
        let word = rest.find(|it: char| !it.is_alphanumeric() && it != '_');
        let end = start + word.unwrap_or(rest.len()).max(1);
        self.text.get(start..end).map(|_| start..end)
    }

    fn rules(&mut self, file: &File) -> HashMap<&'static str, Action> {
        let mut rules = HashMap::new();
        for (name, action) in file.rules.iter().flat_map(|it| &it.value.0) {
            match check::rule(&name.value) {
                Some(rule) => {
                    self.setting(&format!("rules.{}", rule.id), action.value.name(), &name.span);
                    rules.insert(rule.id, action.value);
                }
                None => self.reader.unknown("rule", name, check::rules().map(|it| it.id)),
            }
        }
        rules
    }

    fn severities(&mut self, file: &File) -> Vec<(Severity, Action)> {
        let all = [Severity::Low, Severity::Medium, Severity::High];
        let mut severities = Vec::new();
        for (name, action) in file.severity.iter().flat_map(|it| &it.value.0) {
            match all.iter().find(|it| it.name() == name.value) {
                Some(it) => {
                    self.setting(
                        &format!("severity.{}", it.name()),
                        action.value.name(),
                        &name.span,
                    );
                    severities.push((*it, action.value));
                }
                None => self.reader.unknown("severity", name, all.iter().map(|it| it.name())),
            }
        }
        severities
    }

    fn limits(&mut self, file: &File) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        let written = || file.limits.iter().flat_map(|it| &it.value.0);
        for (name, at) in written() {
            let Some(limit) = Limits::named(&name.value) else {
                self.reader.unknown("limit", name, Limits::ALL.iter().map(|it| it.name));
                continue;
            };
            if !limit.admits(at.value) {
                let says = format!("`{}` is out of bounds", limit.name);
                let label = format!("between {} and {}", limit.least, limit.most);
                self.reader.wrong(at.span.clone(), says, label);
            }
            limit.set(&mut limits, at.value);
        }
        let mut said = Vec::new();
        for (name, flag, value) in [
            ("call_timeout_s", "--timeout", self.flags.call_timeout_s),
            ("call_total_s", "--total", self.flags.call_total_s),
        ] {
            let (Some(value), Some(limit)) = (value, Limits::named(name)) else { continue };
            if !limit.admits(value) {
                let bounds = limit.least..=limit.most;
                return Err(ConfigError::Limit { flag, value, bounds });
            }
            limit.set(&mut limits, value);
            said.push((name, flag));
        }
        for limit in Limits::ALL.iter().filter(|it| self.flags.load && is_of_many(it.name)) {
            if written().all(|(it, _)| it.value != limit.name) {
                limit.set(&mut limits, limit.most);
                said.push((limit.name, "--load"));
            }
        }
        for limit in Limits::ALL {
            let line = written().find(|(it, _)| it.value == limit.name);
            let mut place = line.map_or("built in".to_owned(), |(it, _)| self.place(&it.span));
            if let Some((_, flag)) = said.iter().find(|(name, _)| *name == limit.name) {
                place = (*flag).to_owned();
            }
            let (key, value) = (format!("limits.{}", limit.name), limit.value(&limits).to_string());
            self.settings.push(Setting { key, value, place });
        }
        Ok(limits)
    }

    fn servers(&mut self, file: &File) -> Vec<Server> {
        let written = file.servers.iter().flat_map(|it| &it.value.0);
        written.filter_map(|(name, table)| self.one_server(name, table)).collect()
    }

    fn one_server(&mut self, name: &At<String>, table: &At<ServerTable>) -> Option<Server> {
        let server = &table.value;
        let target = match (&server.command, &server.url) {
            (Some(command), None) => {
                Target::Command(command.value.iter().map(|it| it.value.clone()).collect())
            }
            (None, Some(url)) => {
                self.url(url);
                Target::Url(url.value.clone())
            }
            (None, None) | (Some(_), Some(_)) => {
                let says = format!("server `{}` needs one of `command` and `url`", name.value);
                self.reader.wrong(name.span.clone(), says, "this server");
                return None;
            }
        };
        let env = server.env.iter().flat_map(|it| &it.value.0);
        let env = env.map(|(key, value)| {
            if key.value.is_empty() || key.value.contains(['=', '\0']) || value.value.contains('\0')
            {
                let says = "this cannot be a variable of an environment".to_owned();
                self.reader.wrong(key.span.clone(), says, "this variable");
            }
            (key.value.clone(), value.value.clone())
        });
        let env = env.collect();
        let origin = self.origin(&format!("servers.{}", name.value), &name.span);
        // Those of the other servers are not used now, but must be right all the same.
        for root in server.roots.iter().flat_map(|it| &it.value) {
            self.root(root);
        }
        for admission in server.client_roots.iter().flat_map(|it| &it.value) {
            self.admission(admission);
        }
        Some(Server { name: name.value.clone(), target, env, origin })
    }

    fn url(&mut self, url: &At<String>) {
        if let Err(error) = HttpUpstream::check(&url.value) {
            let why = if let WireError::Url(why) = error { why } else { "it cannot be used" };
            let says = format!("this is not the URL of a server: {why}");
            self.reader.wrong(url.span.clone(), says, "`https://HOST/PATH` is wanted");
        }
    }

    fn server(&self, servers: &[Server]) -> Result<Option<Server>, ConfigError> {
        let Some(name) = &self.flags.server else { return Ok(None) };
        let found = servers.iter().find(|it| it.name == *name);
        // Without any in the file it is a name for the rules only. With something wrong in the
        // file, that is told first.
        if found.is_none() && !servers.is_empty() && self.reader.problems.is_empty() {
            let nearest = nearest(name, servers.iter().map(|it| it.name.as_str()));
            let (name, nearest) = (name.clone(), nearest.map(str::to_owned));
            return Err(ConfigError::NoServer { name, nearest });
        }
        Ok(found.cloned())
    }

    fn http(&mut self, file: &File) -> Http {
        let Some(HttpTable { hosts, origins }) = file.http.as_ref().map(|it| &it.value) else {
            return Http::default();
        };
        for one in hosts.iter().chain(origins).flat_map(|it| &it.value) {
            if one.value.is_empty() || one.value.contains('*') {
                let says = "any would let every web page in".to_owned();
                let says = if one.value == "*" { says } else { "this is not a name".to_owned() };
                self.reader.wrong(one.span.clone(), says, "a whole name is wanted");
                self.reader.help("list the names that you need".to_owned());
            }
        }
        for one in origins.iter().flat_map(|it| &it.value).filter(|it| !it.value.contains('*')) {
            // As a browser sends it (Fetch standard, "Origin header"): nothing else could ever match.
            let uri = one.value.parse::<http::Uri>();
            let is_origin = uri.is_ok_and(|it| {
                it.scheme_str().zip(it.authority().map(http::uri::Authority::as_str)).is_some_and(
                    |(scheme, host)| one.value.eq_ignore_ascii_case(&format!("{scheme}://{host}")),
                )
            });
            if !is_origin && !one.value.is_empty() {
                let says = "this is not the origin of a page".to_owned();
                self.reader.wrong(one.span.clone(), says, "`https://HOST` is wanted");
            }
        }
        let names = |list: &Option<At<Vec<At<String>>>>| {
            list.iter().flat_map(|it| &it.value).map(|it| it.value.clone()).collect()
        };
        Http { hosts: names(hosts), origins: names(origins) }
    }

    fn pinning(&mut self, file: &File) -> Pinning {
        let Some(at) = &file.lock else { return Pinning::default() };
        self.setting("lock", at.value.name(), &at.span);
        at.value
    }

    fn ledger(&mut self, file: &File) -> Options {
        let mut options = Options::default();
        let Some(table) = file.ledger.as_ref().map(|it| &it.value) else { return options };
        if let Some(it) =
            self.number("ledger.segment_bytes_max", &table.segment_bytes_max, SEGMENT_BYTES)
        {
            options.segment_bytes_max = it;
        }
        if let Some(it) = self.number("ledger.segment_age_s", &table.segment_age_s, SEGMENT_AGE_S) {
            options.segment_age = Duration::from_secs(it);
        }
        let bytes = self.number("ledger.keep_bytes", &table.keep_bytes, KEEP_BYTES);
        let days = self.number("ledger.keep_days", &table.keep_days, KEEP_DAYS);
        options.keep = Keep { bytes, age: days.map(|it| Duration::from_secs(it * 86_400)) };
        options
    }

    /// A number of a table, if it was said.
    fn number(
        &mut self,
        key: &str,
        at: &Option<At<usize>>,
        bounds: RangeInclusive<usize>,
    ) -> Option<u64> {
        let at = at.as_ref()?;
        if !bounds.contains(&at.value) {
            let name = key.rsplit('.').next().unwrap_or(key);
            let (least, most) = bounds.into_inner();
            let label = format!("between {least} and {most}");
            self.wrong(&at.span, &format!("`{name}` is out of bounds"), label);
        }
        self.setting(key, &at.value.to_string(), &at.span);
        u64::try_from(at.value).ok()
    }

    /// Only the first line: the whole of a table would be all its lines.
    fn head(&self, span: &Range<usize>) -> Range<usize> {
        let first = self.text.get(span.start..).and_then(|it| it.lines().next());
        span.start..span.start + first.map_or(0, str::len)
    }

    fn wrong(&mut self, span: &Range<usize>, says: &str, why: impl ToString) {
        self.reader.wrong(span.clone(), says.to_owned(), why.to_string());
    }

    fn setting(&mut self, key: &str, value: &str, span: &Range<usize>) {
        let place = self.place(span);
        self.settings.push(Setting { key: key.to_owned(), value: value.to_owned(), place });
    }

    fn list(&mut self, key: &str, value: &[At<String>], span: &Range<usize>) {
        self.setting(key, &words(value), span);
    }

    fn place(&self, span: &Range<usize>) -> String {
        format!("{}:{}", self.path, line(self.text, span.start))
    }

    fn origin(&self, id: &str, span: &Range<usize>) -> Origin {
        Origin { id: id.to_owned(), place: self.place(span) }
    }
}

/// Words as they are written, between commas.
fn words(list: &[At<String>]) -> String {
    let each = list.iter().map(|it| Value::from(it.value.as_str()).to_string());
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}

/// Whether a limit was written.
fn said(file: &File, name: &str) -> bool {
    let Some(At { value: Named(limits), .. }) = &file.limits else { return false };
    limits.iter().any(|(it, _)| it.value == name)
}

/// Whether a limit is one of how many calls there may be.
fn is_of_many(limit: &str) -> bool {
    limit.starts_with("calls_") || limit == "same_call_max"
}
