//! A URL that may be fetched: read in one way only, resolved once, and connected to at the address
//! that was judged.
//!
//! Three things go wrong with URLs. A check and a client read them differently (`http://a\@b`,
//! `http:/a`, `http://127.1`); a name leads inside (`localtest.me`); or it leads outside when it is
//! checked and inside when it is connected to. So [`Url::parse`] refuses what has more than one
//! reading, [`Url::resolve`] asks for the addresses once and judges every one of them by
//! [`crate::address`], and [`Target`] connects to those and to nothing else. There is no list of
//! patterns here.
//!
//! With an HTTP library, hand it the addresses instead of the name. With `reqwest`, for example:
//!
//! ```ignore
//! let target = Url::parse(text, &["https"])?.resolve(&Reach::public())?;
//! let client = reqwest::Client::builder()
//!     .resolve_to_addrs(target.host(), target.addresses())
//!     .redirect(reqwest::redirect::Policy::none()) // each one is a URL of its own: `Url::redirect`
//!     .no_proxy()
//!     .build()?;
//! client.get(target.url()).send().await?;
//! ```

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ::url::Host;
use ipnet::IpNet;
use thiserror::Error;

use crate::address::{self, Why};

/// A URL with one reading.
///
/// ```
/// use stockade_kit::address::Why;
/// use stockade_kit::url::{Refusal, Url};
///
/// let url = Url::parse("https://Example.com/a?b=c", &["https"])?;
/// assert_eq!(url.as_str(), "https://example.com/a?b=c");
/// assert_eq!(url.judge(), Ok(()));
///
/// // The same address, in spellings that a pattern does not know.
/// for text in ["http://127.0.0.1/", "http://[::1]/"] {
///     let url = Url::parse(text, &["http"])?;
///     assert_eq!(url.judge(), Err(Refusal::Address(Why::Loopback)));
/// }
/// for text in ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/"] {
///     let refusal = Url::parse(text, &["http"]).unwrap_err();
///     assert_eq!(refusal, Refusal::Disguised { host: "127.0.0.1".to_owned() });
/// }
/// # Ok::<(), Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    url: ::url::Url,
    host: String,
    port: u16,
}

/// Why a text is no URL to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is longer than servers take.
    #[error("the URL is too long")]
    TooLong,
    /// It has a space, a control character or a backslash, which some clients drop or turn round.
    #[error("the URL has a character that clients read differently")]
    Character,
    /// It does not have the form `scheme://host/…`.
    #[error("it is not a URL with a host")]
    Form,
    /// Its scheme is none of those that were listed.
    #[error("URLs with `{0}:` are not allowed")]
    Scheme(String),
    /// It has a user or a password, which look like a host to a reader.
    #[error("the URL has a user or a password in it")]
    User,
    /// Its host is written in a way that hides what it is: a number, an escape, letters that are
    /// not what they seem.
    #[error("the host is `{host}`, written in another way")]
    Disguised {
        /// What clients make of it.
        host: String,
    },
    /// Its host is no name and no address.
    #[error("the host is neither a name nor an address")]
    Host,
    /// Its port is 0.
    #[error("the URL has no port that can be connected to")]
    Port,
    /// Its host is an address that is not public.
    #[error("the address is not public: {0}")]
    Address(Why),
    /// Its host is a name of this machine, or of a network of one's own.
    #[error("`{0}` is not a public name")]
    Name(String),
    /// A redirect leads from an encrypted connection to one that is not.
    #[error("the redirect leaves encryption")]
    Downgrade,
}

