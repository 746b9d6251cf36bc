//! Roots, as texts: whole paths of directories, and URIs. What a conversation may be about, and where
//! a root of its client has to be to become one of them.

use stockade_kit::path::{Escape, inside};
use url::Url;

/// Where a root that the client gives counts. The client alone cannot make a root of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// In what.
    pub place: Admitted,
    /// Whether the server may write in such a root.
    pub write: bool,
}

/// In what a root of the client has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Any directory. Not any URI: an address is said.
    Anywhere,
    /// This directory, or below it.
    Directory(String),
    /// This URI, or below it.
    Uri(String),
}

/// The scheme of a URI that is not of a file.
pub fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let plain = |it: char| it.is_ascii_alphanumeric() || "+-.".contains(it);
    let is_scheme = scheme.len() > 1 && scheme.chars().all(plain);
    (is_scheme && !scheme.eq_ignore_ascii_case("file")).then_some(scheme)
}

/// A URI as a root: in its one spelling, and with nothing behind its path.
///
/// # Errors
/// Why it is none.
pub fn uri(text: &str) -> Result<String, Escape> {
    if text.contains(['?', '#']) {
        return Err(Escape::Query);
    }
    let whole = plain(text).ok_or(Escape::Encoded)?;
    uri_within(std::slice::from_ref(&whole), text).map(|()| whole)
}

/// The host and the port that a root of `https` is at, which a server that is to reach it must reach.
pub fn destination(root: &str) -> Option<String> {
    let url = Url::parse(root).ok().filter(|it| it.scheme() == "https")?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// The roots that are directories.
pub fn directories(roots: &[String]) -> Vec<&str> {
    roots.iter().map(String::as_str).filter(|it| scheme(it).is_none()).collect()
}

/// Whether there are roots of the scheme of this URI, so that it must be in one of them. `http` is
/// bounded by roots of `https` too: else the same host would be reached around them.
pub fn bounds(roots: &[String], uri: &str) -> bool {
    scheme(uri)
        .is_some_and(|it| roots.iter().any(|root| scheme(root).is_some_and(|root| kin(root, it))))
}

/// Whether a path or URI is in a root, by its text alone. A URI that is not of a file is compared
/// with the roots of its scheme, and is in them where there are none.
///
/// # Errors
/// Why not, in words.
pub fn within(roots: &[String], text: &str) -> Result<(), String> {
    if scheme(text).is_some() {
        return match bounds(roots, text).then(|| uri_within(roots, text)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(Escape::Outside)) => Err("a URI outside the roots".to_owned()),
            Some(Err(_)) => Err("a URI that may climb out of its root".to_owned()),
        };
    }
    let paths = directories(roots);
    match paths.is_empty() {
        true => Ok(()),
        false => inside(&paths, text).map(drop).map_err(|it| it.to_string()),
    }
}

/// Whether a path or URI is in a root that there is. The error says whether it is plainly outside,
/// or can be read in more than one way.
///
/// # Errors
/// Why not.
pub fn strictly_within(roots: &[String], text: &str) -> Result<(), Escape> {
    match scheme(text) {
        Some(_) if bounds(roots, text) => uri_within(roots, text),
        Some(_) | None => inside(&directories(roots), text).map(drop),
    }
}

/// Whether a URI is one of these URIs, or below one.
///
/// # Errors
/// Why not.
pub fn uri_within(roots: &[String], uri: &str) -> Result<(), Escape> {
    let lower = uri.to_ascii_lowercase();
    let climbs = ["..", "%2e", "%25"].iter().any(|it| lower.contains(it));
    if climbs || uri.contains('\\') || uri.contains(|it: char| it.is_control()) {
        return Err(Escape::Traversal);
    }
    let uri = plain(uri).ok_or(Escape::Encoded)?;
    let below = |root: &String| {
        let root = plain(root)?;
        let rest = uri.strip_prefix(root.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(())
    };
    roots.iter().find_map(below).ok_or(Escape::Outside)
}

/// A URI of the web in its one spelling: its host in lower case, its port left away where it is the
/// usual one. With a name or a password in it, it looks like one of another host. Others are
/// compared as they are.
fn plain(uri: &str) -> Option<String> {
    if !scheme(uri).is_some_and(is_of_web) {
        return Some(uri.to_owned());
    }
    let url = Url::parse(uri).ok().filter(|it| !uri.contains(' ') && it.host_str().is_some());
    let url = url.filter(|it| it.username().is_empty() && it.password().is_none())?;
    Some(url.into())
}

fn kin(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || is_of_web(one) && is_of_web(other)
}

fn is_of_web(scheme: &str) -> bool {
    ["http", "https"].iter().any(|it| it.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_root_in_one_reading_only() {
        let roots = ["https://docs.example/api/", "db://main", "/srv/docs"].map(str::to_owned);
        for (text, is_in) in [
            ("https://docs.example/api", true),
            ("HTTPS://Docs.Example:443/api/x?q=1", true),
            ("https://docs.example/apis", false),
            ("https://docs.example/", false),
            ("https://docs.example:8443/api/x", false),
            ("http://docs.example/api/x", false),
            ("http://169.254.169.254/", false),
            ("https://docs.example@evil.test/api/", false),
            ("https://a:b@docs.example/api/", false),
            ("https://docs.example.evil.test/api/", false),
            ("https://docs.example/api/../key", false),
            ("https://docs.example/api/%2e%2e/key", false),
            ("https://docs.example\\@evil.test/api/", false),
            ("https://docs.\texample/api/", false),
            ("https://[::1/api", false),
            ("db://main/table", true),
            ("db://maintenance", false),
            ("note://today", true),
            ("file:///srv/docs/a", true),
            ("file:///etc/passwd", false),
            ("/srv/docs/a", true),
            ("/etc/passwd", false),
        ] {
            assert_eq!(within(&roots, text).is_ok(), is_in, "{text}");
        }
        for (text, whole) in [
            ("HTTPS://Docs.Example:443/a", Ok("https://docs.example/a".to_owned())),
            ("db://main", Ok("db://main".to_owned())),
            ("https://a@docs.example/", Err(Escape::Encoded)),
            ("https://docs.example/a/../b", Err(Escape::Traversal)),
            ("https://docs.example/?a", Err(Escape::Query)),
            ("https:///", Err(Escape::Encoded)),
        ] {
            assert_eq!(uri(text), whole, "{text}");
        }
        assert_eq!(destination("https://docs.example/a").as_deref(), Some("docs.example:443"));
        assert_eq!(destination("https://[::1]:8443/").as_deref(), Some("[::1]:8443"));
        assert_eq!(destination("http://docs.example/"), None);
        assert!(bounds(&roots, "http://x") && !bounds(&roots, "note://x"));
        let uris = &roots[..2];
        assert!(within(uris, "/etc/passwd").is_ok(), "paths are bounded by directories");
        assert!(strictly_within(uris, "/etc/passwd").is_err(), "and are in none of them");
        assert!(strictly_within(uris, "note://today").is_err());
        assert!(strictly_within(uris, "https://docs.example/api/x").is_ok());
    }
}
