//! A request that becomes a task, followed to its end: in 2025-11-25 because it was asked for, later
//! because the server has chosen so.

use std::time::Duration;

use serde_json::{Value, json};
use stockade_core::revision::Era;
use tokio::time::Instant;

use super::{Answer, Client, ClientError, Until};

/// How often it is asked what has become of a task, where the server does not say.
const EVERY_MS: u64 = 500;
/// As often as that at most, and at least.
const EVERY_MS_BOUNDS: (u64, u64) = (10, 10_000);

/// The id of the task that a result promises, if it is a task.
pub fn promised(result: &Value, era: Era) -> Option<&str> {
    let task = match era {
        Era::Legacy => result.get("task")?,
        Era::Modern => Some(result).filter(|it| it.get("resultType") == Some(&json!("task")))?,
    };
    task.get("taskId")?.as_str()
}

/// Waits until a task has ended, answers what it asks, and gives what it came to.
///
/// # Errors
/// When that does not come, or takes longer than `patience`.
pub async fn follow(
    client: &mut Client<'_>,
    id: &str,
    patience: Duration,
) -> Result<Answer, ClientError> {
    let end = Instant::now() + patience;
    let about = || json!({ "taskId": id });
    loop {
        let task = match client.ask("tasks/get", about()).await? {
            Answer::Result(it) => it,
            error @ Answer::Error(_) => return Ok(error),
        };
        let status = task.get("status").and_then(Value::as_str).unwrap_or_default();
        match (status, client.era()) {
            // What it asks comes as a request of its own while its result is waited for.
            ("completed" | "failed" | "input_required", Era::Legacy) => {
                return client.ask("tasks/result", about()).await;
            }
            ("completed", Era::Modern) => {
                let result = task.get("result").cloned();
                return Ok(Answer::Result(result.unwrap_or(task)));
            }
            ("failed", Era::Modern) => {
                let error = task.get("error").cloned();
                return Ok(error.map_or(Answer::Result(task), Answer::Error));
            }
            ("cancelled", _) => return Ok(Answer::Result(task)),
            ("input_required", Era::Modern) => {
                let Some(replies) = client.replies(task.get("inputRequests")) else {
                    return Ok(Answer::Result(task));
                };
                let said = json!({ "taskId": id, "inputResponses": replies });
                if let error @ Answer::Error(_) = client.ask("tasks/update", said).await? {
                    return Ok(error);
                }
            }
            ("working", _) => {}
            _ => {
                let says = "the server says of a task what no task can be".to_owned();
                return Err(ClientError::Wrong(says));
            }
        }
        if Instant::now() >= end {
            return Err(ClientError::Silent(format!("the task {id}")));
        }
        let every = ["pollIntervalMs", "pollInterval"].iter().find_map(|it| task.get(it)?.as_u64());
        let (least, most) = EVERY_MS_BOUNDS;
        let every = every.unwrap_or(EVERY_MS).clamp(least, most);
        client.listen(Until { time: Duration::from_millis(every), count: None }, None).await?;
    }
}
