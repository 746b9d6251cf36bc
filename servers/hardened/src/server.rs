//! What the server answers to each method of the protocol. The tools are in `tools`.

#![expect(deprecated, reason = "logging is deprecated, and clients of all revisions still use it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    CompletionInfo, ContentBlock, GetPromptRequestParams, GetPromptResponse, Implementation,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, LoggingLevel,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, Reference, ServerCapabilities, ServerConfig,
    SetLevelRequestParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};
use stockade_kit::Root;
use tokio::sync::Semaphore;

use crate::database::Database;
use crate::files::{self, Kind};
use crate::tell::refuse;
use crate::{prompts, resources};

/// One session's view of the server. What is shared is read-only or has its own lock.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) root: Arc<Root>,
    pub(crate) database: Arc<Database>,
    tools: Arc<ToolRouter<Self>>,
    /// The level that a legacy client set for its session.
    level: Arc<AtomicU8>,
    /// How many more calls may run at once, of all sessions together.
    calls: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn new(root: Arc<Root>, database: Arc<Database>) -> Self {
        let level = Arc::new(AtomicU8::new(LoggingLevel::Warning as u8));
        Self {
            root,
            database,
            tools: Arc::new(Self::tool_router()),
            level,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    /// A session of its own: one client's log level is not another's.
    pub(crate) fn for_session(&self) -> Self {
        Self { level: Arc::new(AtomicU8::new(LoggingLevel::Warning as u8)), ..self.clone() }
    }

    /// Tells a client that wants to know. From 2026-07-28 each request says so for itself.
    pub(crate) async fn log(
        &self,
        context: &RequestContext<RoleServer>,
        level: LoggingLevel,
        message: &str,
    ) {
        let modern =
            context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28);
        let wanted = match context.meta.log_level() {
            Some(asked) => level as u8 >= asked as u8,
            None => !modern && level as u8 >= self.level.load(Ordering::Relaxed),
        };
        if wanted {
            let event =
                LoggingMessageNotificationParam::new(level, message.into()).with_logger("hardened");
            // A client that is gone will also not read the result.
            let _ = context.peer.notify_logging_message(event).await;
        }
    }
}

#[tool_handler(router = self.tools)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("hardened", env!("CARGO_PKG_VERSION")))
            .with_instructions("Files of one directory, and the tables of a small shop.")
    }

    /// One client that calls without waiting must not leave the others without memory and threads.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Ok(_running) = self.calls.try_acquire() else {
            let busy = ContentBlock::text("the server is busy: try again later");
            return Ok(CallToolResult::error(vec![busy]).into());
        };
        self.tools.call(ToolCallContext::new(self, request, context)).await
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.level.store(request.level as u8, Ordering::Relaxed);
        Ok(())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(vec![prompts::review()]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let result = prompts::get(&self.root, &request.name, &arguments).await?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list(&self.root).await?))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(vec![resources::template()]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(resources::read(&self.root, &request.uri).await?.into())
    }

    /// Completes names of files in the root directory, and the prompt's choices.
    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let typed = request.argument.value.as_str();
        let of_prompt =
            matches!(&request.r#ref, Reference::Prompt(it) if it.name == prompts::REVIEW);
        let of_template = matches!(&request.r#ref, Reference::Resource(it)
            if it.uri == resources::template().uri_template);
        let choices = match request.argument.name.as_str() {
            "focus" if of_prompt => prompts::FOCI.map(str::to_owned).to_vec(),
            "path" if of_prompt || of_template => {
                let listing = files::list(&self.root, ".".to_owned()).await;
                let (entries, _) = listing.map_err(|it| refuse(&it))?;
                entries.into_iter().filter(|it| it.kind == Kind::File).map(|it| it.name).collect()
            }
            _ => {
                return Err(ErrorData::invalid_params("nothing here can be completed", None));
            }
        };
        let values: Vec<String> = choices
            .into_iter()
            .filter(|it| it.starts_with(typed))
            .take(CompletionInfo::MAX_VALUES)
            .collect();
        let completion = CompletionInfo::with_all_values(values)
            .map_err(|_| ErrorData::internal_error("the completion is too long", None))?;
        Ok(CompleteResult::new(completion))
    }
}

const CALLS_MAX: usize = 32;
