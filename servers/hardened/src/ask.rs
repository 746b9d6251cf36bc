//! Asking the client: the user through elicitation, the model through sampling. Until 2025-11-25 a
//! server sends a request of its own and waits; from 2026-07-28 it answers `input_required`, and
//! the client calls again with the answer. A tool writes its question once and gets both.

#![expect(
    deprecated,
    reason = "sampling is deprecated, and clients of all revisions still have it"
)]

use std::time::Duration;

use rmcp::model::{
    ClientCapabilities, CreateMessageRequest, CreateMessageRequestParams, ElicitRequest,
    ElicitRequestParams, InputRequest, InputRequests, InputRequiredResult, InputResponses,
    ProtocolVersion,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;
use stockade_kit::Failure;

/// What the client can be asked for.
pub(crate) enum Question {
    /// Something that the user types in.
    User(ElicitRequestParams),
    /// Something that the client's model writes.
    Model(CreateMessageRequestParams),
}

/// What a question has led to so far.
pub(crate) enum Answer {
    /// The client's result, as it came: still to be checked.
    Given(Value),
    /// Nothing yet. This has to go to the client, which will call again.
    Pending(InputRequiredResult),
}

/// Why a question is not answered.
pub(crate) enum Unanswered {
    /// The client did not declare that it can be asked, and this error of the protocol says so.
    Undeclared(ErrorData),
    /// It could not be asked, or did not answer.
    Failed(Failure),
}

/// Asks, once per call. What the client did not say it can do is not asked.
pub(crate) async fn ask(
    context: &RequestContext<RoleServer>,
    responses: Option<InputResponses>,
    question: Question,
) -> Result<Answer, Unanswered> {
    let able = context.client_capabilities().unwrap_or_default();
    let (can, needed) = match &question {
        Question::User(_) => {
            (able.elicitation.is_some(), ClientCapabilities::builder().enable_elicitation().build())
        }
        Question::Model(_) => {
            (able.sampling.is_some(), ClientCapabilities::builder().enable_sampling().build())
        }
    };
    if !can {
        return Err(if is_modern(context) {
            Unanswered::Undeclared(ErrorData::missing_required_client_capability(needed))
        } else {
            Unanswered::Failed(Failure::told("the client cannot be asked this"))
        });
    }
    if is_modern(context) {
        return Ok(match responses.and_then(|mut it| it.remove(KEY)) {
            Some(answer) => Answer::Given(answer),
            None => {
                let questions = InputRequests::from([(KEY.to_owned(), question.request())]);
                Answer::Pending(InputRequiredResult::from_input_requests(questions))
            }
        });
    }
    let answer = async {
        match question {
            Question::User(params) => {
                let answer = context.peer.create_elicitation(params).await;
                answer.map(serde_json::to_value)
            }
            Question::Model(params) => {
                let answer = context.peer.create_message(params).await;
                answer.map(serde_json::to_value)
            }
        }
    };
    let failed = "the client did not answer";
    let answer = tokio::time::timeout(PATIENCE, answer)
        .await
        .map_err(|_| Unanswered::Failed(Failure::told("the client did not answer in time")))?
        .map_err(|error| Unanswered::Failed(Failure::new(failed, error)))?;
    answer.map(Answer::Given).map_err(|error| Unanswered::Failed(Failure::new(failed, error)))
}

impl Question {
    fn request(self) -> InputRequest {
        match self {
            Self::User(params) => InputRequest::Elicitation(ElicitRequest::new(params)),
            Self::Model(params) => InputRequest::CreateMessage(CreateMessageRequest::new(params)),
        }
    }
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|it| it >= ProtocolVersion::V_2026_07_28)
}

const KEY: &str = "answer";

/// A person reads the question and types.
const PATIENCE: Duration = Duration::from_secs(120);
