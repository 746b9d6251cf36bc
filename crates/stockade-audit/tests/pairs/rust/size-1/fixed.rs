// rule: unbounded_size
// attack: ["call_tool", {"text": "CANARY-7f3", "count": "10000"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let count = request.arguments["count"].parse::<usize>().map_err(|_| "not a number")?;
    Ok(request.arguments["text"].repeat(count.min(10)))
}
