//! What the fixture answers to each method of the protocol.

#![expect(
    deprecated,
    reason = "the suite tests what 2026-07-28 deprecates, as older clients use it"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    CompletionInfo, ContentBlock, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
    Implementation, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    LoggingLevel, LoggingMessageNotificationParam, PaginatedRequestParams,
    ProgressNotificationParam, PromptMessage, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, RequestStateCodec, Role, ServerCapabilities,
    ServerConfig, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::rounds::{Round, Step, require};
use crate::{catalog, questions};

#[derive(Clone)]
pub(crate) struct Server {
    codec: Arc<RequestStateCodec>,
    changes: broadcast::Sender<Change>,
    level: Arc<AtomicU8>,
}

#[derive(Clone, Copy)]
enum Change {
    Tools,
    Prompts,
}

impl Server {
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let mut key = vec![0; RequestStateCodec::MIN_KEY_LENGTH];
        getrandom::fill(&mut key)?;
        let codec = Arc::new(RequestStateCodec::try_new(key)?);
        let (changes, _) = broadcast::channel(16);
        Ok(Self { codec, changes, level: Arc::new(AtomicU8::new(LoggingLevel::Debug as u8)) })
    }

    async fn log(&self, context: &RequestContext<RoleServer>, message: &str) {
        let level = LoggingLevel::Info;
        let wanted = match context.meta.log_level() {
            Some(asked) => level as u8 >= asked as u8,
            None => !is_modern(context) && level as u8 >= self.level.load(Ordering::Relaxed),
        };
        if wanted {
            let event = LoggingMessageNotificationParam::new(level, message.into());
            // A client that is gone will also not read the result.
            let _ = context.peer.notify_logging_message(event).await;
        }
    }

    async fn log_thrice(&self, context: &RequestContext<RoleServer>) -> CallToolResult {
        self.log(context, "Tool execution started").await;
        tokio::time::sleep(PAUSE).await;
        self.log(context, "Tool processing data").await;
        tokio::time::sleep(PAUSE).await;
        self.log(context, "Tool execution completed").await;
        text("Three messages were logged.")
    }

    /// Tells whoever listens, in either era. That nothing has changed in fact is the suite's wish.
    async fn change(&self, context: &RequestContext<RoleServer>, change: Change) -> CallToolResult {
        // Without a listener there is nobody to tell.
        let _ = self.changes.send(change);
        if !is_modern(context) {
            let _ = match change {
                Change::Tools => context.peer.notify_tool_list_changed().await,
                Change::Prompts => context.peer.notify_prompt_list_changed().await,
            };
        }
        text("The change was announced.")
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("conformance-server", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(typed(catalog::tools())?))
    }

    /// Found by rmcp to compare the `Mcp-Param-*` headers with.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        let tools: Vec<Tool> = typed(catalog::tools()).ok()?;
        tools.into_iter().find(|it| it.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(content) = catalog::content(&request.name) {
            return Ok(CallToolResult::success(typed(content)?).into());
        }
        let responses = request.input_responses.unwrap_or_default();
        let round = Round {
            name: &request.name,
            responses: &responses,
            state: request.request_state.as_deref(),
            context: &context,
            codec: &self.codec,
        };
        if let Some(step) = round.step() {
            return Ok(match step? {
                Step::Ask(question) => question.into(),
                Step::Say(said) => text(&said).into(),
            });
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let argument = |name| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let result = match request.name.as_ref() {
            "test_tool_with_logging" => self.log_thrice(&context).await,
            "test_logging_tool" => {
                self.log(&context, "A message").await;
                text("A message was logged, if it was wanted.")
            }
            "test_tool_with_progress" => progress(&context).await,
            "test_error_handling" => {
                let said = "This tool intentionally returns an error for testing";
                CallToolResult::error(vec![ContentBlock::text(said)])
            }
            "test_reconnection" => {
                tokio::time::sleep(PAUSE).await;
                text("Reconnection test completed successfully.")
            }
            "test_trigger_tool_change" => self.change(&context, Change::Tools).await,
            "test_trigger_prompt_change" => self.change(&context, Change::Prompts).await,
            "test_missing_capability" => {
                let able = context.client_capabilities().unwrap_or_default();
                if able.sampling.is_none() {
                    return Err(require("sampling"));
                }
                text("The client can be sampled.")
            }
            "test_sampling" => {
                return ask(&context, responses, questions::sample(argument("prompt"), 100)).await;
            }
            "test_elicitation" => {
                return ask(&context, responses, questions::response(argument("message"))).await;
            }
            "test_elicitation_sep1034_defaults" => {
                return ask(&context, responses, questions::defaults()).await;
            }
            "test_elicitation_sep1330_enums" => {
                return ask(&context, responses, questions::choices()).await;
            }
            "test_streaming_elicitation" => {
                return ask(&context, responses, questions::name("What is your name?")).await;
            }
            name => {
                return Err(ErrorData::invalid_params(format!("unknown tool: {name}"), None));
            }
        };
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(typed(catalog::prompts())?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let responses = request.input_responses.unwrap_or_default();
        let round = Round {
            name: &request.name,
            responses: &responses,
            state: request.request_state.as_deref(),
            context: &context,
            codec: &self.codec,
        };
        if request.name == "test_input_required_result_prompt"
            && let Some(step) = round.step()
        {
            return Ok(match step? {
                Step::Ask(question) => question.into(),
                Step::Say(said) => {
                    GetPromptResult::new(vec![PromptMessage::new_text(Role::User, said)]).into()
                }
            });
        }
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let messages = catalog::messages(&request.name, &arguments)
            .ok_or_else(|| ErrorData::invalid_params("unknown prompt", None))?;
        Ok(GetPromptResult::new(typed(messages)?).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(typed(catalog::resources())?))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(typed(catalog::templates())?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = catalog::contents(&request.uri).ok_or_else(|| {
            ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": request.uri })))
        })?;
        Ok(ReadResourceResult::new(vec![typed(contents)?]).into())
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // What the client did not ask for, the sink refuses.
            let _ = match change {
                Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Change::Prompts) => context.sink().notify_prompt_list_changed().await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.store(request.level as u8, Ordering::Relaxed);
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let typed = request.argument.value;
        let values = ["paris", "park", "party"].into_iter().filter(|it| it.starts_with(&typed));
        let completion = CompletionInfo::with_all_values(values.map(str::to_owned).collect())
            .map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(completion))
    }
}

async fn progress(context: &RequestContext<RoleServer>) -> CallToolResult {
    for done in [0.0, 50.0, 100.0] {
        if done > 0.0 {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
            // A client that is gone will also not read the result.
            let _ = context.peer.notify_progress(progress).await;
        }
    }
    text("Progress was reported three times.")
}

/// Asks once: by a request of the server's own until 2025-11-25, by the result from 2026-07-28.
async fn ask(
    context: &RequestContext<RoleServer>,
    responses: InputResponses,
    wire: Value,
) -> Result<CallToolResponse, ErrorData> {
    const KEY: &str = "answer";
    let able = context.client_capabilities().unwrap_or_default();
    let question = questions::question(wire)?;
    let answer = match question {
        InputRequest::Elicitation(_) if able.elicitation.is_none() => {
            return Err(require("elicitation"));
        }
        InputRequest::CreateMessage(_) if able.sampling.is_none() => {
            return Err(require("sampling"));
        }
        question if is_modern(context) => match responses.get(KEY) {
            Some(answer) => answer.clone(),
            None => {
                let requests = InputRequests::from([(KEY.to_owned(), question)]);
                return Ok(InputRequiredResult::from_input_requests(requests).into());
            }
        },
        InputRequest::Elicitation(it) => {
            let answer = context.peer.create_elicitation(it.params).await;
            json!(answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?)
        }
        InputRequest::CreateMessage(it) => {
            let answer = context.peer.create_message(it.params).await;
            json!(answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?)
        }
        InputRequest::ListRoots(_) | _ => {
            return Err(ErrorData::internal_error("the client cannot be asked this", None));
        }
    };
    let said = match answer.get("action") {
        Some(action) => {
            let content = answer.get("content").unwrap_or(&Value::Null);
            let action = action.as_str().unwrap_or_default();
            format!("Elicitation completed: action={action}, content={content}")
        }
        None => {
            let said = answer.pointer("/content/text").and_then(Value::as_str);
            format!("LLM response: {}", said.unwrap_or_default())
        }
    };
    Ok(text(&said).into())
}

fn text(said: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(said)])
}

/// From the catalog's words to rmcp's types. The only thing that can be wrong is the catalog.
fn typed<T: serde::de::DeserializeOwned>(wire: Value) -> Result<T, ErrorData> {
    serde_json::from_value(wire)
        .map_err(|error| ErrorData::internal_error(format!("the catalog is wrong: {error}"), None))
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28)
}

const PAUSE: Duration = Duration::from_millis(50);
