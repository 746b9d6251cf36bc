//! The headers of MCP: their names, and how a value that is no header value is written as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::WireError;

/// The session, up to 2025-11-25.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision, from 2025-06-18 on.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method, from 2026-07-28 on.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// What the method is about, from 2026-07-28 on.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// What the names of headers that repeat a parameter begin with, from 2026-07-28 on.
pub const PARAM: &str = "mcp-param-";
/// Where a stream is to go on.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const ENCODED_START: &str = "=?base64?";
const ENCODED_END: &str = "?=";

/// What a header may repeat of a body. Servers refuse requests whose headers are much longer.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// Headers that decide what a request is or where it ends. Configuration has no say in them.
static OWN: [HeaderName; 15] = [
    header::HOST,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    LAST_EVENT_ID,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What goes with a message over HTTP besides what the message itself says. Nothing that a client
/// sent gets here by itself: neither its `Authorization` nor its cookies are the upstream's.
#[derive(Clone, Debug, Default)]
pub struct SendHeaders {
    params: Vec<(HeaderName, HeaderValue)>,
    extra: Vec<(HeaderName, HeaderValue)>,
}

impl SendHeaders {
    /// None.
    pub const NONE: &Self = &Self { params: Vec::new(), extra: Vec::new() };

    /// Adds `Mcp-Param-{name}`, for a parameter that the tool's schema marks with `x-mcp-header`.
    ///
    /// # Errors
    /// When `name` is no header name.
    pub fn param(&mut self, name: &str, value: &str) -> Result<(), WireError> {
        let unusable = |_| WireError::Header { name: name.to_owned() };
        let full = HeaderName::from_bytes(format!("{PARAM}{name}").as_bytes()).map_err(unusable)?;
        let value = text(&full, value)?;
        self.params.push((full, value));
        Ok(())
    }

    /// Adds a header that repeats a parameter and came from a client, as it is.
    pub fn repeat(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.params.push((name.clone(), value.clone()));
    }

    /// Adds a header that is configured for the upstream, such as a token.
    ///
    /// # Errors
    /// When it cannot be a header, or is one that the transport writes itself.
    pub fn extra(&mut self, name: &str, value: &str) -> Result<(), WireError> {
        let unusable = || WireError::Header { name: name.to_owned() };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        if OWN.contains(&name) || name.as_str().starts_with("mcp-") {
            return Err(unusable());
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
        value.set_sensitive(true);
        self.extra.push((name, value));
        Ok(())
    }

    /// Adds what belongs to the connection.
    pub(crate) fn add_extra(&self, to: &mut HeaderMap) {
        for (name, value) in &self.extra {
            to.insert(name.clone(), value.clone());
        }
    }

    /// Adds what repeats the body.
    pub(crate) fn add_params(&self, to: &mut HeaderMap) {
        for (name, value) in &self.params {
            to.insert(name.clone(), value.clone());
        }
    }
}

/// `value` as the value of the `Mcp-*` header `name`: as it is, where any reader of headers keeps
/// it so, and in base64 otherwise (2026-07-28, "Value Encoding").
///
/// # Errors
/// When it is too long for a header.
pub fn text(name: &HeaderName, value: &str) -> Result<HeaderValue, WireError> {
    let unusable = || WireError::Header { name: name.as_str().to_owned() };
    if value.len() > VALUE_BYTES_MAX {
        return Err(unusable());
    }
    let visible = value.bytes().all(|it| matches!(it, b' '..=b'~'));
    let looks_encoded =
        value.get(..ENCODED_START.len()).is_some_and(|it| it.eq_ignore_ascii_case(ENCODED_START));
    let header = if visible && value.trim() == value && !looks_encoded {
        HeaderValue::from_str(value)
    } else {
        let encoded = STANDARD.encode(value);
        HeaderValue::try_from(format!("{ENCODED_START}{encoded}{ENCODED_END}"))
    };
    header.map_err(|_| unusable())
}

/// What the value of an `Mcp-*` header says; `None` when it is not well encoded. The marks are
/// lower case and nothing else (2026-07-28, "Value Encoding").
pub fn untext(header: &HeaderValue) -> Option<String> {
    let value = header.to_str().ok()?;
    let encoded = value.strip_prefix(ENCODED_START).and_then(|rest| rest.strip_suffix(ENCODED_END));
    match encoded {
        Some(it) => String::from_utf8(STANDARD.decode(it).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_header_value_is_encoded() {
        for (value, header) in [
            ("get_weather", "get_weather"),
            ("two words", "two words"),
            ("", ""),
            (" led", "=?base64?IGxlZA==?="),
            ("tab\tbed", "=?base64?dGFiCWJlZA==?="),
            ("line\r\nX: y", "=?base64?bGluZQ0KWDogeQ==?="),
            ("Zürich", "=?base64?WsO8cmljaA==?="),
            ("=?base64?QQ==?=", "=?base64?PT9iYXNlNjQ/UVE9PT89?="),
        ] {
            assert_eq!(text(&NAME, value).unwrap(), header);
            assert_eq!(untext(&text(&NAME, value).unwrap()).unwrap(), value);
        }
        assert_eq!(untext(&HeaderValue::from_static("=?base64?!?=")), None);
        assert!(text(&NAME, &"x".repeat(VALUE_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn configuration_has_no_say_in_framing() {
        let mut headers = SendHeaders::default();
        for name in ["Content-Length", "transfer-encoding", "Host", "Mcp-Session-Id", "a b", ""] {
            assert!(headers.extra(name, "1").is_err(), "{name}");
        }
        assert!(headers.extra("X-Key", "a\r\nb").is_err());
        assert!(headers.param("a:b", "1").is_err());
        headers.extra("Authorization", "Bearer secret").unwrap();
        assert!(!format!("{headers:?}").contains("secret"));
    }
}