impl Url {
    /// Reads a URL whose scheme is one of `schemes`. What clients would not all read alike is
    /// refused; whom it leads to is a question for [`Self::judge`] or [`Self::resolve`].
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, Refusal> {
        if text.len() > BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        if text.chars().any(|it| it.is_control() || it.is_whitespace() || it == '\\') {
            return Err(Refusal::Character);
        }
        let (scheme, rest) = text.split_once(':').ok_or(Refusal::Form)?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.iter().any(|it| it.eq_ignore_ascii_case(&scheme)) {
            return Err(Refusal::Scheme(scheme));
        }
        // A parser for browsers takes any number of slashes; others take the first part for a path.
        let rest = rest.strip_prefix("//").ok_or(Refusal::Form)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Refusal::User);
        }
        let written = written_host(authority);
        if written.is_empty() {
            return Err(Refusal::Form);
        }
        let url = ::url::Url::parse(text).map_err(|_| Refusal::Form)?;
        // Letters of other scripts are longer in a URL's own spelling.
        if url.as_str().len() > BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let read = url.host().ok_or(Refusal::Form)?;
        let host = one_spelling(written, &read)?;
        let port = url.port_or_known_default().filter(|it| *it != 0).ok_or(Refusal::Port)?;
        Ok(Self { url, host, port })
    }

    /// The URL in its one spelling; a name with letters of other scripts in Punycode.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The name or address. A name with letters of other scripts is in Punycode, so that what is
    /// shown to a person cannot look like another; an IPv6 address is without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, that of the scheme where none was given.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the name has letters of other scripts, which may look like those of a known name.
    pub fn is_international(&self) -> bool {
        self.host.split('.').any(|it| it.starts_with("xn--"))
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether the host is public, as far as its text says: for whoever does not connect. A public
    /// name may still lead anywhere.
    pub fn judge(&self) -> Result<(), Refusal> {
        match self.address() {
            Some(address) => address::resolved(address).map_err(Refusal::Address),
            None if is_inner_name(&self.host) => Err(Refusal::Name(self.host.clone())),
            None => Ok(()),
        }
    }

    /// Where a redirect leads: a URL that is as untrusted as the first, by the same rules.
    pub fn redirect(&self, location: &str, schemes: &[&str]) -> Result<Self, Refusal> {
        if location.chars().any(|it| it.is_control() || it.is_whitespace() || it == '\\') {
            return Err(Refusal::Character);
        }
        let begins = location.split(['/', '?', '#']).next().unwrap_or_default();
        let next = if begins.contains(':') {
            Self::parse(location, schemes)?
        } else if let Some(rest) = location.strip_prefix("//") {
            Self::parse(&format!("{}://{rest}", self.url.scheme()), schemes)?
        } else {
            let joined = self.url.join(location).map_err(|_| Refusal::Form)?;
            Self::parse(joined.as_str(), schemes)?
        };
        if self.url.scheme() == "https" && next.url.scheme() != "https" {
            return Err(Refusal::Downgrade);
        }
        Ok(next)
    }

    /// Asks for the addresses of the host, once, and judges each. This blocks.
    pub fn resolve(&self, reach: &Reach) -> Result<Target, Unreachable> {
        self.resolve_with(reach, |host, port| {
            Ok((host, port).to_socket_addrs()?.map(|it| it.ip()).collect())
        })
    }

    /// The same, with another way to ask: an asynchronous one has the addresses already.
    pub fn resolve_with(
        &self,
        reach: &Reach,
        ask: impl FnOnce(&str, u16) -> io::Result<Vec<IpAddr>>,
    ) -> Result<Target, Unreachable> {
        let found = match self.address() {
            Some(address) => vec![address],
            None => ask(&self.host, self.port).map_err(Unreachable::Unresolved)?,
        };
        if found.is_empty() {
            return Err(Unreachable::Unresolved(io::ErrorKind::NotFound.into()));
        }
        // One that leads inside condemns the name: which of them is used is not for an outsider.
        for address in &found {
            reach
                .permits(*address)
                .map_err(|why| Unreachable::Address { address: *address, why })?;
        }
        let addresses = found.into_iter().take(ADDRESSES_MAX);
        let addresses = addresses.map(|it| SocketAddr::new(it, self.port)).collect();
        Ok(Target { url: self.clone(), addresses })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    also: Vec<IpNet>,
}

impl Reach {
    /// Public ones, that are not this machine's own.
    pub fn public() -> Self {
        Self::default()
    }

    /// Those in this network as well, which the operator wrote down. What gives out credentials,
    /// is link-local or stands for another address stays closed.
    #[must_use]
    pub fn also(mut self, network: IpNet) -> Self {
        self.also.push(network);
        self
    }

    /// Whether this address may be connected to, or what it is.
    pub fn permits(&self, address: IpAddr) -> Result<(), Why> {
        if self.also.iter().any(|it| it.contains(&address)) {
            return address::said(address);
        }
        address::resolved(address)?;
        // What cannot be found out is not public: a caller may have used up what it takes to look.
        if address::is_own(address).unwrap_or(true) { Err(Why::Loopback) } else { Ok(()) }
    }
}

/// Why a URL cannot be connected to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unreachable {
    /// Its name has no address.
    #[error("the name cannot be resolved")]
    Unresolved(#[source] io::Error),
    /// One of its addresses is not to be connected to.
    #[error("the name leads to {address}: {why}")]
    Address {
        /// Which.
        address: IpAddr,
        /// What it is.
        why: Why,
    },
}

/// A URL with the addresses that were judged. Only [`Url::resolve`] makes one.
///
/// ```
/// use std::net::IpAddr;
/// use stockade_kit::url::{Reach, Url};
///
/// let url = Url::parse("https://rebind.example/", &["https"])?;
/// let answer = |address: &str| {
///     let address: IpAddr = address.parse().unwrap();
///     url.resolve_with(&Reach::public(), |_, _| Ok(vec![address]))
/// };
/// assert_eq!(answer("9.9.9.9")?.addresses()[0].to_string(), "9.9.9.9:443");
/// assert!(answer("169.254.169.254").is_err());
/// assert!(answer("64:ff9b::a9fe:a9fe").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    url: Url,
    addresses: Vec<SocketAddr>,
}

