//! Whom a server may reach, as plain data: names and addresses, each with a port. Nothing here
//! resolves or connects; what does is outside of the sandbox, and asks this list.
//!
//! A host is read once, into a type with one spelling for each host, and compared in that type
//! only. What can be read in two ways (`0x7f000001`, `127.1`, `a@b`, `exa%6dple.com`) is no host.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use stockade_kit::address::{self, Why};

/// Where a destination has no port.
const PORT_DEFAULT: u16 = 443;

/// Each port is a socket whose descriptor goes to the guard, in one message with all the others.
const PORTS_MAX: usize = 32;

/// So many destinations can be named; each is compared with whatever a server asks for.
const DESTINATIONS_MAX: usize = 1024;

/// The longest name, and the longest part of one (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Where the guard answers a server: names, and requests for a proxy. It is an address of the
/// server's own loopback interface.
pub const GATE: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);
/// The port of names.
pub const GATE_DNS: SocketAddrV4 = SocketAddrV4::new(GATE, 53);
/// The port of the proxy.
pub const GATE_PROXY: SocketAddrV4 = SocketAddrV4::new(GATE, 1080);

/// The first of the addresses that stand for names, all of the server's loopback interface. They look
/// like anybody's: servers that are careful themselves connect to none of this machine or a private
/// network (the reference server `fetch`), and would refuse a name that has one. Whoever has them
/// outside is never reached by them.
pub const MADE_UP: Ipv4Addr = Ipv4Addr::new(11, 64, 0, 0);
/// Which bits they have in common.
pub(crate) const MADE_UP_MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 192, 0);

/// Whether an address is the guard's: the gate, or one that stands for a name.
pub(crate) fn is_made_up(address: Ipv4Addr) -> bool {
    address == GATE || address.to_bits() & MADE_UP_MASK.to_bits() == MADE_UP.to_bits()
}

/// Whom a server may reach. Nobody, if nobody is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network(Vec<Destination>);

/// A host and a port that a server may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    whom: Whom,
    port: u16,
    pinned: Option<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Host(Host),
    /// Every name that ends with a dot and this one.
    Below(String),
}

/// A host, in the one spelling that it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// In lower case, in the ASCII form of IDNA, without a dot at the end.
    Name(String),
    /// As an address, of four or of sixteen bytes.
    Address(IpAddr),
}

/// What is not a host, a port or a destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDestination {
    /// It is no host.
    #[error("`{text}` is no host: {why}")]
    Host {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is no port.
    #[error("`{text}` is no port")]
    Port {
        /// What was given.
        text: String,
    },
    /// It is no address.
    #[error("`{text}` is no address, such as 10.0.0.5")]
    Address {
        /// What was given.
        text: String,
    },
    /// It is an address that nothing may be sent to, whoever says so.
    #[error("`{address}` is never reached: {why}")]
    Never {
        /// The address.
        address: IpAddr,
        /// What it is.
        why: Why,
    },
    /// Two entries send the same name to different addresses.
    #[error("`{destination}` is there twice, with different addresses")]
    Twice {
        /// The destination, without an address.
        destination: String,
    },
    /// There are more than can be listened for.
    #[error("no more than {PORTS_MAX} different ports and {DESTINATIONS_MAX} destinations")]
    TooMany,
}

