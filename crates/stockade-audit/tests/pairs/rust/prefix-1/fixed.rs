// rule: path_prefix
// attack: ["call_tool", {"path": "../root-secret/key"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let full = root().join(&request.arguments["path"]).canonicalize().map_err(|_| "not there")?;
    full.strip_prefix(root()).map_err(|_| "outside")?;
    std::fs::read_to_string(full).map_err(|_| "cannot read".into())
}
