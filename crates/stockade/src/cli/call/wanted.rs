//! What is asked: the method with its parameters, made of what was typed and of what the server says
//! of its tool.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Instant;

use iri_string::spec::UriSpec;
use iri_string::template::UriTemplateStr;
use iri_string::template::simple_context::SimpleContext;
use serde_json::{Map, Value, json};
use stockade_core::check::{redacted, visible};
use stockade_core::record::Record;
use stockade_core::revision::{Era, META_LOG_LEVEL, Revision};

use super::{About, LISTENED, Ways};
use crate::client::load::Load;
use crate::client::offers::pages;
use crate::client::task::{follow, promised};
use crate::client::typed::{Unfit, arguments, split};
use crate::client::{Answer, Client, ClientError, Until};
use crate::failure::{Exit, Failure};
use crate::guard::Guard;
use crate::guard::onlooker::Onlooker;

const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The longest parameters that are read from standard input, in bytes.
const INPUT_BYTES_MAX: u64 = 16 << 20;

/// What is asked.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    params: Map<String, Value>,
    args: Vec<(String, String)>,
    meta: Map<String, Value>,
    about: &'a About,
    ways: &'a Ways,
}

/// What came.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) what: What,
    /// What was asked, in the end.
    pub(super) params: Value,
    /// When the conversation had begun, the request was sent, and its answer was there.
    pub(super) begun: Instant,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
    /// What was seen until it was sent.
    pub(super) before: (Vec<Record>, usize),
}

#[derive(Debug)]
pub(super) enum What {
    /// An answer.
    Answer(Answer),
    /// Nothing but what the server said until it was enough.
    Heard,
    /// Many of them.
    Load(Load),
}

impl<'a> Wanted<'a> {
    /// Reads what was typed.
    pub(super) fn new(
        method: &'a str,
        json: Option<&str>,
        about: &'a About,
        ways: &'a Ways,
    ) -> Result<Self, Failure> {
        if method.starts_with('{') || method.contains("://") {
            return Err(Failure::new(Exit::Usage, "the method is missing")
                .help("write TARGET METHOD [JSON], as in `tools/list`"));
        }
        let mut params = json.map_or_else(|| Ok(Map::new()), read)?;
        let args: Result<Vec<_>, Unfit> = about.args.iter().map(|it| split(it)).collect();
        let args = args.map_err(unfit)?;
        if let Some(it) = &about.log_level
            && !LEVELS.contains(&it.as_str())
        {
            let says = format!("`{}` is no level of log messages", visible(it));
            return Err(
                Failure::new(Exit::Usage, says).help(format!("levels are {}", LEVELS.join(", ")))
            );
        }
        params.extend(about.uri.iter().map(|it| ("uri".to_owned(), Value::from(it.as_str()))));
        if method != "completion/complete" {
            let name = about.name.iter();
            params.extend(name.map(|it| ("name".to_owned(), Value::from(it.as_str()))));
        }
        if method == "logging/setLevel" && !params.contains_key("level") {
            let level = about.log_level.as_deref().ok_or_else(|| {
                Failure::new(Exit::Usage, "no level is named")
                    .help(format!("name one with `--log-level`: {}", LEVELS.join(", ")))
            })?;
            params.insert("level".to_owned(), level.into());
        }
        if method == "subscriptions/listen" && !params.contains_key("notifications") {
            let uris: Vec<Value> = params.remove("uri").into_iter().collect();
            let all = json!({ "toolsListChanged": true, "promptsListChanged": true,
                "resourcesListChanged": true, "resourceSubscriptions": uris });
            params.insert("notifications".to_owned(), all);
        }
        let meta = about.meta()?;
        let mut wanted = Self { method, params, args, meta, about, ways };
        wanted.without_a_schema()?;
        Ok(wanted)
    }