impl Host {
    /// Reads a host. An address of sixteen bytes may stand in brackets.
    pub fn parse(text: &str) -> Result<Self, NoDestination> {
        let no = |why| NoDestination::Host { text: text.to_owned(), why };
        let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return match (bare, address) {
                (Some(_), IpAddr::V4(_)) => Err(no("only IPv6 stands in brackets")),
                (_, address) => Ok(Self::Address(address)),
            };
        }
        if text.len() > 4 * NAME_BYTES_MAX {
            return Err(no("it is too long"));
        }
        // The parser of URLs would read what is behind the sign as another spelling of a name.
        if text.contains('%') {
            return Err(no("it holds a `%`"));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Self::name(name).map_err(no),
            // Hexadecimal, octal, short: a browser takes it for an address, others for a name.
            Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => {
                Err(no("write an address in full, as in 192.0.2.1 or [2001:db8::1]"))
            }
            Err(_) => Err(no("it is neither a name nor an address")),
        }
    }

    fn name(name: String) -> Result<Self, &'static str> {
        if name.len() > NAME_BYTES_MAX {
            return Err("it is too long");
        }
        let is_label = |it: &str| {
            let plain = |it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
            !it.is_empty() && it.len() <= LABEL_BYTES_MAX && it.bytes().all(plain)
        };
        if !name.split('.').all(is_label) {
            return Err("names are made of letters, digits, hyphens and dots");
        }
        Ok(Self::Name(name))
    }

    /// Reads a host and a port, as a request for a proxy has them: `example.com:443`,
    /// `[2001:db8::1]:443`.
    pub fn parse_with_port(text: &str) -> Result<(Self, u16), NoDestination> {
        let no_port = || NoDestination::Port { text: text.to_owned() };
        let (host, digits) = text.rsplit_once(':').ok_or_else(no_port)?;
        Ok((Self::parse_bracketed(host)?, port(digits)?))
    }

    /// Without brackets, the colons of an address could be that before a port.
    fn parse_bracketed(text: &str) -> Result<Self, NoDestination> {
        if text.contains(':') && !text.starts_with('[') {
            let why = "an IPv6 address stands in brackets";
            return Err(NoDestination::Host { text: text.to_owned(), why });
        }
        Self::parse(text)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(out),
            Self::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

/// A port, in digits and nothing else: `+443` is none.
fn port(digits: &str) -> Result<u16, NoDestination> {
    let plain = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    let port = digits.parse().ok().filter(|it| plain && *it != 0);
    port.ok_or_else(|| NoDestination::Port { text: digits.to_owned() })
}

impl Destination {
    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that stands for the name, if one was given with it.
    pub fn pinned(&self) -> Option<IpAddr> {
        self.pinned
    }

    /// The address that is named, where it is an address and not a name.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.whom {
            Whom::Host(Host::Address(address)) => Some(*address),
            Whom::Host(Host::Name(_)) | Whom::Below(_) => None,
        }
    }

    /// The name, where it is one and not an address or many names.
    pub fn name(&self) -> Option<&str> {
        match &self.whom {
            Whom::Host(Host::Name(name)) => Some(name),
            Whom::Host(Host::Address(_)) | Whom::Below(_) => None,
        }
    }

    fn is_of(&self, host: &Host) -> bool {
        match (&self.whom, host) {
            (Whom::Host(it), host) => it == host,
            (Whom::Below(name), Host::Name(host)) => {
                host.strip_suffix(name.as_str()).is_some_and(|it| it.ends_with('.'))
            }
            (Whom::Below(_), Host::Address(_)) => false,
        }
    }
}

impl FromStr for Destination {
    type Err = NoDestination;

