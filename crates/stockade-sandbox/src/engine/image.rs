//! Images: named by their digest, looked at before anything is started, and never fetched.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use super::ask::{self, ANSWER_MAX};
use super::command::client_env;
use super::{Engine, EngineProgram};
use crate::Error;

/// Docker has no containers without an image. This one is an archive of nothing; whatever has its
/// name and anything in it is refused.
const EMPTY: &str = "stockade/empty:1";
const EMPTY_ARCHIVE: [u8; 1024] = [0; 1024];
/// The digest of that archive, which is what an engine calls the layer that it makes of it.
const EMPTY_LAYER: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// What an image may say that the loader of our own program would listen to.
const LOADER_VARIABLES: &[&str] = &["LD_", "GLIBC_", "GCONV_", "MALLOC_"];

/// An image, pinned: `NAME@sha256:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    name: String,
    digest: String,
}

impl fmt::Display for Image {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@sha256:{}", self.name, self.digest)
    }
}

/// A name without a digest, or with one that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an image is named with its digest, such as `docker.io/library/node@sha256:…`")]
pub struct NotPinned;

impl FromStr for Image {
    type Err = NotPinned;

    fn from_str(text: &str) -> Result<Self, NotPinned> {
        let (name, digest) = text.split_once("@sha256:").ok_or(NotPinned)?;
        let hex = |it: &u8| it.is_ascii_digit() || (b'a'..=b'f').contains(it);
        let is_digest = digest.len() == 64 && digest.as_bytes().iter().all(hex);
        // Nothing that an engine could take for an option, or for another transport than its store.
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"./_-:".contains(&it);
        let is_name = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric())
            && name.bytes().all(plain)
            && !name.contains("://");
        if !is_digest || !is_name {
            return Err(NotPinned);
        }
        Ok(Self { name: name.to_owned(), digest: digest.to_owned() })
    }
}

/// What is known of what a container is made of, before it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The image to start; none where a root of ours takes its place.
    pub(crate) reference: Option<String>,
    /// Where the engine keeps its images.
    pub(crate) store: Option<PathBuf>,
}

/// Looks at the image that is to be used; Docker's empty one is made if it is not there.
pub(crate) fn prepare(engine: &Engine, program: &Path) -> Result<Prepared, Error> {
    let ask = |args: &[&str]| ask(engine.program, program, args);
    match (&engine.image, engine.program) {
        (None, EngineProgram::Podman) => Ok(Prepared::default()),
        (Some(image), EngineProgram::Podman) => {
            let name = image.to_string();
            let about = "{{.Digest}}\n{{range $name, $_ := .Annotations}}{{$name}}\n{{end}}";
            let said = ask(&["image", "inspect", "--format", about, &name])?;
            let (found, annotations) =
                said.as_deref().and_then(|it| it.split_once('\n')).unwrap_or_default();
            if found.trim() != format!("sha256:{}", image.digest) {
                return Err(Error::NoImage { image: name });
            }
            if let Some(says) = instructs(annotations) {
                return Err(Error::Image { image: name, says });
            }
            let store = ask(&["info", "--format", "{{.Store.GraphRoot}}"])?;
            let store = store.map(|it| PathBuf::from(it.trim())).filter(|it| it.is_absolute());
            Ok(Prepared { reference: Some(image.to_string()), store })
        }
        (None, EngineProgram::Docker) => {
            let layers = ["image", "inspect", "--format", "{{json .RootFS.Layers}}", EMPTY];
            if ask(&layers)?.is_none() {
                import(program)?;
            }
            match ask(&layers)? {
                Some(said) if is_empty(&said) => {
                    Ok(Prepared { reference: Some(EMPTY.to_owned()), store: None })
                }
                _ => Err(Error::Image {
                    image: EMPTY.to_owned(),
                    says: "it is not the empty image that Stockade makes".to_owned(),
                }),
            }
        }
        (Some(image), EngineProgram::Docker) => {
            let name = image.to_string();
            let config = "{{json .Config.Volumes}}\n{{json .Config.Env}}";
            let said = ask(&["image", "inspect", "--format", config, &name])?;
            let said = said.ok_or_else(|| Error::NoImage { image: name.clone() })?;
            match objection(&said) {
                None => Ok(Prepared { reference: Some(name), store: None }),
                Some(says) => Err(Error::Image { image: name, says }),
            }
        }
    }
}

