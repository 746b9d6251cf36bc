//! What is told to an address of the user's own, by HTTP: signed, so that whoever hears it knows whom
//! it is from ([`signature`]), to that address and no other, and with an answer that is bounded.
//!
//! What is said is not decided here: alerts are told this way (`crate::alerts`), and questions
//! (`crate::approvals::hook`).

pub mod signature;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, Uri};
use stockade_wire::error::WireError;
use stockade_wire::http::connection::{HttpOptions, HttpUpstream};

use self::signature::{Key, KeyError};

/// How long it may take to be connected.
const CONNECT: Duration = Duration::from_secs(5);

/// A secret that is longer is none.
const SECRET_BYTES_MAX: u64 = 4096;

/// Where a secret is. It does not stand in a policy, which is shown, sent around and committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In this variable of the guard's environment.
    Variable(String),
    /// In this file, which nobody else may read.
    File(PathBuf),
}

/// An address that is told something, and by what it knows from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub url: String,
    /// Where the secret is that both sides have.
    pub secret: Secret,
}

/// Why something cannot be told to an address.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The secret is not there.
    #[error("there is no variable `{0}`, in which the secret should be")]
    NoVariable(String),
    /// It cannot be read.
    #[error("cannot read the secret in `{path}`", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the secret in `{path}` can be read by others", path = .0.display())]
    Open(PathBuf),
    /// It is none.
    #[error("the secret in `{place}` cannot be used")]
    Key {
        /// Where it is.
        place: String,
        /// Why.
        source: KeyError,
    },
    /// The address.
    #[error("the address of a webhook cannot be used")]
    Address(#[source] WireError),
    /// There is nothing to make a name of.
    #[error("the system has no randomness to give")]
    Random(#[source] getrandom::Error),
}

impl Secret {
    /// Reads `env:NAME` or `file:/PATH`.
    ///
    /// # Errors
    /// What is wanted in place of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "`env:NAME` or `file:/PATH` is wanted: where it is, and not what";
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Variable(name.to_owned()))
            }
            Some(("file", path)) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::File(PathBuf::from(path)))
            }
            Some(_) | None => Err(WANTED),
        }
    }

    /// The key that it is.
    ///
    /// # Errors
    /// When it is not there, others may read it, or it is none.
    fn key(&self) -> Result<Key, HookError> {
        let (place, text) = match self {
            Self::Variable(name) => {
                let text = std::env::var(name);
                (name.clone(), text.map_err(|_| HookError::NoVariable(name.clone()))?)
            }
            Self::File(path) => {
                let wrong = |source| HookError::File { path: path.clone(), source };
                let file = File::open(path).map_err(wrong)?;
                let meta = file.metadata().map_err(wrong)?;
                if !meta.is_file() || meta.mode() & 0o077 != 0 {
                    return Err(HookError::Open(path.clone()));
                }
                let mut text = String::new();
                file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(wrong)?;
                (path.display().to_string(), text)
            }
        };
        Key::parse(text.trim_end_matches(['\r', '\n']))
            .map_err(|source| HookError::Key { place, source })
    }
}

impl HookError {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoVariable(_) => "set it where the guard is started",
            Self::File { .. } => "name a file that is there and that this user can read",
            Self::Open(_) => "it is to be a file of this user's alone: `chmod 600`",
            Self::Key { .. } => {
                "make one with `printf 'whsec_%s' \"$(openssl rand -base64 32)\"`, for both sides"
            }
            Self::Address(_) => "write it as `https://HOST/PATH`",
            Self::Random(_) => "there is nothing to do but to start anew",
        }
    }
}

/// Says no to an address that is not to be told anything: what is said there is for that address
/// alone, so the way to it is TLS, or stays on this machine.
///
/// # Errors
/// What is wrong with it.
pub fn check(url: &str) -> Result<(), &'static str> {
    match HttpUpstream::check(url) {
        Err(WireError::Url(why)) => return Err(why),
        Err(_) => return Err("it cannot be used"),
        Ok(()) => (),
    }
    let uri: Uri = url.parse().map_err(|_| "it cannot be read")?;
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
    if uri.scheme_str() == Some("https") || is_here {
        return Ok(());
    }
    Err("it is http, and not of this machine: what is said could be read on the way")
}

/// An address that can be told something.
pub struct Hook {
    upstream: HttpUpstream,
    uri: Uri,
    key: Key,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.upstream).finish()
    }
}

