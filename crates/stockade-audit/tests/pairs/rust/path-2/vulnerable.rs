// rule: path_escape
// attack: ["call_tool", {"path": "../pwned", "text": "x"}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

use std::fs::File;
use std::io::Write;

pub fn call_tool(request: CallToolRequest) -> Result<String, String> {
    let name = &request.arguments["path"];
    let target = format!("{}/{}", root().display(), name);
    let mut file = File::create(&target).map_err(|e| e.to_string())?;
    file.write_all(request.arguments["text"].as_bytes()).map_err(|e| e.to_string())?;
    Ok("written".into())
}