    /// Reads `HOST[:PORT][=ADDRESS]`. A host is a name, `*.` and a name, or an address.
    fn from_str(text: &str) -> Result<Self, NoDestination> {
        if text == "none" {
            let why = "`none` stands alone, and means nobody";
            return Err(NoDestination::Host { text: text.to_owned(), why });
        }
        let (place, pinned) = match text.split_once('=') {
            Some((place, address)) => (place, Some(address)),
            None => (text, None),
        };
        // A colon inside of brackets belongs to the address.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => (host, port(digits)?),
            _ => (place, PORT_DEFAULT),
        };
        let no = |why| NoDestination::Host { text: host.to_owned(), why };
        let whom = match host.strip_prefix("*.") {
            None => Whom::Host(Host::parse_bracketed(host)?),
            Some(below) => match Host::parse(below)? {
                Host::Name(name) if name.contains('.') => Whom::Below(name),
                Host::Name(_) => return Err(no("`*.` wants a name of two parts or more")),
                Host::Address(_) => return Err(no("`*.` wants a name")),
            },
        };
        let pinned = pinned.map(|it| {
            let bare = it.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(it);
            let address = bare.parse::<IpAddr>();
            address.map_err(|_| NoDestination::Address { text: it.to_owned() })
        });
        let it = Self { whom, port, pinned: pinned.transpose()? };
        if it.address().is_some() && it.pinned.is_some() {
            return Err(no("it is an address itself, so none can stand for it"));
        }
        if let Some(address) = it.address().or(it.pinned) {
            address::said(address).map_err(|why| NoDestination::Never { address, why })?;
        }
        Ok(it)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Host(host) => write!(out, "{host}:{}", self.port)?,
            Whom::Below(name) => write!(out, "*.{name}:{}", self.port)?,
        }
        match self.pinned {
            Some(address) => write!(out, "={address}"),
            None => Ok(()),
        }
    }
}

impl Network {
    /// These destinations, and no other.
    pub fn new(all: impl IntoIterator<Item = Destination>) -> Result<Self, NoDestination> {
        let mut kept: Vec<Destination> = Vec::new();
        for it in all {
            match kept.iter().find(|other| other.whom == it.whom && other.port == it.port) {
                Some(other) if *other == it => continue,
                Some(_) => {
                    let destination = Destination { pinned: None, ..it }.to_string();
                    return Err(NoDestination::Twice { destination });
                }
                None => kept.push(it),
            }
            if kept.len() > DESTINATIONS_MAX {
                return Err(NoDestination::TooMany);
            }
        }
        let network = Self(kept);
        if network.ports().len() > PORTS_MAX {
            return Err(NoDestination::TooMany);
        }
        Ok(network)
    }

    /// Whether nobody can be reached.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is reached, in the order in which it was named.
    pub fn destinations(&self) -> &[Destination] {
        &self.0
    }

    /// What was said about this host and port: by its name, or else by the longest `*.`.
    pub fn find(&self, host: &Host, port: u16) -> Option<&Destination> {
        let fitting = self.0.iter().filter(|it| it.port == port && it.is_of(host));
        fitting.max_by_key(|it| match &it.whom {
            Whom::Host(_) => usize::MAX,
            Whom::Below(name) => name.len(),
        })
    }

    /// Whether something was said about this host, at whatever port.
    pub fn knows(&self, host: &Host) -> bool {
        self.0.iter().any(|it| it.is_of(host))
    }

    /// The ports of all destinations.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.0.iter().map(|it| it.port).collect()
    }

    /// What tells a program in the sandbox where the proxy is. `ALL_PROXY` is the same kind of
    /// proxy: where it is SOCKS, Python's libraries want a package that is rarely there.
    pub fn variables(&self) -> Vec<(String, String)> {
        if self.is_empty() {
            return Vec::new();
        }
        let proxy = format!("http://{GATE_PROXY}");
        let own = "localhost,127.0.0.1,::1".to_owned();
        let all = [
            ("HTTP_PROXY", &proxy),
            ("HTTPS_PROXY", &proxy),
            ("ALL_PROXY", &proxy),
            ("NO_PROXY", &own),
        ];
        let both = all.into_iter().flat_map(|(name, value)| {
            [(name.to_owned(), value.clone()), (name.to_ascii_lowercase(), value.clone())]
        });
        both.collect()
    }
}

impl FromStr for Network {
    type Err = NoDestination;

    /// Reads destinations between commas, or `none`.
    fn from_str(text: &str) -> Result<Self, NoDestination> {
        if text == "none" {
            return Ok(Self::default());
        }
        let all = text.split(',').map(|it| it.trim().parse());
        Self::new(all.collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("none");
        }
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests;
