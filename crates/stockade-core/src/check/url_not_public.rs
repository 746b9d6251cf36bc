#![doc = include_str!("url_not_public.md")]

mod host;

use std::borrow::Cow;

use stockade_kit::address;
use stockade_kit::url::{Refusal, Url};

use super::{Check, Facts, Findings, Rule, rules};
use crate::argument::{Argument, Called, Kind, Why, last_word};
use crate::finding::At;
use crate::json::Json;
use crate::policy::input::Inputs;
use crate::root::{bounds, directories, within};
use crate::subject::{Channel, Subject};

pub(super) struct This;

impl Check for This {
    fn rule(&self) -> &'static Rule {
        &rules::url_not_public
    }

    fn argument(&self, it: &Argument<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if it.is_name() {
            return;
        }
        if host::is_one(it)
            && let Err(why) = host::judge(it)
        {
            out.add_told(it.at, it.says(Kind::Url, why));
            return;
        }
        if !it.is(Kind::Url) && !may_be_fetched(it) || is_kept(it) && is_of_own_network(it.str) {
            return;
        }
        let judge = |text: &str| judge(text, it.is(Kind::Path), it.call.inputs, facts.roots);
        let judged = judge(it.str.trim()).and_then(|()| judge(&as_clients_read(it.str)));
        let judged = judged.and_then(|()| host::judge_of_url(it));
        if let Err(why) = judged {
            out.add_told(it.at, it.says(Kind::Url, why));
        }
    }

    fn subject(&self, subject: Subject<'_>, facts: &Facts<'_>, out: &mut Findings<'_>) {
        if subject.channel != Channel::Uri {
            return;
        }
        let uri = subject.json.str().unwrap_or_default();
        if is_of_web(uri)
            && let Err(why) = judge(uri, true, facts.inputs, facts.roots)
        {
            out.add_told(At::Value(subject.json), super::redacted(&why));
        }
    }
}

/// A URL as lenient clients read it: without tabs and ends of lines (WHATWG URL, "basic URL parser"),
/// and out of the brackets or quotes that it may be written in (RFC 3986, appendix C).
fn as_clients_read(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let between = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    let mut pairs = [('<', '>'), ('"', '"'), ('\'', '\'')].into_iter();
    let inner = pairs.find_map(|(open, close)| between(open, close)).unwrap_or(text);
    let inner = match inner.get(..4) {
        Some(head) if head.eq_ignore_ascii_case("url:") => inner.get(4..).unwrap_or_default(),
        Some(_) | None => inner,
    };
    if inner.contains(['\t', '\r', '\n']) {
        return Cow::Owned(inner.replace(['\t', '\r', '\n'], ""));
    }
    Cow::Borrowed(inner)
}

/// A value that is a URL, of a parameter that nothing is known of or that holds paths, where the tool
/// talks to the world.
fn may_be_fetched(it: &Argument<'_>) -> bool {
    let text = as_clients_read(it.str);
    (is_of_web(&text) || is_of_others(&text)) && !text.contains(char::is_whitespace) && {
        let is_open = |call: &Called<'_>| call.traits().is_open;
        it.is(Kind::Path) || it.kinds.is_plain() && it.why == Why::Nothing && is_open(it.call)
    }
}

/// A value that somebody types into a form or puts down in a record: nobody goes there, where the tool
/// is not one that does. What gives out credentials, or hides what it is, is odd there too.
fn is_kept(it: &Argument<'_>) -> bool {
    const RECORDS: &[&str] = &[
        "properties",
        "fields",
        "attributes",
        "custom_fields",
        "rich_text",
        "children",
        "blocks",
        "entities",
        "observations",
        "metadata",
        "record",
        "records",
        "rows",
        "values",
    ];
    const WRITES: &[&str] = &[
        "create", "update", "patch", "append", "insert", "add", "edit", "save", "upsert", "set",
        "write",
    ];
    const TYPES: &[&str] = &["fill", "type", "form", "select", "input"];
    if it.why == Why::Policy || it.is(Kind::Upstream) || it.call.traits().goes {
        return false;
    }
    let name = it.call.words_of_tool();
    let any = |list: &[&str]| name.iter().any(|it| list.contains(&it.as_str()));
    let is_typed =
        || any(TYPES) && matches!(last_word(it.name).as_str(), "value" | "values" | "text");
    let holders = std::iter::successors(it.at.json().parent(), |it| it.parent());
    let mut names = holders.filter_map(Json::name);
    is_typed() || any(WRITES) && names.any(|it| RECORDS.contains(&it.to_ascii_lowercase().as_str()))
}

/// Whether the host of a URL is this machine or one of a network of one's own, and says so.
fn is_of_own_network(text: &str) -> bool {
    let Ok(url) = Url::parse(text.trim(), SCHEMES) else { return false };
    match url.judge() {
        Err(Refusal::Address(address::Why::Loopback | address::Why::Private)) => true,
        Err(Refusal::Name(name)) => !name.contains("metadata"),
        Ok(()) | Err(_) => false,
    }
}