/// What a thing that is told is called: the same for every try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// One that nobody else has.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new() -> Result<Self, HookError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(HookError::Random)?;
        let hex = bytes.iter().map(|it| format!("{it:02x}"));
        Ok(Self(format!("msg_{}", hex.collect::<String>())))
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The names of the headers, as Standard Webhooks has them.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When it was said.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// And by whom.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

impl Hook {
    /// An address, with its secret, which may take so long for an answer. Nothing is sent yet.
    ///
    /// # Errors
    /// When the secret is not there or is none, or the certificates that this machine trusts cannot be
    /// read.
    pub fn new(address: &Address, answer_timeout: Duration) -> Result<Self, HookError> {
        let key = address.secret.key()?;
        let options =
            HttpOptions { connect_timeout: CONNECT, answer_timeout, ..HttpOptions::default() };
        let upstream = HttpUpstream::new(&address.url, options).map_err(HookError::Address)?;
        let uri = address.url.parse();
        let uri = uri.map_err(|_| HookError::Address(WireError::Url("it cannot be read")))?;
        Ok(Self { upstream, uri, key })
    }

    /// Whose it is: host and port.
    pub fn authority(&self) -> &str {
        self.upstream.authority()
    }

    /// Its address.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// What both sides have.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Says something there.
    ///
    /// # Errors
    /// When it is not reached, takes too long, or says more than `bytes_max`.
    pub async fn post(
        &self,
        name: &Name,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        self.send(Method::POST, &self.uri, name, body, bytes_max).await
    }

    /// The same, where the status of the answer says it all, however long that is.
    ///
    /// # Errors
    /// When it is not reached or takes too long.
    pub async fn tell(
        &self,
        name: &Name,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<StatusCode, WireError> {
        let headers = self.headers(&Method::POST, name, &body)?;
        Ok(self.upstream.tell(&self.uri, headers, body, bytes_max).await?.status())
    }

    /// Asks what came of something, at a place of the same host.
    ///
    /// # Errors
    /// The same.
    pub async fn get(
        &self,
        uri: &Uri,
        name: &Name,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        self.send(Method::GET, uri, name, Bytes::new(), bytes_max).await
    }

    async fn send(
        &self,
        method: Method,
        uri: &Uri,
        name: &Name,
        body: Bytes,
        bytes_max: usize,
    ) -> Result<Response<Bytes>, WireError> {
        let headers = self.headers(&method, name, &body)?;
        self.upstream.exchange(method, uri, headers, body, bytes_max).await
    }

    fn headers(&self, method: &Method, name: &Name, body: &[u8]) -> Result<HeaderMap, WireError> {
        // Each try has its own: one that is minutes old is not taken.
        let now_s = stockade_store::now_ms() / 1000;
        let signed = self.key.sign(name.as_str(), now_s, body);
        let mut headers = HeaderMap::new();
        let value = |text: &str, name: &HeaderName| {
            let wrong = |_| WireError::Header { name: name.to_string() };
            HeaderValue::from_str(text).map_err(wrong)
        };
        headers.insert(ID, value(name.as_str(), &ID)?);
        headers.insert(TIMESTAMP, HeaderValue::from(now_s));
        headers.insert(SIGNATURE, value(&signed, &SIGNATURE)?);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if *method == Method::POST {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        Ok(headers)
    }
}

const AGENT: &str = concat!("stockade/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_goes_by_tls_or_stays_here() {
        for url in [
            "https://hooks.example/a",
            "https://10.0.0.7:8443/a?b=c",
            "http://127.0.0.1:9/a",
            "http://[::1]:9/",
            "http://localhost/a",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "http://hooks.example/a",
            "http://10.0.0.7/a",
            "http://localhost.example/a",
            "http://127.0.0.1.example/",
            "http://127.0.0.1@hooks.example/",
            "ftp://hooks.example/a",
            "hooks.example",
            "",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_policy_says_where_a_secret_is() {
        let file = Secret::File(PathBuf::from("/etc/x"));
        assert_eq!(Secret::parse("file:/etc/x"), Ok(file));
        assert_eq!(Secret::parse("env:X"), Ok(Secret::Variable("X".to_owned())));
        for text in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "env:", "file:x", "env:A=B", ""] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_that_others_may_read_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let mode = |it| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(it));
        mode(0o640).unwrap();
        let secret = Secret::File(path.clone());
        assert!(matches!(secret.key(), Err(HookError::Open(_))));
        mode(0o600).unwrap();
        assert!(secret.key().is_ok());
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(secret.key(), Err(HookError::Key { .. })));
    }
}
