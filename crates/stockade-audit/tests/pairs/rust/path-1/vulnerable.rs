// rule: path_escape
// attack: ["call_tool", {"path": "../secret.txt"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let path = request.arguments.get("path").ok_or("no path")?;
    std::fs::read_to_string(root().join(path)).map_err(|_| "cannot read".to_string())
}
