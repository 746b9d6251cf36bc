//! A host alone, of a tool that is about a network by what is said of it. What cannot be read as a host
//! is refused there: whoever connects may read it in another way.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use stockade_kit::address::Why as Is;
use stockade_kit::url::{Refusal, Url};

use super::{SCHEMES, as_clients_read, is_of_web, public};
use crate::argument::{Argument, Kind, Why, last_word};

/// Whether this is an argument for a host.
pub(super) fn is_one(it: &Argument<'_>) -> bool {
    let is_host = || {
        let last = last_word(it.name);
        is_called_host(&last)
            || matches!(last.as_str(), "domain" | "domains" | "server" | "address" | "target")
    };
    it.why != Why::Policy && !it.is(Kind::Url) && it.call.traits().asks_network && is_host()
}

fn is_called_host(last: &str) -> bool {
    matches!(last, "host" | "hosts" | "hostname" | "hostnames" | "ip" | "ips")
}

/// What hides which host it is, or gives out credentials, is refused wherever a network is asked; this
/// machine and one's own network where pages are fetched. Whoever pings may well mean those.
pub(super) fn judge(it: &Argument<'_>) -> Result<(), String> {
    let read = as_clients_read(it.str);
    let words: Vec<&str> = split(it.str.trim()).collect();
    let is_alone = words.len() == 1;
    words.into_iter().chain(split(&read)).try_for_each(|word| one(word, is_alone, it))
}

/// A URL without a scheme, of a tool that goes where it leads: whoever goes there puts `http://` before
/// it, and what that makes of `a@127.0.0.1/x` or `2130706433/x` is a host.
pub(super) fn judge_of_url(it: &Argument<'_>) -> Result<(), String> {
    let read = as_clients_read(it.str.trim());
    let begins = |signs: &[char]| read.starts_with(signs);
    // `/\\host` and `\\\\host` are hosts to browsers, `/a` and `?a` are not.
    let is_path = begins(&['.', '?', '#'])
        || begins(&['/', '\\']) && !read.get(1..).is_some_and(|it| it.starts_with(['/', '\\']));
    let has_scheme = read.find(['/', '?', '#']).is_some_and(|at| {
        let (before, rest) = read.split_at_checked(at).unwrap_or_default();
        before.ends_with(':') && rest.starts_with("//")
    });
    let is_other = !it.is(Kind::Url) || it.is(Kind::Path) || !it.call.traits().goes;
    if is_other || is_path || has_scheme || read.contains(char::is_whitespace) {
        return Ok(());
    }
    let host = read.trim_start_matches(['/', '\\']).split(['/', '?', '#']).next();
    one(host.unwrap_or_default(), false, it)
}

/// Some clients take several.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| it.is_whitespace() || ",;|".contains(it)).filter(|it| !it.is_empty())
}

/// What is written around a host: a scheme, slashes, brackets, a path, a user.
fn one(word: &str, is_alone: bool, it: &Argument<'_>) -> Result<(), String> {
    let word = word.trim_matches(['<', '>', '"', '\'', '`']);
    let scheme = if is_of_web(word) { ":" } else { "://" };
    let word = word.split_once(scheme).map_or(word, |(_, rest)| rest);
    let word = word.trim_start_matches(['/', '\\']);
    let end = word.find(['/', '?', '#']).unwrap_or(word.len());
    let (word, path) = word.split_at_checked(end).unwrap_or((word, ""));
    // `example.com#@127.0.0.1`: to some, a user ends at the `@` and nowhere before.
    if path.starts_with(['?', '#'])
        && let Some((_, behind)) = path.split_once('@')
    {
        named(behind.split(['/', '?', '#']).next().unwrap_or_default(), it, false)?;
    }
    // A backslash ends a host to some, as a slash does, and is a part of the user to others.
    let (before, host) = word.rsplit_once(['@', '\\']).unwrap_or(("", word));
    let (before, host) = if host.is_empty() && word.ends_with('\\') {
        let whole = word.trim_end_matches('\\');
        whole.rsplit_once(['@', '\\']).unwrap_or(("", whole))
    } else {
        (before, host)
    };
    let host = host.strip_prefix("*.").unwrap_or(host);
    // `127.0.0.1@example.com`: a user to some. Whatever else is there may be one.
    before.split(['@', '\\']).try_for_each(|user| named(user, it, false))?;
    // Of words in a row, those that could be no host are words.
    named(host, it, is_alone || host.contains(['.', ':', '[', '%', '。', '．', '｡']))
}

fn named(host: &str, it: &Argument<'_>, must_be_one: bool) -> Result<(), String> {
    if !host.contains(char::is_alphanumeric) && !host.contains("::") || is_hardware(host) {
        return Ok(());
    }
    if host.bytes().all(|it| it.is_ascii_digit()) && host.len() < DIGITS_OF_HOST_MIN {
        let is_host = it.is(Kind::Url) || is_called_host(&last_word(it.name));
        let is_any = host.bytes().all(|it| it == b'0') && is_host;
        return match is_any && it.call.traits().goes {
            true => Err(Refusal::Address(Is::Unspecified).to_string()),
            false => Ok(()),
        };
    }
    let read = |host: &str| Url::parse(&format!("http://{}", one_spelling(host)), SCHEMES);
    let url = read(host).or_else(|why| {
        // A port that there is not says nothing of the host.
        let is_port = matches!(why, Refusal::Form | Refusal::Port);
        host.split_once(':').filter(|_| is_port).map_or(Err(why), |(host, _)| read(host))
    });
    let Err(why) = url.and_then(|url| public(&url, it.call.inputs)) else { return Ok(()) };
    let goes = it.call.traits().goes;
    let is_wrong = if let Refusal::Address(why) = &why {
        matches!(why, Is::Embedded | Is::LinkLocal | Is::Metadata | Is::Unspecified) || goes
    } else if let Refusal::Name(name) = &why {
        // `my-metadata/x` is a path for as good as a name, where a URL is meant.
        let gives_out = match it.is(Kind::Url) && !name.contains('.') {
            true => name == "metadata",
            false => name.contains("metadata"),
        };
        gives_out || goes && (name.contains('.') || OWN.contains(&name.as_str()))
    } else {
        must_be_one || matches!(why, Refusal::Disguised { .. })
    };
    if is_wrong { Err(why.to_string()) } else { Ok(()) }
}

/// A host as it is in a URL: without the dot that ends a whole name, and with brackets around an
/// address of IPv6, whose zone is of this machine alone.
pub(super) fn one_spelling(host: &str) -> Cow<'_, str> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.split('%').next().unwrap_or_default();
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Cow::Owned(format!("[{address}]"));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    match name.strip_suffix('.').filter(|it| !it.is_empty()) {
        Some(name) if port.is_empty() => Cow::Borrowed(name),
        Some(name) => Cow::Owned(format!("{name}:{port}")),
        None => Cow::Borrowed(host),
    }
}

/// `00:1b:44:11:3a:b7`, which is no host.
fn is_hardware(text: &str) -> bool {
    let mut pairs = text.split(':');
    let is_pair = |it: &str| it.len() == 2 && it.bytes().all(|it| it.is_ascii_hexdigit());
    pairs.clone().count() == 6 && pairs.all(is_pair)
}

/// Names of this machine that have no dot.
const OWN: [&str; 5] = ["localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];

/// Shorter numbers are those of something else.
const DIGITS_OF_HOST_MIN: usize = 8;
