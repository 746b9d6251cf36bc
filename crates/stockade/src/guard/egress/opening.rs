//! What a connection begins with: a TLS handshake and the name in it, a request of HTTP/1, or
//! something else. Both are read by the libraries that the guard speaks them with.
//!
//! Something else is only bytes, to an address that the name was resolved to, and nobody reads them
//! further: whose they are there is for whoever has the address. What a server of TLS or HTTP could
//! take for its own all the same, because it is more lenient than those libraries, is told apart as
//! far as its beginning shows it.

use rustls::server::Acceptor;
use stockade_sandbox::Host;

/// More is no beginning of anything.
const BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// What every TLS record of a handshake begins with.
const HANDSHAKE: u8 = 22;
/// Records that a TLS server may pass over before a handshake: a change of keys, and an alert. They
/// are as short as this.
const BEFORE_HANDSHAKE: [u8; 2] = [20, 21];
const BEFORE_BYTES_MAX: u8 = 64;
/// What HTTP/2 begins with (RFC 9113, 3.4), before its first frame, which is about settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_BYTES: usize = 9;
const SETTINGS: u8 = 4;
/// So much of a first line is waited for. In more, nobody says what he wants.
const LINE_BYTES_MAX: usize = 8 << 10;
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
    /// None of these to the guard, and one of them to somebody more lenient.
    Disguised(&'static str),
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
            Some(_) => self.plain(),
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

    /// What begins with no handshake.
    fn plain(&self) -> Option<Opening> {
        match *self.bytes.as_slice() {
            // An alert or a change of keys, and what is then read is a handshake.
            [kind, 3, 0..=4, 0, 1..=BEFORE_BYTES_MAX, ..] if BEFORE_HANDSHAKE.contains(&kind) => {
                Some(Opening::Disguised("it begins with a TLS record before any handshake"))
            }
            [kind] | [kind, 3] | [kind, 3, 0..=4] | [kind, 3, 0..=4, 0]
                if BEFORE_HANDSHAKE.contains(&kind) =>
            {
                None
            }
            // The handshake of SSL 2, which says no name.
            [0x80..=0x83, _, 1, 3, 0..=4, ..] | [0x80..=0x83, _, 1, 0, 2, ..] => {
                Some(Opening::Disguised("it begins with a handshake of SSL 2"))
            }
            [0x80..=0x83] | [0x80..=0x83, _] | [0x80..=0x83, _, 1] | [0x80..=0x83, _, 1, 0 | 3] => {
                None
            }
            _ if PREFACE.starts_with(&self.bytes) => None,
            _ => match self.bytes.strip_prefix(PREFACE) {
                Some(rest) => two(rest),
                None => self.http(),
            },
        }
    }

    fn http(&self) -> Option<Opening> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        match httparse::Request::new(&mut headers).parse(&self.bytes) {
            Ok(httparse::Status::Partial) => None,
            Ok(httparse::Status::Complete(_)) => Some(Opening::Http),
            Err(_) => self.meant(),
        }
    }

    /// What is no request, and may be meant as one: by its method, by its path where no version
    /// follows (HTTP/0.9), or by what stands in its first line. Whoever reads the whole of it then
    /// says no. A word and a space may become such a line, however it is cut.
    fn meant(&self) -> Option<Opening> {
        let text = self.bytes.trim_ascii_start();
        let end = memchr::memchr(b'\n', text);
        let line = end.and_then(|it| text.get(..it)).unwrap_or(text);
        let space = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (word, rest) = line.split_at_checked(space).unwrap_or((line, &[]));
        let target = rest.trim_ascii_start();
        let is_method = METHODS.iter().any(|it| it.as_bytes() == word) && rest.starts_with(b" ");
        let is_like_one = METHODS.iter().any(|it| it.as_bytes().eq_ignore_ascii_case(word))
            && (target.starts_with(b"/") || memchr::memmem::find(target, b"://").is_some());
        let has_version = line.windows(5).any(|it| it.eq_ignore_ascii_case(b"HTTP/"));
        let is_word = |it: &u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(it);
        if is_method || is_like_one || has_version {
            Some(Opening::Http)
        } else if end.is_none() && word.iter().all(is_word) && line.len() < LINE_BYTES_MAX {
            None
        } else {
            Some(Opening::Other)
        }
    }
}

/// HTTP/2 without TLS, by what follows its preface: a frame of settings, about no stream. What is
/// none would be the next request to somebody who passes over a preface that he does not know.
fn two(rest: &[u8]) -> Option<Opening> {
    let &[long, short, shorter, kind, flags, stream @ ..] = rest.first_chunk::<FRAME_BYTES>()?;
    let length = u32::from_be_bytes([0, long, short, shorter]);
    let is_settings =
        kind == SETTINGS && flags == 0 && stream == [0; 4] && length.is_multiple_of(6);
    Some(match is_settings {
        true => Opening::Other,
        false => Opening::Disguised("it begins like HTTP/2, and is not"),
    })
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
            (Self::Disguised(why), Host::Name(_)) => Err((*why).to_owned()),
            (Self::Disguised(_), Host::Address(_)) => Ok(()),
            (Self::Other, Host::Name(_)) if matches!(port, 80 | 443) => {
                Err("it begins with neither TLS nor HTTP".to_owned())
            }
            (Self::Other, _) => Ok(()),
        }
    }
}
