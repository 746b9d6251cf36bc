//! What a policy says about the arguments of tools, where what is thought of them is wrong or not
//! enough. Of several entries about one tool the stricter holds, as it does for rules about tools.

use std::net::IpAddr;

use ipnet::IpNet;
use stockade_kit::address;
use stockade_kit::query::Dialect;

use super::{Origin, Pattern};
use crate::argument::Kinds;

/// What statements a tool may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sql {
    /// Those that only read.
    Read,
    /// One at a time, that stays in its database.
    Write,
    /// Any.
    Any,
}

impl Sql {
    /// Every one, from the strictest on, by the names that a policy has for them.
    pub const ALL: &[(&str, Self)] =
        &[("read", Self::Read), ("write", Self::Write), ("any", Self::Any)];
}

/// What command lines a tool may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Commands {
    /// Those of programs that are known, with options that only read.
    Read,
    /// Those that start one program, and say which.
    Plain,
    /// Any.
    Any,
}

impl Commands {
    /// Every one, from the strictest on, by the names that a policy has for them.
    pub const ALL: &[(&str, Self)] =
        &[("read", Self::Read), ("plain", Self::Plain), ("any", Self::Any)];
}

/// The databases whose SQL is known, by the names that a policy has for them.
pub const DIALECTS: &[(&str, Dialect)] = &[
    ("sqlite", Dialect::Sqlite),
    ("postgres", Dialect::Postgres),
    ("mysql", Dialect::MySql),
    ("duckdb", Dialect::DuckDb),
    ("mssql", Dialect::MsSql),
    ("bigquery", Dialect::BigQuery),
    ("clickhouse", Dialect::ClickHouse),
    ("snowflake", Dialect::Snowflake),
    ("unknown", Dialect::Unknown),
];

/// An entry.
#[derive(Clone, Debug)]
pub struct InputRule {
    /// Where it was said.
    pub origin: Origin,
    /// About which servers.
    pub servers: Vec<Pattern>,
    /// About which of their tools.
    pub tools: Vec<Pattern>,
    /// What their arguments are, by name.
    pub kinds: Vec<(String, Kinds)>,
    /// What statements they may be given.
    pub sql: Option<Sql>,
    /// Whose SQL it is.
    pub dialect: Option<Dialect>,
    /// What command lines they may be given.
    pub commands: Option<Commands>,
    /// Whether arguments that the schema does not name are refused.
    pub strict: bool,
}

/// A host that URLs may name although it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permitted {
    who: Who,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Name(String),
    Below(String),
    Net(IpNet),
}

impl Permitted {
    /// Reads a name, `*.` and a name, an address or a network, with or without a port.
    ///
    /// # Errors
    /// Why it is none of these.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(net) = net(text) {
            return closed(net).map(|who| Self { who, port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().ok().filter(|it| *it != 0);
                (host, Some(port.ok_or("a port is a number from 1 to 65535")?))
            }
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        if let Some(net) = net(bare) {
            return closed(net).map(|who| Self { who, port });
        }
        let (is_below, name) = match host.strip_prefix("*.") {
            Some(it) => (true, it),
            None => (false, host),
        };
        let plain = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name, `*.` and a name, an address or a network is wanted");
        }
        let name = name.to_ascii_lowercase();
        Ok(Self { who: if is_below { Who::Below(name) } else { Who::Name(name) }, port })
    }

    fn fits(&self, host: &str, port: u16) -> bool {
        let address = || host.parse::<IpAddr>().ok();
        self.port.is_none_or(|it| it == port)
            && match &self.who {
                Who::Name(it) => it == host,
                Who::Below(it) => {
                    host.strip_suffix(it.as_str()).is_some_and(|rest| rest.ends_with('.'))
                }
                // What gives out credentials stays closed, whichever network it is in.
                Who::Net(net) => {
                    address().is_some_and(|it| net.contains(&it) && address::said(it).is_ok())
                }
            }
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn closed(net: IpNet) -> Result<Who, &'static str> {
    match address::said(net.addr()) {
        Err(_) if net.prefix_len() == net.max_prefix_len() => {
            Err("this address stays closed: it gives out credentials, or stands for others")
        }
        _ => Ok(Who::Net(net.trunc())),
    }
}

/// What a policy says about arguments.
#[derive(Clone, Debug, Default)]
pub struct InputRules {
    /// The entries.
    pub rules: Vec<InputRule>,
    /// Hosts that URLs may name although they are not public.
    pub hosts: Vec<Permitted>,
}

impl InputRules {
    /// What is said about a tool.
    pub fn about(&self, server: &str, tool: &str) -> Inputs<'_> {
        let fits = |it: &&InputRule| {
            it.servers.iter().any(|it| it.fits(server)) && it.tools.iter().any(|it| it.fits(tool))
        };
        Inputs { rules: self.rules.iter().filter(fits).collect(), hosts: &self.hosts }
    }
}

/// What a policy says about the arguments of one tool.
#[derive(Clone, Debug, Default)]
pub struct Inputs<'p> {
    rules: Vec<&'p InputRule>,
    hosts: &'p [Permitted],
}

/// Of a policy that says nothing.
pub static NOTHING: Inputs<'static> = Inputs { rules: Vec::new(), hosts: &[] };

impl Inputs<'_> {
    /// What an argument is. Where two entries differ, it is both.
    pub fn kinds(&self, name: &str) -> Option<Kinds> {
        let said = self.rules.iter().flat_map(|it| &it.kinds).filter(|(it, _)| it == name);
        said.map(|(_, kinds)| *kinds).reduce(Kinds::and)
    }

    /// What statements it may be given.
    pub fn sql(&self) -> Option<Sql> {
        self.rules.iter().filter_map(|it| it.sql).min()
    }

    /// Whose SQL it is. Where two entries differ, it is not known.
    pub fn dialect(&self) -> Option<Dialect> {
        let said = self.rules.iter().filter_map(|it| it.dialect);
        said.reduce(|a, b| if a == b { a } else { Dialect::Unknown })
    }

    /// What command lines it may be given.
    pub fn commands(&self) -> Option<Commands> {
        self.rules.iter().filter_map(|it| it.commands).min()
    }

    /// Whether arguments that the schema does not name are refused.
    pub fn is_strict(&self) -> bool {
        self.rules.iter().any(|it| it.strict)
    }

    /// Whether a URL may name this host although it is not public.
    pub fn permits(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|it| it.fits(host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_permitted_as_it_was_said() {
        for (said, host, port, is_permitted) in [
            ("localhost", "localhost", 3000, true),
            ("localhost:3000", "localhost", 3000, true),
            ("localhost:3000", "localhost", 80, false),
            ("*.corp.example", "a.corp.example", 80, true),
            ("*.corp.example", "corp.example", 80, false),
            ("*.corp.example", "evilcorp.example", 80, false),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.5:8080", "10.0.0.5", 80, false),
            ("[::1]:80", "::1", 80, true),
            ("0.0.0.0/0", "169.254.169.254", 80, false),
            ("0.0.0.0/0", "127.0.0.1", 80, true),
        ] {
            let hosts = [Permitted::parse(said).unwrap()];
            let inputs = Inputs { rules: Vec::new(), hosts: &hosts };
            assert_eq!(inputs.permits(host, port), is_permitted, "{said} {host}:{port}");
        }
        for wrong in ["", "*", "a b", "http://x", "x:0", "169.254.169.254", "*."] {
            assert!(Permitted::parse(wrong).is_err(), "{wrong}");
        }
    }
}
