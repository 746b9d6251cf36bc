//! What asks the machine: resolves a name, says whether an address is this machine's own, and
//! connects. Everything else only compares.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use stockade_kit::address;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// So many addresses of a name are tried.
pub(super) const ADDRESSES_MAX: usize = 4;
/// So many addresses of a name are looked at.
const RESOLVED_MAX: usize = 64;
const RESOLVE_MAX: Duration = Duration::from_secs(10);
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Something that is waited for.
pub(super) type Waited<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The machine, as far as connections go.
pub(super) trait Reach: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Waited<'a, Vec<IpAddr>>;
    /// Whether something that is sent to this address stays on this machine.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn is_own(&self, address: IpAddr) -> io::Result<bool>;
    /// Connects to exactly this address.
    fn dial(&self, address: SocketAddr) -> Waited<'_, TcpStream>;
}

/// Whether an address that a name resolved to may be dialled, or what it is.
pub(super) fn judge(reach: &dyn Reach, address: IpAddr) -> Result<(), String> {
    address::resolved(address).map_err(|it| format!("{address}: {it}"))?;
    // A public address of this machine leads to what listens here, past what guards it outside.
    match reach.is_own(address) {
        Ok(true) => Err(format!("{address}: {}", address::Why::Loopback)),
        Ok(false) => Ok(()),
        // A server can use up what it takes to look.
        Err(error) => Err(format!("{address}: nobody knows whose it is: {error}")),
    }
}

/// This machine.
#[derive(Debug)]
pub(super) struct System;

impl Reach for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Waited<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let found = timeout(RESOLVE_MAX, tokio::net::lookup_host((name, 0))).await;
            let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(found.map(|it| it.ip()).take(RESOLVED_MAX).collect())
        })
    }

    fn is_own(&self, address: IpAddr) -> io::Result<bool> {
        address::is_own(address)
    }

    fn dial(&self, address: SocketAddr) -> Waited<'_, TcpStream> {
        Box::pin(async move {
            let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
            connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        })
    }
}
