//! How often honest text is taken for a secret: over the sources that this was built from, which are
//! on every machine that builds it.

use std::path::{Path, PathBuf};

use serde_json::json;
use stockade_core::check;
use stockade_core::json::Document;
use stockade_core::message::Side;
use stockade_core::subject::{Channel, Facts, Subject};

/// Of so many texts, one may have something that is taken for a secret. Examples of keys, and of
/// passwords in URLs, are among them.
const TEXTS_FOR_ONE: usize = 250;
/// Of all there are, one in so many is looked at: the bench `checks` looks at all of them.
const STEP: usize = 16;

const TEXTS: [&str; 14] =
    ["c", "css", "h", "html", "js", "json", "lock", "md", "py", "rs", "sh", "svg", "toml", "yml"];

fn texts(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let ending = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        if path.is_dir() {
            texts(&path, found);
        } else if TEXTS.contains(&ending) {
            found.push(path);
        }
    }
}

#[test]
fn honest_text_is_seldom_taken_for_a_secret() {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.unwrap().join("registry/src");
    let mut all = Vec::new();
    texts(&sources, &mut all);
    all.sort();
    let mut looked = 0;
    let mut taken = Vec::new();
    for path in all.into_iter().step_by(STEP) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(document) = Document::from_value(&json!(text)) else { continue };
        let subject = Subject { channel: Channel::Content, json: document.root(), tool: None };
        let found = check::run(&[subject], &Facts::alone(Side::Server));
        looked += 1;
        if found.iter().any(|it| it.rule.id == "secret") {
            taken.push(path);
        }
    }
    println!("{} of {looked} texts have what is taken for a secret: {taken:?}", taken.len());
    if looked == 0 {
        println!("skipped: there is nothing in {}", sources.display());
    }
    assert!(taken.len() * TEXTS_FOR_ONE <= looked.max(1), "{taken:?}");
}
