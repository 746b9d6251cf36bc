//! HTTP+SSE, the transport of 2024-11-05: one stream for all that the server says, which begins
//! with the address that messages are posted to.
//!
//! That address carries the session in its query, so it is a credential: no error and no debug
//! output shows it.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri};
use stockade_core::judge::Cleared;

use crate::error::WireError;
use crate::events::Events;
use crate::http::client::JSON;
use crate::http::connection::{Content, HttpUpstream, port, status_error};
use crate::http::headers::SendHeaders;

/// One client's conversation with a server of 2024-11-05.
pub struct SseSession {
    upstream: HttpUpstream,
    endpoint: Uri,
    head: HeaderMap,
}

impl SseSession {
    /// Opens the stream and waits for the address of the session.
    ///
    /// # Errors
    /// [`WireError::NotMcp`] when the stream does not begin with an address of the same origin: a
    /// server must not point the guard, and the credentials that are configured for it, elsewhere.
    pub async fn open(
        upstream: &HttpUpstream,
        headers: &SendHeaders,
    ) -> Result<(Self, Events), WireError> {
        upstream.in_time(Self::open_now(upstream, headers)).await
    }

    async fn open_now(
        upstream: &HttpUpstream,
        headers: &SendHeaders,
    ) -> Result<(Self, Events), WireError> {
        let mut head = HeaderMap::with_capacity(8);
        head.insert(header::HOST, upstream.host().clone());
        upstream.headers().add_extra(&mut head);
        let mut get = head.clone();
        get.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.add_extra(&mut get);
        let uri = upstream.uri();
        let response = upstream.request(Method::GET, uri, get, Bytes::new()).await?;
        if response.status() != StatusCode::OK {
            return Err(status_error(&response));
        }
        if Content::of(&response) != Content::Events {
            return Err(WireError::NotMcp("not an event stream"));
        }
        let mut events = Events::new(response.into_body(), upstream.limits().frame_bytes_max);
        let first = loop {
            match events.next_of_any_name().await? {
                // An id or a delay alone is not an event.
                Some(it) if it.data.is_none() => {}
                Some(it) => break it,
                None => return Err(WireError::Closed),
            }
        };
        let reference = first.data.filter(|_| first.event.as_deref() == Some("endpoint"));
        let reference = reference.ok_or(WireError::NotMcp("a stream without an endpoint"))?;
        let endpoint = resolve(upstream.uri(), reference.trim())?;
        head.insert(header::CONTENT_TYPE, JSON);
        Ok((Self { upstream: upstream.clone(), endpoint, head }, events))
    }

    /// Sends one message. Its answer comes as an event.
    ///
    /// # Errors
    /// [`WireError::SessionLost`] when the server does not know the address any more.
    pub async fn send(&self, message: &Cleared, headers: &SendHeaders) -> Result<(), WireError> {
        let mut head = self.head.clone();
        headers.add_extra(&mut head);
        let body = message.bytes().clone();
        let request = self.upstream.request(Method::POST, &self.endpoint, head, body);
        let response = self.upstream.in_time(request).await?;
        match response.status() {
            it if it.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(WireError::SessionLost),
            _ => Err(status_error(&response)),
        }
    }
}

impl fmt::Debug for SseSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SseSession").field(&self.upstream).finish()
    }
}

/// The address that `reference` means in a document at `base` (RFC 3986 §5.2), if it is of the same
/// origin. Steps up and down a path are not taken: an endpoint has no need of them.
fn resolve(base: &Uri, reference: &str) -> Result<Uri, WireError> {
    const UNREADABLE: WireError = WireError::NotMcp("an endpoint that cannot be read");
    let unreadable = |_| UNREADABLE;
    // A backslash is a slash to some readers.
    if reference.is_empty() || reference.contains('\\') {
        return Err(UNREADABLE);
    }
    let path_of = |uri: &Uri| uri.path().to_owned();
    let has_scheme = reference.split(['/', '?', '#']).next().is_some_and(|it| it.contains(':'));
    let target: Uri = if has_scheme {
        reference.parse().map_err(unreadable)?
    } else if reference.starts_with("//") {
        let scheme = base.scheme_str().unwrap_or_default();
        format!("{scheme}:{reference}").parse().map_err(unreadable)?
    } else {
        let path = if reference.starts_with('/') {
            reference.to_owned()
        } else if reference.starts_with('?') {
            path_of(base) + reference
        } else {
            let path = path_of(base);
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{reference}")
        };
        let mut parts = base.clone().into_parts();
        let path = path.split('#').next().unwrap_or_default();
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| UNREADABLE)?);
        return checked(Uri::from_parts(parts).map_err(|_| UNREADABLE)?);
    };
    if origin(&target).is_none() || origin(&target) != origin(base) {
        return Err(WireError::NotMcp("an endpoint of another origin"));
    }
    let mut parts = target.into_parts();
    parts.authority = base.authority().cloned();
    checked(Uri::from_parts(parts).map_err(|_| UNREADABLE)?)
}

fn checked(endpoint: Uri) -> Result<Uri, WireError> {
    let steps = endpoint.path().split('/').any(|it| it == "." || it == "..");
    if steps {
        return Err(WireError::NotMcp("an endpoint with steps in its path"));
    }
    Ok(endpoint)
}

/// Scheme, host and port; `None` of what has none, or has a user in it.
fn origin(uri: &Uri) -> Option<(String, String, u16)> {
    let (scheme, authority) = (uri.scheme()?, uri.authority()?);
    let default = match scheme {
        it if *it == Scheme::HTTP => 80,
        it if *it == Scheme::HTTPS => 443,
        _ => return None,
    };
    if authority.as_str().contains('@') {
        return None;
    }
    let port = port(authority)?.unwrap_or(default);
    Some((scheme.to_string(), authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_stays_at_its_origin() {
        let base: Uri = "http://Host.example:80/mcp/sse?x=1".parse().unwrap();
        for (reference, target) in [
            ("/messages?s=1", "/messages?s=1"),
            ("messages?s=1", "/mcp/messages?s=1"),
            ("?s=1", "/mcp/sse?s=1"),
            ("/m?s=http://other.example/", "/m?s=http://other.example/"),
            ("http://host.example/m", "/m"),
            ("HTTP://HOST.EXAMPLE:80/m", "/m"),
            ("//host.example/m", "/m"),
        ] {
            let uri = resolve(&base, reference).unwrap();
            assert_eq!(uri.path_and_query().unwrap(), target, "{reference}");
            assert_eq!(uri.authority(), base.authority());
        }
        for reference in [
            "https://host.example/m",
            "http://host.example:8080/m",
            "http://other.example/m",
            "http://host.example@other.example/m",
            "http://user@host.example/m",
            "http://host.example.other/m",
            "//other.example/m",
            "\\\\other.example\\m",
            "file:///etc/passwd",
            "/../m",
            "a b",
            "",
        ] {
            let error = resolve(&base, reference).unwrap_err();
            assert!(matches!(error, WireError::NotMcp(_)), "{reference}");
        }
    }
}
