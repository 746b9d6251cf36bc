//! Syslog: an alert as one message of RFC 5424, to a socket of this machine, by UDP (RFC 5426), or by
//! TCP (RFC 6587) or TLS (RFC 5425), where its length stands before it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use tokio::time::timeout;

use super::super::Alert;
use crate::tls::Tls;

/// Where a syslog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A socket of this machine.
    Socket(PathBuf),
    /// A host and a port.
    Udp(String),
    /// The same, with a connection.
    Tcp(String),
    /// And with one that nobody else reads.
    Tls(String),
}

impl SyslogAddress {
    /// Reads `/PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT` or `tls://HOST:PORT`.
    ///
    /// # Errors
    /// What is wanted in place of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "`/dev/log`, or `udp`, `tcp` or `tls` with `://HOST:PORT` is wanted";
        if text.starts_with('/') && !text.contains('\0') {
            return Ok(Self::Socket(PathBuf::from(text)));
        }
        let (scheme, place) = text.split_once("://").ok_or(WANTED)?;
        let authority: http::uri::Authority = place.parse().map_err(|_| WANTED)?;
        if authority.port_u16().is_none() || authority.host().is_empty() || place.contains('@') {
            return Err(WANTED);
        }
        match scheme {
            "udp" => Ok(Self::Udp(place.to_owned())),
            "tcp" => Ok(Self::Tcp(place.to_owned())),
            "tls" => Ok(Self::Tls(place.to_owned())),
            _ => Err(WANTED),
        }
    }

    /// Sends an alert there.
    pub(super) async fn send(&self, alert: &Alert) -> io::Result<()> {
        let message = message(alert, &host(), std::process::id());
        match self {
            Self::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => socket.send(message.as_bytes()).await.map(drop),
                    // It may be one of a connection, in which a message ends with its line.
                    Err(error) if error.raw_os_error() == Some(WRONG_TYPE) => {
                        let mut stream = UnixStream::connect(path).await?;
                        stream.write_all(format!("{message}\n").as_bytes()).await?;
                        stream.shutdown().await
                    }
                    Err(error) => Err(error),
                }
            }
            Self::Udp(place) => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in tokio::net::lookup_host(place).await? {
                    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    let socket = UdpSocket::bind(own).await?;
                    match socket.send_to(message.as_bytes(), address).await {
                        Ok(_) => return Ok(()),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Self::Tcp(place) => {
                let mut stream = TcpStream::connect(place).await?;
                stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
                stream.shutdown().await
            }
            Self::Tls(place) => {
                let tls = Tls::new(None).map_err(io::Error::other)?;
                let mut stream = tls.connect(place).await?;
                stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
                stream.shutdown().await?;
                // A connection that is left with something unread in it is reset, and what was sent
                // may be lost with it. Whether the other side says that it has ended is its own.
                let mut unread = Vec::new();
                let mut rest = stream.take(UNREAD_BYTES_MAX);
                let _ended = timeout(END, rest.read_to_end(&mut unread)).await;
                Ok(())
            }
        }
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Udp(place) => write!(f, "udp://{place}"),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
            Self::Tls(place) => write!(f, "tls://{place}"),
        }
    }
}

/// What the kernel says of a socket that is of another type (`EPROTOTYPE`).
pub(crate) const WRONG_TYPE: i32 = rustix::io::Errno::PROTOTYPE.raw_os_error();

/// How long the other side has to end a connection, and how much it may say by that.
const END: Duration = Duration::from_secs(2);
const UNREAD_BYTES_MAX: u64 = 64 << 10;

/// Messages about security, which not everybody reads.
pub(crate) const AUTHPRIV: u8 = 10;
const CRITICAL: u8 = 2;
const WARNING: u8 = 4;

/// Whose names those of the data are. The number is the one that is set aside for who has none
/// (RFC 5612).
pub(crate) const DATA_ID: &str = "stockade@32473";

fn message(alert: &Alert, host: &str, pid: u32) -> String {
    let severity = if alert.kind.is_urgent() { CRITICAL } else { WARNING };
    let seq = alert.record.as_ref().map(|it| it.seq.to_string());
    let times = alert.times.map(|it| it.to_string());
    let data = [
        ("kind", Some(alert.kind.name())),
        ("server", Some(&*alert.server)),
        ("subject", Some(&*alert.subject)),
        ("tool", alert.tool.as_deref()),
        ("rule", alert.rule.as_deref()),
        ("times", times.as_deref()),
        ("principal", Some(&*alert.principal)),
        ("session", Some(&*alert.session)),
        ("call", Some(&*alert.call)),
        ("seq", seq.as_deref()),
        ("hash", alert.record.as_ref().map(|it| &*it.hash)),
    ];
    let data = data.into_iter().filter_map(|(name, it)| Some((name, it?)));
    let data = data.filter(|(_, it)| !it.is_empty());
    let data: String = data.map(|(name, it)| format!(" {name}=\"{}\"", escaped(it))).collect();
    format!(
        "<{}>1 {} {host} stockade {pid} {} [{DATA_ID}{data}] \u{feff}{}: {}",
        AUTHPRIV * 8 + severity,
        alert.at,
        alert.kind.name(),
        alert.server,
        alert.says
    )
}

/// A value of structured data (RFC 5424, 6.3.3).
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

/// The name of this machine; `-` is nothing.
pub(crate) fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_printable = |it: &char| it.is_ascii_graphic();
    let name: String = name.chars().filter(is_printable).take(255).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::{Kind, Only, Place};

    fn alert() -> Alert {
        Alert {
            kind: Kind::Canary,
            server: "files".to_owned(),
            subject: "x".to_owned(),
            says: "a request of the tool `x` has a canary in it, and was refused".to_owned(),
            at: "2026-11-30T02:30:00.000Z".to_owned(),
            times: None,
            tool: Some("a\"b]c\\d".to_owned()),
            rule: None,
            principal: "local".to_owned(),
            session: String::new(),
            call: "s1-1".to_owned(),
            record: Some(Place { seq: 7, hash: "ab".to_owned() }),
            only: Only::Anew,
        }
    }

    #[test]
    fn an_alert_is_one_message_of_rfc_5424() {
        let data = r#"[stockade@32473 kind="canary" server="files" subject="x" tool="a\"b\]c\\d" principal="local" call="s1-1" seq="7" hash="ab"]"#;
        let says = "files: a request of the tool `x` has a canary in it, and was refused";
        let wanted =
            format!("<82>1 2026-11-30T02:30:00.000Z host stockade 42 canary {data} \u{feff}{says}");
        assert_eq!(message(&alert(), "host", 42), wanted);
        let host = host();
        assert!(!host.is_empty() && !host.contains(' '), "{host}");
    }

    #[test]
    fn an_address_is_a_socket_or_a_host_with_a_port() {
        for text in [
            "/dev/log",
            "udp://127.0.0.1:514",
            "tcp://logs.example:6514",
            "tls://logs.example:6514",
            "udp://[::1]:5",
        ] {
            assert_eq!(SyslogAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "dev/log", "udp://host", "tls://host", "host:1", "udp://a@b:1", "tcp://:1"]
        {
            assert!(SyslogAddress::parse(text).is_err(), "{text}");
        }
    }
}