/// Podman hands an image's annotations to the runtime, and some runtimes obey them: crun's keep the
/// groups of whoever starts the container, or name another handler (`run.oci.*`). Those that only
/// say what an image is have a prefix of their own (OCI image specification, "Annotations").
fn instructs(annotations: &str) -> Option<String> {
    let mut names = annotations.lines().map(str::trim).filter(|it| !it.is_empty());
    let name = names.find(|it| !it.starts_with("org.opencontainers.image."))?;
    let shown: String = name.chars().take(80).collect();
    Some(format!("it has an annotation `{}`, which a runtime may obey", shown.escape_debug()))
}

fn is_empty(layers: &str) -> bool {
    layers.trim() == format!("[\"{EMPTY_LAYER}\"]")
}

/// What Docker has no option against: volumes of an image are made, and its variables are there for
/// the first program, before ours has put them away.
fn objection(config: &str) -> Option<String> {
    let mut lines = config.lines();
    let (volumes, variables) = (lines.next()?, lines.next()?);
    if !matches!(volumes, "null" | "{}") {
        return Some("it has volumes, which Docker would make writable".to_owned());
    }
    let found = LOADER_VARIABLES.iter().find(|it| variables.contains(&format!("\"{it}")))?;
    Some(format!("it sets a variable `{found}…`, which the loader of programs reads"))
}

/// What the engine answers; `None` when it has no such image.
fn ask(engine: EngineProgram, program: &Path, args: &[&str]) -> Result<Option<String>, Error> {
    let refused = |says: String| Error::Engine { engine, says };
    let mut client = Command::new(program);
    client.args(args).env_clear().envs(client_env(engine));
    let answered = ask::ask(&mut client, &[], ANSWER_MAX).map_err(|it| refused(it.to_string()))?;
    if answered.status.success() {
        return Ok(Some(answered.stdout));
    }
    let says = answered.stderr;
    let is_missing = ["no such image", "No such image", "image not known"];
    if is_missing.iter().any(|it| says.contains(it)) {
        return Ok(None);
    }
    Err(refused(last_line(&says)))
}

fn import(program: &Path) -> Result<(), Error> {
    let engine = EngineProgram::Docker;
    let mut client = Command::new(program);
    client.args(["import", "-", EMPTY]).env_clear().envs(client_env(engine));
    let done = ask::ask(&mut client, &EMPTY_ARCHIVE, ANSWER_MAX)
        .map_err(|it| Error::Engine { engine, says: it.to_string() })?;
    if done.status.success() {
        return Ok(());
    }
    Err(Error::Engine { engine, says: last_line(&done.stderr) })
}

/// What an engine says last is why it gave up.
pub(crate) fn last_line(says: &str) -> String {
    let last = says.lines().map(str::trim).rfind(|it| !it.is_empty()).unwrap_or("it did not start");
    last.trim_start_matches("Error: ").chars().filter(|it| !it.is_control()).take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_names_an_image() {
        let digest = "0123456789abcdef".repeat(4);
        let pinned = format!("localhost:5000/a/b:1@sha256:{digest}");
        assert_eq!(pinned.parse::<Image>().unwrap().to_string(), pinned);
        for text in [
            "node",
            "node:22",
            "node@sha256:abc",
            &format!("@sha256:{digest}"),
            &format!("--privileged@sha256:{digest}"),
            &format!("docker-archive://x@sha256:{digest}"),
            &format!("a b@sha256:{digest}"),
            &format!("node@sha256:{}", digest.to_uppercase()),
            &format!("node@sha256:{digest}0"),
        ] {
            assert_eq!(text.parse::<Image>(), Err(NotPinned), "{text}");
        }
    }

    #[test]
    fn what_docker_cannot_be_told_to_ignore_is_refused() {
        assert_eq!(objection("null\n[\"PATH=/bin\",\"EVIL=1\"]"), None);
        assert_eq!(objection("{}\nnull"), None);
        assert!(objection("{\"/evil\":{}}\nnull").is_some());
        assert!(objection("null\n[\"LD_PRELOAD=/evil.so\"]").is_some());
        assert_eq!(instructs("\n"), None);
        assert_eq!(instructs("org.opencontainers.image.title\n"), None);
        for evil in
            ["org.opencontainers.image.title\nrun.oci.handler\n", "org.systemd.property.X", "a\nb"]
        {
            assert!(instructs(evil).is_some(), "{evil}");
        }
        assert!(is_empty(&format!("[\"{EMPTY_LAYER}\"]\n")));
        assert!(!is_empty("[\"sha256:00\"]"));
        assert!(!is_empty(&format!("[\"{EMPTY_LAYER}\",\"sha256:00\"]")));
    }

    #[test]
    fn what_an_engine_says_last_is_why() {
        assert_eq!(last_line("warning\nError: no\u{1b}[0m such thing\n\n"), "no[0m such thing");
        assert_eq!(last_line(""), "it did not start");
    }
}