impl Target {
    /// What is fetched.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The name, for the certificate and the `Host` header.
    pub fn host(&self) -> &str {
        self.url.host()
    }

    /// What may be connected to, and nothing else: for a library that takes addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A connection to the first of the addresses that answers, within `time` for all of them.
    /// Nothing is resolved again.
    pub fn connect(&self, time: Duration) -> io::Result<TcpStream> {
        let deadline = Instant::now() + time;
        let mut last = io::Error::from(io::ErrorKind::TimedOut);
        for address in &self.addresses {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(address, left) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The host, as it was written, without brackets and port.
fn written_host(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// The host, if what was written is what a browser reads.
fn one_spelling(written: &str, read: &Host<&str>) -> Result<String, Refusal> {
    match read {
        Host::Ipv4(address) => match address.to_string() {
            host if host == written => Ok(host),
            host => Err(Refusal::Disguised { host }),
        },
        // An address has many spellings here that hide nothing; `::ffff:127.0.0.1` is for the judge.
        Host::Ipv6(address) => Ok(address.to_string()),
        Host::Domain(name) => {
            let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '.' | '_');
            if name.ends_with('.') || name.starts_with('.') || !name.chars().all(is_plain) {
                return Err(Refusal::Host);
            }
            // Letters that became plain ones were there to be read as something else.
            let is_same = written.eq_ignore_ascii_case(name)
                || !written.is_ascii() && !written.contains('%') && is_carried_over(written, name);
            match is_same {
                true => Ok((*name).to_owned()),
                false => Err(Refusal::Disguised { host: (*name).to_owned() }),
            }
        }
    }
}

/// Whether each part of a name with letters of other scripts is in Punycode, and the others are as
/// they were written.
fn is_carried_over(written: &str, name: &str) -> bool {
    let (written, name) = (written.split('.'), name.split('.'));
    written.clone().count() == name.clone().count()
        && written.zip(name).all(|(before, after)| match before.is_ascii() {
            true => before.eq_ignore_ascii_case(after),
            false => after.starts_with("xn--"),
        })
}

/// Names that lead to this machine or to a network of one's own, or are meant to.
fn is_inner_name(name: &str) -> bool {
    let ends = |end: &str| name == end || name.ends_with(&format!(".{end}"));
    !name.contains('.') || INNER.iter().any(|it| ends(it))
}

/// RFC 6761, 6762, 7686, 8375 and 9476, and what networks use all the same.
const INNER: [&str; 15] = [
    "localhost",
    "localdomain",
    "local",
    "svc",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "alt",
    "onion",
    "invalid",
    "test",
];

/// Longer ones are for something else than to fetch.
const BYTES_MAX: usize = 8192;
/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpListener;

    const WEB: [&str; 2] = ["http", "https"];

    #[test]
    fn a_plain_url_is_read() {
        for (text, url, host, port) in [
            ("https://example.com", "https://example.com/", "example.com", 443),
            ("HTTP://EXAMPLE.com:80/A", "http://example.com/A", "example.com", 80),
            (
                "https://example.com:8443/a?b=c#d",
                "https://example.com:8443/a?b=c#d",
                "example.com",
                8443,
            ),
            (
                "https://example.com?u=http://a@b",
                "https://example.com/?u=http://a@b",
                "example.com",
                443,
            ),
            ("https://8.8.8.8/", "https://8.8.8.8/", "8.8.8.8", 443),
            ("https://[2606:4700::1]/", "https://[2606:4700::1]/", "2606:4700::1", 443),
            ("https://a_b.example.com/%20", "https://a_b.example.com/%20", "a_b.example.com", 443),
            (
                "https://bücher.example/",
                "https://xn--bcher-kva.example/",
                "xn--bcher-kva.example",
                443,
            ),
            ("https://例え.jp/", "https://xn--r8jz45g.jp/", "xn--r8jz45g.jp", 443),
        ] {
            let read = Url::parse(text, &WEB).unwrap_or_else(|it| panic!("{text}: {it}"));
            assert_eq!((read.as_str(), read.host(), read.port()), (url, host, port));
            assert_eq!(read.judge(), Ok(()), "{text}");
            // What comes out has the same reading.
            assert_eq!(Url::parse(read.as_str(), &WEB), Ok(read));
        }
        assert!(Url::parse("https://аpple.com/", &WEB).unwrap().is_international());
    }

    #[test]
    fn what_clients_read_differently_is_refused() {
        let inner = |host: &str| Refusal::Disguised { host: host.to_owned() };
        for (text, why) in [
            ("", Refusal::Form),
            ("example.com", Refusal::Form),
            ("//example.com", Refusal::Form),
            ("http:example.com", Refusal::Form),
            ("http:/example.com", Refusal::Form),
            ("http:///example.com", Refusal::Form),
            ("http://", Refusal::Form),
            ("http://:80/", Refusal::Form),
            ("http://?a", Refusal::Form),
            ("file:///etc/passwd", Refusal::Scheme("file".into())),
            ("FILE:///etc/passwd", Refusal::Scheme("file".into())),
            ("gopher://a.example/", Refusal::Scheme("gopher".into())),
            ("javascript:alert(1)", Refusal::Scheme("javascript".into())),
            ("data:text/html,a", Refusal::Scheme("data".into())),
            ("jar:http://a.example/!/", Refusal::Scheme("jar".into())),
            (" http://a.example/", Refusal::Character),
            ("ht\ntp://a.example/", Refusal::Character),
            ("http://a.example/\r\nHost: b", Refusal::Character),
            ("http://a.example\\@b.example/", Refusal::Character),
            ("http:\\\\a.example\\", Refusal::Character),
            ("http://a.example\t/", Refusal::Character),
            ("http://a.example\0/", Refusal::Character),
            ("http://a\u{a0}b.example/", Refusal::Character),
            ("http://user@a.example/", Refusal::User),
            ("http://a.example:80@b.example/", Refusal::User),
            ("http://a.example@127.0.0.1/", Refusal::User),
            ("http://@a.example/", Refusal::User),
            ("http://a.example:0/", Refusal::Port),
            ("http://a.example:99999/", Refusal::Form),
            ("http://a.example:a/", Refusal::Form),
            ("http://[::1/", Refusal::Form),
            ("http://[::1%25eth0]/", Refusal::Form),
            ("http://a.example./", Refusal::Host),
            ("http://localhost./", Refusal::Host),
            ("http://.a.example/", Refusal::Host),
            ("http://exa%6dple.com/", inner("example.com")),
            ("http://%6c%6f%63alhost/", inner("localhost")),
            ("http://ｅxample.com/", inner("example.com")),
            ("http://ⓔxample.com/", inner("example.com")),
            ("http://example\u{3002}com/", inner("example.com")),
            ("http://exam\u{ad}ple.com/", inner("example.com")),
            ("http://0x7f000001/", inner("127.0.0.1")),
            ("http://2130706433/", inner("127.0.0.1")),
            ("http://017700000001/", inner("127.0.0.1")),
            ("http://0177.0.0.1/", inner("127.0.0.1")),
            ("http://0x7f.0.0.0x1/", inner("127.0.0.1")),
            ("http://127.1/", inner("127.0.0.1")),
            ("http://127.0.1/", inner("127.0.0.1")),
            ("http://127.0.0.1./", inner("127.0.0.1")),
            ("http://127.0.0.01/", inner("127.0.0.1")),
            ("http://0/", inner("0.0.0.0")),
            ("http://①②⑦.0.0.1/", inner("127.0.0.1")),
            ("http://１２７.0.0.1/", inner("127.0.0.1")),
            ("http://127。0。0。1/", inner("127.0.0.1")),
            ("http://%31%32%37.0.0.1/", inner("127.0.0.1")),
            ("http://169.254.0xa9fe/", inner("169.254.169.254")),
            ("http://2852039166/", inner("169.254.169.254")),
            ("http://256.1.1.1/", Refusal::Form),
            ("http://1.2.3.4.5/", Refusal::Form),
        ] {
            assert_eq!(Url::parse(text, &WEB), Err(why), "{text:?}");
        }
        assert_eq!(
            Url::parse(&format!("http://a.example/{}", "a".repeat(9000)), &WEB),
            Err(Refusal::TooLong)
        );
        let long = format!("http://a.example/{}", "é".repeat(3000));
        assert_eq!(Url::parse(&long, &WEB), Err(Refusal::TooLong));
        assert_eq!(
            Url::parse("http://a.example/", &["https"]),
            Err(Refusal::Scheme("http".into()))
        );
        assert_eq!(Url::parse("http://a.example/", &[]), Err(Refusal::Scheme("http".into())));
    }

    #[test]
    fn a_host_that_is_not_public_is_judged_so() {
        use Why::*;
        for (text, why) in [
            ("http://127.0.0.1/", Loopback),
            ("http://127.255.0.1/", Loopback),
            ("http://0.0.0.0/", Unspecified),
            ("http://10.0.0.1/", Private),
            ("http://172.31.0.1/", Private),
            ("http://192.168.1.1/", Private),
            ("http://100.64.0.1/", Shared),
            ("http://169.254.169.254/latest/meta-data/", LinkLocal),
            ("http://100.100.100.200/", Metadata),
            ("http://168.63.129.16/", Metadata),
            ("http://224.0.0.1/", Multicast),
            ("http://255.255.255.255/", Broadcast),
            ("http://198.51.100.1/", Documentation),
            ("http://[::]/", Unspecified),
            ("http://[::1]/", Loopback),
            ("http://[0:0:0:0:0:0:0:1]/", Loopback),
            ("http://[::ffff:127.0.0.1]/", Embedded),
            ("http://[::ffff:7f00:1]/", Embedded),
            ("http://[::ffff:8.8.8.8]/", Embedded),
            ("http://[64:ff9b::7f00:1]/", Embedded),
            ("http://[64:ff9b::169.254.169.254]/", Embedded),
            ("http://[2002:7f00:1::]/", Embedded),
            ("http://[2001:0:7f00:1::]/", Embedded),
            ("http://[fd00:ec2::254]/", Metadata),
            ("http://[fd12::1]/", Private),
            ("http://[fe80::1]/", LinkLocal),
            ("http://[ff02::1]/", Multicast),
        ] {
            let url = Url::parse(text, &WEB).unwrap();
            assert_eq!(url.judge(), Err(Refusal::Address(why)), "{text}");
            assert!(url.resolve(&Reach::public()).is_err(), "{text}");
        }
        for name in [
            "localhost",
            "a.localhost",
            "intranet",
            "db.internal",
            "metadata.google.internal",
            "printer.local",
            "nas.lan",
            "a.home.arpa",
        ] {
            let url = Url::parse(&format!("http://{name}/"), &WEB).unwrap();
            assert_eq!(url.judge(), Err(Refusal::Name(name.to_owned())), "{name}");
        }
    }

    #[test]
    fn one_address_that_leads_inside_condemns_a_name() {
        let url = Url::parse("https://a.example/", &WEB).unwrap();
        let judge = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
            url.resolve_with(&Reach::public(), |_, _| Ok(addresses)).map(|it| it.addresses().len())
        };
        assert_eq!(judge(&["9.9.9.9", "2620:fe::fe"]).unwrap(), 2);
        assert!(matches!(
            judge(&["9.9.9.9", "10.0.0.1"]),
            Err(Unreachable::Address { why: Why::Private, .. })
        ));
        assert!(matches!(
            judge(&["::ffff:9.9.9.9"]),
            Err(Unreachable::Address { why: Why::Embedded, .. })
        ));
        assert!(matches!(judge(&[]), Err(Unreachable::Unresolved(_))));
    }

    #[test]
    fn what_an_operator_opens_is_open_and_no_more() {
        let reach = Reach::public()
            .also("10.1.0.0/16".parse().unwrap())
            .also("169.254.0.0/16".parse().unwrap());
        let permits = |text: &str| reach.permits(text.parse().unwrap());
        assert_eq!(permits("10.1.2.3"), Ok(()));
        assert_eq!(permits("10.2.0.1"), Err(Why::Private));
        assert_eq!(permits("169.254.169.254"), Err(Why::LinkLocal));
    }

    /// A name that answers differently each time is asked once, and connected to where it was
    /// judged.
    #[test]
    fn a_name_that_changes_its_mind_is_connected_to_where_it_was_judged() {
        let judged = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = judged.local_addr().unwrap().port();
        let later = TcpListener::bind(("127.0.0.2", port)).unwrap();
        later.set_nonblocking(true).unwrap();
        let mut answers = ["127.0.0.1", "127.0.0.2"].into_iter();
        let url = Url::parse(&format!("http://rebind.example:{port}/"), &WEB).unwrap();
        let reach = Reach::public().also("127.0.0.0/8".parse().unwrap());
        let target = url
            .resolve_with(&reach, |_, _| Ok(vec![answers.next().unwrap().parse().unwrap()]))
            .unwrap();
        for _ in 0..2 {
            let mut stream = target.connect(Duration::from_secs(5)).unwrap();
            let (mut heard, _) = judged.accept().unwrap();
            heard.write_all(b"judged").unwrap();
            drop(heard);
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "judged");
        }
        assert!(later.accept().is_err());
        assert_eq!(answers.next(), Some("127.0.0.2"), "asked once");
    }

    #[test]
    fn a_redirect_is_judged_like_the_first() {
        let url = Url::parse("https://a.example/x/y", &WEB).unwrap();
        let check = |location: &str, expected: Result<&str, Refusal>| {
            let next = url.redirect(location, &WEB);
            assert_eq!(
                next.as_ref().map(Url::as_str).map_err(Clone::clone),
                expected,
                "{location}"
            );
        };
        check("/z", Ok("https://a.example/z"));
        check("z?q", Ok("https://a.example/x/z?q"));
        check("//b.example/", Ok("https://b.example/"));
        check("https://b.example:8443/", Ok("https://b.example:8443/"));
        check("http://b.example/", Err(Refusal::Downgrade));
        check("file:///etc/passwd", Err(Refusal::Scheme("file".into())));
        check("//127.1/", Err(Refusal::Disguised { host: "127.0.0.1".into() }));
        check("https://a@b.example/", Err(Refusal::User));
        check("\\\\b.example", Err(Refusal::Character));
    }
}
