//! The tools that need several rounds: each call answers from what came with it and from nothing
//! else. State goes to the client sealed, and comes back as something that anybody may have made.

use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, InputRequests, InputRequiredResult, InputResponses, RequestStateCodec,
    SealOptions,
};
use rmcp::{ErrorData, RoleServer, service::RequestContext};
use serde_json::{Value, json};

use crate::questions::{confirm, elicit, name, question, roots, sample};

/// A call, or the asking of a prompt, as one round sees it.
pub(crate) struct Round<'a> {
    pub(crate) name: &'a str,
    pub(crate) responses: &'a InputResponses,
    pub(crate) state: Option<&'a str>,
    pub(crate) context: &'a RequestContext<RoleServer>,
    pub(crate) codec: &'a RequestStateCodec,
}

/// What a round ends with.
pub(crate) enum Step {
    Ask(InputRequiredResult),
    Say(String),
}

impl Round<'_> {
    /// The next step, if the name is that of a tool with rounds.
    pub(crate) fn step(&self) -> Option<Result<Step, ErrorData>> {
        Some(match self.name {
            "test_input_required_result_elicitation" => {
                self.once("user_name", name("What is your name?"), "/content/name", |it| {
                    format!("Hello, {it}!")
                })
            }
            "test_input_required_result_sampling" => self.once(
                "capital_question",
                sample("What is the capital of France?", 100),
                "/content/text",
                |it| format!("LLM response: {it}"),
            ),
            "test_input_required_result_list_roots" => {
                self.once("client_roots", roots(), "/roots", |it| format!("Roots: {it}"))
            }
            "test_input_required_result_prompt" => {
                let properties = json!({ "context": { "type": "string" } });
                let ask = elicit("What context should the prompt use?", &properties, &["context"]);
                self.once("user_context", ask, "/content/context", |it| format!("Context: {it}"))
            }
            "test_input_required_result_request_state"
            | "test_input_required_result_tampered_state" => self.with_state(),
            "test_input_required_result_multiple_inputs" => self.three_at_once(),
            "test_input_required_result_multi_round" => self.two_rounds(),
            "test_input_required_result_capabilities" => self.what_may_be_asked(),
            _ => return None,
        })
    }

    /// Asks until the answer has a value at `place`: a wrong answer is asked for again.
    fn once(
        &self,
        key: &str,
        ask: Value,
        place: &str,
        say: impl Fn(&str) -> String,
    ) -> Result<Step, ErrorData> {
        match self.responses.get(key).and_then(|it| it.pointer(place)) {
            Some(Value::String(text)) => Ok(Step::Say(say(text))),
            Some(Value::Array(values)) => Ok(Step::Say(say(&json!(values).to_string()))),
            _ => self.ask([(key, ask)], None),
        }
    }

    fn with_state(&self) -> Result<Step, ErrorData> {
        match self.opened()?.as_deref() {
            Some("asked") if self.responses.contains_key("confirm") => {
                Ok(Step::Say("state-ok".to_owned()))
            }
            _ => self.ask([("confirm", confirm())], Some("asked")),
        }
    }

    fn three_at_once(&self) -> Result<Step, ErrorData> {
        let keys = ["user_name", "greeting", "client_roots"];
        let answered = keys.iter().all(|it| self.responses.contains_key(*it));
        if self.opened()?.as_deref() == Some("asked") && answered {
            return Ok(Step::Say("All inputs were received.".to_owned()));
        }
        let [name_key, greeting_key, roots_key] = keys;
        let questions = [
            (name_key, name("What is your name?")),
            (greeting_key, sample("Generate a greeting", 50)),
            (roots_key, roots()),
        ];
        self.ask(questions, Some("asked"))
    }

    fn two_rounds(&self) -> Result<Step, ErrorData> {
        let state = self.opened()?;
        let answered = |key| self.responses.contains_key(key);
        match state.as_deref() {
            Some("first") if answered("step1") => {
                let properties = json!({ "color": { "type": "string" } });
                let color = elicit("Step 2: What is your favorite color?", &properties, &["color"]);
                self.ask([("step2", color)], Some("second"))
            }
            Some("second") if answered("step2") => {
                Ok(Step::Say("Both steps are complete.".to_owned()))
            }
            _ => self.ask([("step1", name("Step 1: What is your name?"))], Some("first")),
        }
    }

    fn what_may_be_asked(&self) -> Result<Step, ErrorData> {
        if !self.responses.is_empty() {
            return Ok(Step::Say("The input was received.".to_owned()));
        }
        let able = self.context.client_capabilities().unwrap_or_default();
        let all = [("user_name", name("What is your name?")), ("greeting", sample("Greet", 50))];
        let allowed: Vec<_> =
            all.into_iter().filter(|(_, ask)| missing(&able, ask).is_none()).collect();
        if allowed.is_empty() {
            return Ok(Step::Say("The client can be asked nothing.".to_owned()));
        }
        self.ask(allowed, None)
    }

    fn ask<'k>(
        &self,
        questions: impl IntoIterator<Item = (&'k str, Value)>,
        state: Option<&str>,
    ) -> Result<Step, ErrorData> {
        let able = self.context.client_capabilities().unwrap_or_default();
        let mut requests = InputRequests::new();
        for (key, ask) in questions {
            if let Some(capability) = missing(&able, &ask) {
                return Err(require(capability));
            }
            requests.insert(key.to_owned(), question(ask)?);
        }
        let options = SealOptions::new().associated_data(self.name.as_bytes()).ttl(STATE_AGE_MAX);
        let state = state.map(|it| self.codec.seal_with(it.as_bytes(), &options));
        Ok(Step::Ask(InputRequiredResult::new(Some(requests), state)))
    }

    /// The state that came back, if it is one that was given out for this tool and not long ago.
    fn opened(&self) -> Result<Option<String>, ErrorData> {
        let Some(sealed) = self.state else {
            return Ok(None);
        };
        let opened = self.codec.open_with(sealed, self.name.as_bytes()).ok();
        let state = opened.and_then(|it| String::from_utf8(it).ok());
        match state {
            Some(state) => Ok(Some(state)),
            None => Err(ErrorData::invalid_params("the request state is not valid", None)),
        }
    }
}

/// The capability that a question needs and the client did not declare.
fn missing(able: &ClientCapabilities, ask: &Value) -> Option<&'static str> {
    let (name, declared) = match ask.get("method").and_then(Value::as_str)? {
        "elicitation/create" => ("elicitation", able.elicitation.is_some()),
        "sampling/createMessage" => ("sampling", able.sampling.is_some()),
        _ => ("roots", able.roots.is_some()),
    };
    (!declared).then_some(name)
}

/// The error of the protocol for a client that lacks a capability.
pub(crate) fn require(capability: &'static str) -> ErrorData {
    match serde_json::from_value(json!({ capability: {} })) {
        Ok(required) => ErrorData::missing_required_client_capability(required),
        Err(error) => ErrorData::internal_error(format!("no such capability: {error}"), None),
    }
}

const STATE_AGE_MAX: Duration = Duration::from_secs(600);