    /// Puts arguments in their place, where they are texts in any case.
    fn without_a_schema(&mut self) -> Result<(), Failure> {
        if let Some(template) = &self.about.template {
            let uri = expanded(template, &self.args)?;
            self.params.insert("uri".to_owned(), uri.into());
            return Ok(());
        }
        if self.args.is_empty() || self.method == "tools/call" {
            return Ok(());
        }
        let texts = |all: &[(String, String)]| {
            let each = all.iter().map(|(name, it)| (name.clone(), Value::from(it.as_str())));
            each.collect::<Map<_, _>>()
        };
        match (self.method, self.args.split_last()) {
            ("prompts/get", _) => {
                let arguments = self.params.entry("arguments").or_insert_with(|| json!({}));
                arguments.as_object_mut().into_iter().for_each(|it| it.extend(texts(&self.args)));
            }
            ("completion/complete", Some(((name, value), rest))) => {
                let reference = match (&self.about.name, self.params.remove("uri")) {
                    (Some(name), _) => json!({ "type": "ref/prompt", "name": name }),
                    (None, Some(uri)) => json!({ "type": "ref/resource", "uri": uri }),
                    (None, None) => {
                        return Err(Failure::new(Exit::Usage, "nothing to complete is named").help(
                            "name a prompt with `--name`, or a template of resources with `--uri`",
                        ));
                    }
                };
                self.params.insert("ref".to_owned(), reference);
                let argument = json!({ "name": name, "value": value });
                self.params.insert("argument".to_owned(), argument);
                if !rest.is_empty() {
                    let context = json!({ "arguments": texts(rest) });
                    self.params.insert("context".to_owned(), context);
                }
            }
            _ => {
                let says = format!("`--arg` with `{}`, which has no arguments", self.method);
                return Err(Failure::new(Exit::Usage, visible(&says))
                    .help("give its parameters as JSON, behind the method"));
            }
        }
        Ok(())
    }

    /// The revision that has the method, where nobody says what is to be spoken.
    pub(super) fn revision(&self) -> Revision {
        match self.method {
            "server/discover" | "subscriptions/listen" | "tasks/update" => Revision::V2026_07_28,
            _ => Revision::V2025_11_25,
        }
    }

    /// Whether it is what the server says unasked that is wanted.
    pub(super) fn listens(&self) -> bool {
        self.method == "subscriptions/listen" || self.ways.until().is_some()
    }

    /// Asks, and waits for what comes.
    pub(super) async fn put(
        &self,
        client: &mut Client<'_>,
        guard: &Arc<Guard>,
        onlooker: &Onlooker,
    ) -> Result<Result<Came, Failure>, ClientError> {
        let before = Instant::now();
        let greeting = match client.era() {
            Era::Legacy => Some(client.begin().await?),
            Era::Modern => None,
        };
        let begun = Instant::now();
        if let (Some(greeting), "initialize") = (&greeting, self.method) {
            let what = What::Answer(Answer::Result(greeting.clone()));
            let (sent, params) = (before, json!({}));
            let before = Default::default();
            return Ok(Ok(Came { what, params, begun, sent, answered: begun, before }));
        }
        let mut params = self.params.clone();
        self.with_level(client, &mut params).await?;
        if self.method == "tools/call" {
            match self.with_arguments(client, guard, &mut params).await? {
                Ok(()) => {}
                Err(failure) => return Ok(Err(failure)),
            }
        }
        if self.about.task && client.era() == Era::Legacy {
            params.insert("task".to_owned(), json!({}));
        }
        // Of many, each would need a token of its own.
        let token = self.ways.load.is_none().then(|| ("progressToken".to_owned(), "call".into()));
        let meta = token.into_iter().chain(self.meta.clone());
        let given = params.entry("_meta").or_insert_with(|| json!({}));
        if let Some(given) = given.as_object_mut() {
            for (name, value) in meta {
                given.entry(name).or_insert(value);
            }
        }
        let params = Value::Object(params);
        let before = onlooker.take();
        let sent = Instant::now();
        let what = self.what(client, params.clone(), guard).await?;
        Ok(Ok(Came { what, params, begun, sent, answered: Instant::now(), before }))
    }

    async fn what(
        &self,
        client: &mut Client<'_>,
        params: Value,
        guard: &Guard,
    ) -> Result<What, ClientError> {
        let until = self.ways.until();
        if let Some(number) = self.ways.load {
            let asked = (self.method, &params);
            return Load::put(client, asked, number, self.ways.at_once).await.map(What::Load);
        }
        if self.method == "subscriptions/listen" {
            let until = until.unwrap_or(Until { time: LISTENED, count: self.ways.count });
            let id = client.start(self.method, params).await?;
            return match client.listen(until, Some(&id)).await? {
                Some(answer) => Ok(What::Answer(answer)),
                None => client.cancel(&id).await.map(|()| What::Heard),
            };
        }
        let mut answer = client.complete(self.method, params).await?;
        if let Answer::Result(result) = &answer
            && self.about.task
            && let Some(id) = promised(result, client.era()).map(str::to_owned)
        {
            answer = follow(client, &id, guard.policy().limits.call_total()).await?;
        }
        if let Some(until) = until {
            client.listen(until, None).await?;
        }
        Ok(What::Answer(answer))
    }

