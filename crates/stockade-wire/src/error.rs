//! What can go wrong between bytes and messages: facts, for whoever decides what to say about it.
//!
//! Nothing here quotes a URL, a header or a body: the session of a 2024-11-05 server stands in its
//! query string, and a bearer token in a header, and an error is printed and logged.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Why a message could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side has gone.
    #[error("the connection is closed")]
    Closed,
    /// A frame was longer than the limit. Where frames follow each other, the next one can be
    /// read.
    #[error("a message is longer than {bytes_max} bytes")]
    FrameTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// Nothing came in time.
    #[error("no answer within {} ms", after.as_millis())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// An HTTP status that is not an answer.
    #[error("HTTP status {status}")]
    Status {
        /// The status.
        status: u16,
        /// The `WWW-Authenticate` header, of a server that wants other credentials.
        challenge: Option<String>,
    },
    /// The server does not know the session any more: it must be initialized anew.
    #[error("the server has forgotten the session")]
    SessionLost,
    /// The other side does not speak the protocol.
    #[error("not MCP: {0}")]
    NotMcp(&'static str),
    /// A URL that cannot be used.
    #[error("not a usable URL: {0}")]
    Url(&'static str),
    /// A header that cannot be sent.
    #[error("not a usable header: `{name}`")]
    Header {
        /// Its name.
        name: String,
    },
    /// The operating system said no.
    #[error("input or output failed")]
    Io(#[source] io::Error),
    /// The connection could not be made private, or the other side could not prove who it is.
    #[error("TLS failed: {}", untrusted(.0))]
    Tls(rustls::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let gone = matches!(
            error.kind(),
            Kind::BrokenPipe
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::NotConnected
                | Kind::UnexpectedEof
                | Kind::WriteZero
        );
        if gone { Self::Closed } else { Self::Io(error) }
    }
}

impl WireError {
    /// What it says, with what it comes from.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(it) = cause {
            text = format!("{text}: {it}");
            cause = it.source();
        }
        text
    }

    /// What is at the bottom of an error of hyper. `connect_timeout`: where it may be one of
    /// connecting.
    pub(crate) fn from_http(
        error: &(dyn Error + 'static),
        connect_timeout: Option<Duration>,
    ) -> Self {
        let mut bottom = Self::Closed;
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(it) = error.downcast_ref::<rustls::Error>() {
                return Self::Tls(it.clone());
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
                return Self::NotMcp("no HTTP");
            }
            next = error.source();
            if let Some(it) = error.downcast_ref::<io::Error>() {
                if it.kind() == io::ErrorKind::TimedOut
                    && let Some(after) = connect_timeout
                {
                    return Self::Timeout { after };
                }
                bottom = Self::from(copy(it));
                // What it was made of, an error of TLS perhaps, is not its source.
                next = it.get_ref().map(|it| it as _).or(next);
            }
        }
        bottom
    }
}

/// Why, for whoever has to do something about it. `rustls` names its commonest reason by a word that
/// only who knows its code understands.
fn untrusted(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    if matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer)) {
        return "its certificate is of an issuer that this machine does not trust".to_owned();
    }
    error.to_string()
}

/// `io::Error` has no `clone`; what it says is kept.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
