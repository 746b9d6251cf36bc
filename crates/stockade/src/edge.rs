//! The front door of everything that Stockade serves over HTTP: one layer, for every route.
//!
//! It decides about the *connection*: which host name was dialled, which page the request comes
//! from, who sends it. What is in the request is judged later, by [`crate::guard`]. The order is
//! fixed: host, then page, then key; nothing about a route is said to whom none of it belongs.

mod key;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    ORIGIN, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use stockade_core::check::clipped;

pub use key::Key;
pub(crate) use key::hex;

/// Who sent a request, as far as the door can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(pub Arc<str>);

/// What has to be true of a request before anything else is looked at.
#[derive(Debug)]
pub struct Door {
    /// `Host` must be one of these, port included. Empty: nobody may come in.
    hosts: Vec<String>,
    /// `Origin`, where there is one, must be one of these.
    origins: Vec<String>,
    /// Who comes in has one of these. Where there is no such list, everybody comes in.
    keys: Option<Vec<Key>>,
    anonymous: Principal,
}

/// Why a request stays outside, with the status that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// A name that is not ours was dialled: DNS rebinding (CVE-2025-66414, CVE-2026-42559).
    Host,
    /// A page of another origin sent it (CVE-2026-59950).
    Origin,
    /// It has no key, or not the right one.
    Key,
    /// A browser asks whether a page may send a request, and it may.
    Preflight,
}

/// What of a name that somebody else gave is kept.
const NAME_MAX: usize = 200;

impl Turned {
    /// What is written down of `request`, and by which rule, where it is refused. None of it is a
    /// credential.
    pub fn refusal<B>(self, request: &Request<B>) -> Option<(&'static str, String)> {
        let said = |name: &HeaderName| {
            let value = request.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
            let text = String::from_utf8_lossy(value);
            // A user and a password may stand before it.
            let name = text.rsplit('@').next().unwrap_or_default();
            clipped(name, NAME_MAX)
        };
        match self {
            Self::Host => {
                let target = request.uri().authority().map(|it| it.host().to_owned());
                let host = target.unwrap_or_else(|| said(&HOST));
                Some(("host", format!("`{host}` is not a name of this listener")))
            }
            Self::Origin if request.headers().contains_key(ORIGIN) => {
                let origin = said(&ORIGIN);
                Some(("origin", format!("`{origin}` is not a page that may ask")))
            }
            Self::Origin => {
                let says = "what a page of another site could have sent";
                Some(("origin", says.to_owned()))
            }
            Self::Key => Some(("key", "no key, or not the right one".to_owned())),
            Self::Preflight => None,
        }
    }
}

impl Door {
    /// The door of a listener at `address`: its own names, its own pages, and `keys`.
    pub fn new(
        address: SocketAddr,
        more_hosts: &[String],
        more_origins: &[String],
        keys: Option<Vec<Key>>,
    ) -> Self {
        let port = address.port();
        let names = ["127.0.0.1", "localhost", "[::1]"];
        let mut hosts: Vec<String> = names.iter().map(|it| format!("{it}:{port}")).collect();
        let mut origins: Vec<String> = hosts.iter().map(|it| format!("http://{it}")).collect();
        hosts.extend(more_hosts.iter().map(|it| it.to_ascii_lowercase()));
        origins.extend(more_origins.iter().map(|it| it.to_ascii_lowercase()));
        Self { hosts, origins, keys, anonymous: Principal("anonymous".into()) }
    }

    /// How many principals it can tell apart.
    pub fn principals(&self) -> usize {
        self.keys.as_ref().map_or(1, Vec::len)
    }

    /// The door of a listener that is reached under its own address and no name, and has pages of its
    /// own alone: whoever listens under `localhost` at the same port may be somebody else.
    pub fn narrow(address: SocketAddr) -> Self {
        let (hosts, origins) = (vec![address.to_string()], vec![format!("http://{address}")]);
        Self { hosts, origins, keys: None, anonymous: Principal("anonymous".into()) }
    }

    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// Why not.
    pub fn admit<B>(&self, request: &Request<B>) -> Result<Principal, Turned> {
        let headers = request.headers();
        let listed =
            |list: &[String], it: &str| list.iter().any(|known| known.eq_ignore_ascii_case(it));
        // An absolute request target names a host too, and wins over the header (RFC 9112 §3.2.2):
        // both must be ours.
        let target = request.uri().authority().map(|it| it.as_str());
        let host = only(headers, &HOST);
        if !host.is_some_and(|it| listed(&self.hosts, it))
            || target.is_some_and(|it| !listed(&self.hosts, it))
        {
            return Err(Turned::Host);
        }
        if headers.contains_key(ORIGIN)
            && !only(headers, &ORIGIN).is_some_and(|it| listed(&self.origins, it))
        {
            return Err(Turned::Origin);
        }
        // After rebinding, a page is "same-origin" with us and a GET carries no `Origin`; what the
        // browser says of where the request comes from, it says of the page.
        let listed_page = headers.contains_key(ORIGIN);
        let mut sites = headers.get_all("sec-fetch-site").iter().map(HeaderValue::as_bytes);
        if !listed_page && sites.any(|it| it != b"same-origin" && it != b"none") {
            return Err(Turned::Origin);
        }
        if request.method() == Method::OPTIONS && listed_page {
            return Err(Turned::Preflight);
        }
        // What a page can send without asking (a "simple request") is never a message.
        if request.method() == Method::POST && !is_json(headers) {
            return Err(Turned::Origin);
        }
        let Some(keys) = &self.keys else { return Ok(self.anonymous.clone()) };
        // All of them are looked at, so the time it takes does not say which.
        let given = only(headers, &AUTHORIZATION);
        let found = keys.iter().fold(None, |found, it| it.check(given).or(found));
        found.ok_or(Turned::Key)
    }

