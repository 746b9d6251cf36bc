//! A client over standard input and output: says hello, asks one thing at a time, and answers the
//! one question that it has declared it can be asked.

use std::time::Duration;

use serde_json::{Value, json};
use stockade_wire::frame::{Frames as _, Limits, Lines};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, ChildStdout};

use super::scene::{Evidence, Trouble};
use super::stage::{Server, Stage};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// What the person at this client types, whatever is asked.
pub(super) const TYPED: &str = "blue";

#[derive(Debug)]
pub(super) struct Client {
    input: ChildStdin,
    output: Lines<ChildStdout>,
    requests: u64,
}

impl Client {
    /// Starts a guarded server and says hello to it, with what this client can do.
    pub(super) async fn start(
        stage: &mut Stage,
        server: Server,
        capabilities: Value,
    ) -> Result<Self, Trouble> {
        let child = stage.run(server)?;
        let input = child.stdin.take().ok_or(Trouble::Ended)?;
        let output = Lines::new(child.stdout.take().ok_or(Trouble::Ended)?, &Limits::default());
        let mut client = Self { input, output, requests: 0 };
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": capabilities,
            "clientInfo": { "name": "stockade-demo", "version": env!("CARGO_PKG_VERSION") },
        });
        let evidence = client.request("initialize", &hello).await?;
        if evidence.answer.get("result").is_none() {
            return Err(Trouble::Hello(evidence.got));
        }
        client.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await?;
        Ok(client)
    }

    /// Sends a request, and waits for its answer.
    pub(super) async fn request(
        &mut self,
        method: &str,
        params: &Value,
    ) -> Result<Evidence, Trouble> {
        self.requests += 1;
        let id = self.requests;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.line(&request.to_string()).await
    }

    /// Sends a line, whatever it is, and waits for an answer.
    pub(super) async fn line(&mut self, line: &str) -> Result<Evidence, Trouble> {
        self.say(line).await?;
        let mut evidence = Evidence::default();
        loop {
            let next = tokio::time::timeout(PATIENCE, self.output.next()).await;
            let bytes = next.map_err(|_| Trouble::Silent)??.ok_or(Trouble::Ended)?;
            let message: Value = serde_json::from_slice(&bytes)?;
            // Written anew, so that what is looked for is not hidden by another way to escape it.
            evidence.got.push_str(&message.to_string());
            evidence.got.push('\n');
            match (message.get("method").and_then(Value::as_str), message.get("id")) {
                (Some(_), Some(id)) => {
                    evidence.questions += 1;
                    let content = json!({ "action": "accept", "content": { "answer": TYPED } });
                    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": content });
                    self.say(&answer.to_string()).await?;
                }
                (Some("notifications/progress"), None) => evidence.steps += 1,
                (Some(_), None) => (),
                (None, _) => {
                    evidence.answer = message;
                    return Ok(evidence);
                }
            }
        }
    }

    async fn say(&mut self, line: &str) -> Result<(), Trouble> {
        let line = format!("{line}\n");
        let said = tokio::time::timeout(PATIENCE, self.input.write_all(line.as_bytes())).await;
        Ok(said.map_err(|_| Trouble::Silent)??)
    }
}