/// Schemes by which a fetching library talks to a host, and that nobody needs.
fn is_of_others(text: &str) -> bool {
    const OTHERS: &[&str] = &[
        "dict", "ftps", "gopher", "jar", "ldap", "ldaps", "netdoc", "sftp", "smb", "telnet", "tftp",
    ];
    text.split_once(':').is_some_and(|(scheme, rest)| {
        OTHERS.iter().any(|it| it.eq_ignore_ascii_case(scheme))
            && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("jar"))
    })
}

fn is_of_web(text: &str) -> bool {
    let begins = |it: &str| text.get(..it.len()).is_some_and(|head| head.eq_ignore_ascii_case(it));
    ["http:", "https:", "ws:", "wss:", "ftp:"].iter().any(|it| begins(it))
}

/// Whom a URL names. Nothing is resolved here: a public name that leads inside is for the sandbox,
/// which judges the address that is connected to.
fn judge(
    text: &str,
    may_be_path: bool,
    inputs: &Inputs<'_>,
    roots: &[String],
) -> Result<(), String> {
    // What a root bounds is one that somebody wrote down, or `path_outside_roots` refuses it.
    if text.is_empty() || bounds(roots, text) {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix("//").filter(|_| !may_be_path) {
        return whole(&format!("http://{rest}"), inputs);
    }
    let Some((scheme, rest)) = text.split_once(':').filter(|(it, _)| is_scheme(it)) else {
        return match may_be_path {
            true => Ok(()),
            false => bare(text, inputs),
        };
    };
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" | "ws" | "wss" | "ftp" | "ftps" | "git" | "ssh" | "svn" | "rsync"
        | "git+ssh" | "git+http" | "git+https" | "sftp" | "socks5" | "redis" | "mongodb"
        | "postgres" | "postgresql" | "mysql" | "amqp" => whole(text, inputs),
        "file" if may_be_path => Ok(()),
        "file" if !directories(roots).is_empty() => within(roots, text),
        "file" | "gopher" | "dict" | "ldap" | "ldaps" | "tftp" | "jar" | "netdoc" | "phar"
        | "php" | "expect" | "javascript" | "vbscript" | "view-source" | "url" | "smb"
        | "telnet" | "unix" | "npipe" | "filesystem" | "blob" | "feed" => {
            Err(Refusal::Scheme(scheme).to_string())
        }
        // `http+unix://%2Fvar%2Frun%2Fdocker.sock/`: a socket of this machine, whatever is said over it.
        _ if scheme.ends_with("+unix") || scheme.ends_with("+npipe") => {
            Err(Refusal::Scheme(scheme).to_string())
        }
        // `localhost:3000/path`
        _ if !may_be_path && rest.starts_with(|it: char| it.is_ascii_digit()) => bare(text, inputs),
        // Whatever speaks it connects to that host, if it is one.
        _ => match rest.strip_prefix("//") {
            Some(rest) => bare(rest.split(['/', '?', '#']).next().unwrap_or_default(), inputs),
            None => Ok(()),
        },
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "+-.".contains(it))
}

fn whole(text: &str, inputs: &Inputs<'_>) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(Refusal::Form.to_string());
    };
    // Hosts of other schemes are read by the rules of the web, which know an address when they see it.
    let scheme = if is_of_web(text) { scheme } else { "http" };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let host = match host.split_once('@') {
        // `ssh://git@host`: a user, and nobody takes it for a host.
        Some((user, host)) if !is_of_web(text) && !user.contains([':', '.', '-']) => host,
        _ => host,
    };
    // What only some write as `%20` or `%5c`, where no client takes it for a part of the host.
    let query = path.find(['?', '#']).unwrap_or(path.len());
    let (path, query) = path.split_at_checked(query).unwrap_or((path, ""));
    let (path, query) = (path.replace(' ', "%20"), query.replace(' ', "%20").replace('\\', "%5C"));
    let url = Url::parse(&format!("{scheme}://{host}{path}{query}"), SCHEMES);
    public(&url.map_err(|it| it.to_string())?, inputs).map_err(|it| it.to_string())
}

/// What is no whole URL: a host, which some clients put `http://` before, or a path.
fn bare(text: &str, inputs: &Inputs<'_>) -> Result<(), String> {
    let is_path = text.starts_with(['/', '.', '?', '#']) || text.contains('@');
    if is_path || text.contains(char::is_whitespace) {
        return Ok(());
    }
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let (host, path) = text.split_at_checked(end).unwrap_or((text, ""));
    match Url::parse(&format!("http://{}{path}", host::one_spelling(host)), SCHEMES) {
        Ok(url) => match public(&url, inputs) {
            // `users` is a path for as good as a name.
            Err(Refusal::Name(name)) if name != "localhost" && !name.contains('.') => Ok(()),
            judged => judged.map_err(|it| it.to_string()),
        },
        Err(why @ Refusal::Disguised { .. }) if text.contains(['.', 'x', ':', '[', '%']) => {
            Err(why.to_string())
        }
        Err(_) => Ok(()),
    }
}

fn public(url: &Url, inputs: &Inputs<'_>) -> Result<(), Refusal> {
    match url.judge() {
        Err(_) if inputs.permits(url.host(), url.port()) => Ok(()),
        judged => judged,
    }
}

const SCHEMES: &[&str] = &["http", "https", "ws", "wss", "ftp"];
