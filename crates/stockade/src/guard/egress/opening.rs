//! What a connection begins with: a TLS handshake and the name in it, a request of HTTP/1, or
//! something else. Both are read by the libraries that the guard speaks them with.

use rustls::server::Acceptor;
use stockade_sandbox::Host;

/// More is no beginning of anything.
const BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// What every TLS record of a handshake begins with.
const HANDSHAKE: u8 = 22;
/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];

/// What a connection begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opening {
    /// TLS, for this name.
    Tls(Option<String>),
    /// A request of HTTP/1.
    Http,
    /// None of these.
    Other,
}

/// What has come so far.
#[derive(Default)]
pub(super) struct Look {
    pub(super) bytes: Vec<u8>,
    acceptor: Acceptor,
}

impl Look {
    /// Takes in more, and says what it is as soon as that is known.
    pub(super) fn take(&mut self, more: &[u8]) -> Result<Option<Opening>, String> {
        self.bytes.extend_from_slice(more);
        let opening = match self.bytes.first() {
            None => None,
            Some(&HANDSHAKE) => self.tls(more)?,
            Some(_) => self.http(),
        };
        if opening.is_none() && self.bytes.len() > BYTES_MAX {
            return Err("it begins with too much".to_owned());
        }
        Ok(opening)
    }

    fn tls(&mut self, mut more: &[u8]) -> Result<Option<Opening>, String> {
        while !more.is_empty() {
            let no_tls = |it: std::io::Error| format!("it begins with no TLS handshake: {it}");
            self.acceptor.read_tls(&mut more).map_err(no_tls)?;
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_owned);
                    return Ok(Some(Opening::Tls(name)));
                }
                Err((error, _)) => return Err(format!("it begins with no TLS handshake: {error}")),
            }
        }
        Ok(None)
    }

    fn http(&self) -> Option<Opening> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::Request::new(&mut headers).parse(&self.bytes) {
            Ok(httparse::Status::Partial) => None,
            Ok(httparse::Status::Complete(_)) => Some(Opening::Http),
            // Whoever reads the whole of it says no.
            Err(_) if self.is_meant_as_http() => Some(Opening::Http),
            Err(_) => Some(Opening::Other),
        }
    }

    /// Whether somebody more lenient might take it for a request: by its method, or by what stands
    /// in its first line. HTTP/2 without TLS is something else, and begins in one way only.
    fn is_meant_as_http(&self) -> bool {
        let text = self.bytes.trim_ascii_start();
        let is_method =
            |it: &&[u8]| text.strip_prefix(*it).is_some_and(|rest| rest.starts_with(b" "));
        let line = text.split(|it| *it == b'\n').next().unwrap_or_default();
        !text.starts_with(PREFACE)
            && (METHODS.iter().any(|it| is_method(&it.as_bytes()))
                || memchr::memmem::find(line, b"HTTP/").is_some())
    }
}

impl Opening {
    /// Whether a connection to this host and port may begin so.
    ///
    /// Behind one address there may be many names, and the one in the handshake is who answers. So
    /// it must be the one that was asked for; and where the port is that of HTTPS or HTTP, nothing
    /// else is taken for it that such a server might understand.
    pub(super) fn check(&self, host: &Host, port: u16) -> Result<(), String> {
        match (self, host) {
            (Self::Tls(Some(said)), host) => match Host::parse(said) {
                Ok(said) if said == *host => Ok(()),
                Ok(_) | Err(_) => Err(format!("its TLS handshake is for `{said}`")),
            },
            (Self::Tls(None), Host::Name(_)) => Err("its TLS handshake is for no name".to_owned()),
            (Self::Tls(None), Host::Address(_)) => Ok(()),
            // Each request says whom it is for.
            (Self::Http, _) => Ok(()),
            (Self::Other, Host::Name(_)) if matches!(port, 80 | 443) => {
                Err("it begins with neither TLS nor HTTP".to_owned())
            }
            (Self::Other, _) => Ok(()),
        }
    }
}