    /// The answer to a request that stays outside.
    pub fn turn_away<B>(&self, why: Turned, headers: &HeaderMap, empty: B) -> Response<B> {
        let mut response = Response::new(empty);
        *response.status_mut() = match why {
            Turned::Host => StatusCode::MISDIRECTED_REQUEST,
            Turned::Origin => StatusCode::FORBIDDEN,
            Turned::Key => StatusCode::UNAUTHORIZED,
            Turned::Preflight => StatusCode::NO_CONTENT,
        };
        if why == Turned::Key {
            let challenge = HeaderValue::from_static("Bearer realm=\"stockade\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if matches!(why, Turned::Key | Turned::Preflight) {
            self.share(headers, response.headers_mut());
        }
        response
    }

    /// Lets the page that asked read the answer, when it is a page that may ask (Fetch standard,
    /// "CORS protocol"). Never `*`.
    pub fn share(&self, request: &HeaderMap, response: &mut HeaderMap) {
        let Some(origin) = request.get(ORIGIN) else { return };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(VARY, HeaderValue::from_static("Origin"));
        let methods = HeaderValue::from_static("GET, POST, DELETE");
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = "authorization, content-type, accept, last-event-id, mcp-session-id, \
                       mcp-protocol-version, mcp-method, mcp-name";
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        let exposed = HeaderValue::from_static("mcp-session-id");
        response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// The value of a header that occurs once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().ok(),
        _ => None,
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    only(headers, &CONTENT_TYPE).is_some_and(|it| {
        let kind = it.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Door {
        let keys = vec![Key::named("k", "secret"), Key::named("l", "another")];
        Door::new("127.0.0.1:8420".parse().unwrap(), &[], &[], Some(keys))
    }

    fn admit(method: &str, headers: &[(&str, &str)]) -> Result<Principal, Turned> {
        let mut request = Request::builder().method(method).uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        door().admit(&request.body(()).unwrap())
    }

    const HOME: (&str, &str) = ("host", "127.0.0.1:8420");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const KEY: (&str, &str) = ("authorization", "Bearer secret");

    #[test]
    fn only_our_own_names_are_answered() {
        for host in ["evil.com", "127.0.0.1", "127.0.0.1:80", "localhost.evil.com:8420", ""] {
            for method in ["GET", "POST", "DELETE", "OPTIONS"] {
                assert_eq!(
                    admit(method, &[("host", host), JSON, KEY]),
                    Err(Turned::Host),
                    "{host}"
                );
            }
        }
        assert_eq!(admit("GET", &[KEY]), Err(Turned::Host));
        assert_eq!(admit("GET", &[HOME, ("host", "evil.com"), KEY]), Err(Turned::Host));
        assert!(admit("POST", &[("host", "LocalHost:8420"), JSON, KEY]).is_ok());
        let absolute = Request::get("http://evil.com/mcp").header("host", "127.0.0.1:8420");
        assert_eq!(door().admit(&absolute.body(()).unwrap()), Err(Turned::Host));
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        for origin in [
            "http://evil.com",
            "null",
            "http://localhost.evil.com",
            "http://localhost:1",
            "https://localhost:8420",
        ] {
            assert_eq!(
                admit("POST", &[HOME, JSON, KEY, ("origin", origin)]),
                Err(Turned::Origin),
                "{origin}"
            );
        }
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(admit("GET", &[HOME, KEY, ("sec-fetch-site", site)]), Err(Turned::Origin));
        }
        let twice =
            [HOME, KEY, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        assert_eq!(admit("GET", &twice), Err(Turned::Origin));
        for kind in ["text/plain", "application/jsonx", "multipart/form-data"] {
            assert_eq!(admit("POST", &[HOME, KEY, ("content-type", kind)]), Err(Turned::Origin));
        }
        assert!(admit("POST", &[HOME, JSON, KEY, ("origin", "http://localhost:8420")]).is_ok());
        let preflight = admit("OPTIONS", &[HOME, ("origin", "http://localhost:8420")]);
        assert_eq!(preflight, Err(Turned::Preflight));
    }

    #[test]
    fn the_key_must_be_the_key() {
        for key in
            ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", "secret"]
        {
            assert_eq!(admit("GET", &[HOME, ("authorization", key)]), Err(Turned::Key), "{key}");
        }
        assert_eq!(admit("GET", &[HOME, KEY, KEY]), Err(Turned::Key));
        assert_eq!(admit("GET", &[HOME, KEY]), Ok(Principal("k".into())));
        let other = ("authorization", "Bearer another");
        assert_eq!(admit("GET", &[HOME, other]), Ok(Principal("l".into())));
        assert_eq!(admit("GET", &[HOME, KEY, other]), Err(Turned::Key));
    }
}
