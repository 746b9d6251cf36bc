//! SOCKS5 (RFC 1928): connecting, without a password. The other two commands, which listen and which
//! send datagrams, do not exist here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use stockade_sandbox::Host;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::tunnel::{self, Stream};
use super::{REQUEST_MAX, Refused, Way};

/// What a client begins with.
pub(super) const VERSION: u8 = 5;

const NO_PASSWORD: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// How it is said what became of a request.
#[derive(Clone, Copy)]
enum Reply {
    Connected = 0,
    NotAllowed = 2,
    Unreachable = 4,
    NoSuchCommand = 7,
    NoSuchAddress = 8,
}

pub(super) async fn serve(mut stream: impl Stream, way: &Arc<Way>) {
    let asked = timeout(REQUEST_MAX, asked(&mut stream, way)).await;
    let Ok(Ok(asked)) = asked else { return };
    let connected = match asked {
        Ok((host, port)) => way.connect(&host, port).await.map_err(|it| match it {
            Refused::Forbidden(_) => Reply::NotAllowed,
            Refused::Unreachable(_) => Reply::Unreachable,
        }),
        Err(reply) => Err(reply),
    };
    let reply = connected.as_ref().map_or_else(|it| *it, |_| Reply::Connected);
    if say(&mut stream, reply).await.is_ok()
        && let Ok(reached) = connected
    {
        tunnel::pass(way, stream, reached).await;
    }
}

/// Whom a client wants, or what it is told instead.
async fn asked(stream: &mut impl Stream, way: &Way) -> io::Result<Result<(Host, u16), Reply>> {
    let garbled = || io::Error::from(io::ErrorKind::InvalidData);
    if stream.read_u8().await? != VERSION {
        return Err(garbled());
    }
    let methods = some(stream).await?;
    if !methods.contains(&NO_PASSWORD) {
        stream.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(garbled());
    }
    stream.write_all(&[VERSION, NO_PASSWORD]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [VERSION, command, 0, kind] = head else { return Err(garbled()) };
    let host = match kind {
        1 => Ok(Host::Address(IpAddr::V4(Ipv4Addr::from_bits(stream.read_u32().await?)))),
        4 => Ok(Host::Address(IpAddr::V6(Ipv6Addr::from_bits(stream.read_u128().await?)))),
        3 => {
            let name = some(stream).await?;
            // What is no text is no name.
            let name = String::from_utf8_lossy(&name).into_owned();
            Host::parse(&name).map_err(|error| {
                way.refuse(&name, None, &error.to_string());
                Reply::NotAllowed
            })
        }
        _ => return Ok(Err(Reply::NoSuchAddress)),
    };
    let port = stream.read_u16().await?;
    Ok(match command {
        CONNECT => host.map(|it| (it, port)),
        _ => Err(Reply::NoSuchCommand),
    })
}

/// As many bytes as the first says.
async fn some(stream: &mut impl Stream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The address that stands in a reply is nobody's business.
async fn say(stream: &mut impl Stream, reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}
