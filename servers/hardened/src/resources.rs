//! The files below the root as resources, and one resource about the server itself. A URI is not
//! joined to anything: its path goes through the root, as a tool's argument does.

use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use stockade_kit::{Root, path};

use crate::database::schema;
use crate::files::{self, Kind};
use crate::tell::{refuse, tell};

const ABOUT: &str = "about:///shop";
const FILES: &str = "files:///";

pub(crate) fn about() -> Resource {
    Resource::new(ABOUT, "shop")
        .with_title("The shop's tables")
        .with_description("Which tables and columns `query` can read.")
        .with_mime_type("text/plain")
}

pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{FILES}{{+path}}"), "files")
        .with_title("Files below the root")
        .with_description("A text file, by its path relative to the root.")
        .with_mime_type("text/plain")
}

/// The regular files of the root directory itself; deeper ones are found through the template.
pub(crate) async fn list(root: &Arc<Root>) -> Result<Vec<Resource>, ErrorData> {
    let (entries, _) = files::list(root, ".".to_owned()).await.map_err(|it| refuse(&it))?;
    let files = entries.into_iter().filter(|it| it.kind == Kind::File).map(|it| {
        Resource::new(format!("{FILES}{}", encode(&it.name)), it.name)
            .with_mime_type("text/plain")
            .with_size(it.bytes)
    });
    Ok(std::iter::once(about()).chain(files).collect())
}

pub(crate) async fn read(root: &Arc<Root>, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let text = if uri == ABOUT {
        schema()
    } else {
        let missing = |message: String| {
            ErrorData::resource_not_found(message, Some(serde_json::json!({ "uri": uri })))
        };
        let path = uri.strip_prefix(FILES).and_then(|it| path::decode(it).ok());
        let path = path.ok_or_else(|| missing("there is no such resource".to_owned()))?;
        let text = files::read(root, path).await;
        text.map_err(|failure| missing(tell(&failure)))?
    };
    let contents = ResourceContents::text(text, uri).with_mime_type("text/plain");
    Ok(ReadResourceResult::new(vec![contents]))
}

fn encode(name: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    name.bytes()
        .map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_uri() {
        for name in ["a.txt", "with space", "100%", "größe", "a?b#c"] {
            assert_eq!(path::decode(&encode(name)).as_deref(), Ok(name));
        }
    }
}