    /// Has the server send log messages: until 2025-11-25 for the session, later for the request.
    async fn with_level(
        &self,
        client: &mut Client<'_>,
        params: &mut Map<String, Value>,
    ) -> Result<(), ClientError> {
        let Some(level) = &self.about.log_level else { return Ok(()) };
        match client.era() {
            Era::Legacy if self.method == "logging/setLevel" => {}
            Era::Legacy => {
                client.request("logging/setLevel", json!({ "level": level })).await?;
            }
            Era::Modern => {
                let meta = params.entry("_meta").or_insert_with(|| json!({}));
                if let Some(meta) = meta.as_object_mut() {
                    meta.insert(META_LOG_LEVEL.to_owned(), level.as_str().into());
                }
            }
        }
        Ok(())
    }

    /// Lists the tools, so that the call and its result are held against what the server says of them,
    /// and brings what was typed into the form that the tool wants.
    async fn with_arguments(
        &self,
        client: &mut Client<'_>,
        guard: &Guard,
        params: &mut Map<String, Value>,
    ) -> Result<Result<(), Failure>, ClientError> {
        let Some(name) = params.get("name").and_then(Value::as_str).map(str::to_owned) else {
            return Ok(Err(Failure::new(Exit::Usage, "no tool is named")
                .help("name one with `--name TOOL`; `tools/list` lists them")));
        };
        let tools = match pages(client, "tools/list", "tools").await {
            Ok(tools) => tools,
            // It can be called all the same.
            Err(ClientError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let tool = tools.iter().find(|it| it.get("name") == Some(&Value::from(name.as_str())));
        if tool.is_none() {
            let why = match guard.server.tool(&name) {
                Some(_) => "the guard has taken it out of the list",
                None => "the server does not list it",
            };
            anstream::eprintln!("note: `{}` has no schema here: {why}", visible(&redacted(&name)));
        }
        if self.args.is_empty() {
            params.entry("arguments").or_insert_with(|| json!({}));
            return Ok(Ok(()));
        }
        let given = match params.remove("arguments") {
            None => Map::new(),
            Some(Value::Object(it)) => it,
            Some(_) => {
                return Ok(Err(Failure::new(Exit::Usage, "`arguments` are no object")
                    .help("leave `--arg` away, and what is in the JSON is sent as it is")));
            }
        };
        let schema = tool.and_then(|it| it.get("inputSchema")).cloned().unwrap_or(json!({}));
        Ok(match arguments(given, &self.args, &schema) {
            Ok(all) => {
                params.insert("arguments".to_owned(), Value::Object(all));
                Ok(())
            }
            Err(error) => Err(unfit(error)),
        })
    }
}

fn unfit(error: Unfit) -> Failure {
    Failure::new(Exit::Usage, visible(&redacted(&error.to_string()))).help(
        "`--arg NAME=VALUE`, with a number, true, null, a list or an object in JSON; parameters in \
         JSON behind the method are sent as they are",
    )
}

/// Parameters in JSON.
fn read(json: &str) -> Result<Map<String, Value>, Failure> {
    let mut text = json.to_owned();
    if json == "-" {
        text.clear();
        let input = std::io::stdin().lock().take(INPUT_BYTES_MAX).read_to_string(&mut text);
        input.map_err(|it| Failure::new(Exit::Usage, "cannot read standard input").from(it))?;
    }
    let wrong = || Failure::new(Exit::Usage, "the parameters are no JSON object");
    let help = "write them in one word, as in '{\"name\": \"echo\"}', or `-` for standard input";
    match serde_json::from_str(&text) {
        Ok(Value::Object(it)) => Ok(it),
        Ok(_) => Err(wrong().help(help)),
        Err(error) => Err(wrong().from(error).help(help)),
    }
}

/// The URI that a template names with these arguments.
fn expanded(template: &str, args: &[(String, String)]) -> Result<String, Failure> {
    let wrong = |it: iri_string::template::Error| {
        let says = format!("cannot use the template `{}`", visible(template));
        Failure::new(Exit::Usage, says)
            .from(it)
            .help("`resources/templates/list` lists those of a server")
    };
    let mut context = SimpleContext::new();
    for (name, value) in args {
        context.insert(name.as_str(), value.as_str());
    }
    let shown = visible(template);
    let template = UriTemplateStr::new(template).map_err(wrong)?;
    let is_named = |name: &str| template.variables().any(|it| it.as_str() == name);
    if let Some((name, _)) = args.iter().find(|(name, _)| !is_named(name)) {
        let says = format!("`{}` is no variable of the template `{shown}`", visible(name));
        let names: Vec<&str> = template.variables().map(|it| it.as_str()).collect();
        return Err(Failure::new(Exit::Usage, says)
            .help(format!("it has {}", stockade_core::check::listed(names))));
    }
    let expanded = template.expand::<UriSpec, _>(&context).map_err(wrong)?;
    Ok(expanded.to_string())
}
