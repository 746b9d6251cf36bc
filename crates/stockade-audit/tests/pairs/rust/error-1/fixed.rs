// rule: secret_in_error
// attack: ["call_tool", {}]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub struct CallToolRequest {
    pub arguments: HashMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(std::env::var("ROOT").unwrap()).canonicalize().unwrap()
}

pub fn call_tool(_request: CallToolRequest) -> Result<String, String> {
    let token = std::env::var("SECRET_TOKEN").unwrap();
    Err(format!("no answer for a token of {} letters", token.len()))
}
