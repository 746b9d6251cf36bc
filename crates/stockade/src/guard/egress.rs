//! The way out of a sandbox that has no network: whom a server may reach is decided here, outside of
//! it, and whoever it reaches is connected from here.
//!
//! The server has a loopback interface and nothing else. On it the sandbox has opened doors
//! ([`Doors`]), and this holds them. Three things come through:
//!
//! - questions about names (`dns`). Each listed name gets a made-up address of the loopback
//!   interface (`names`); no other name exists, and nobody outside is ever asked on behalf of the
//!   server;
//! - connections to a made-up address, from programs that know of no proxy;
//! - requests for a proxy: CONNECT and plain HTTP (`http`), and SOCKS5 (`socks`).
//!
//! All of them come to a [`Host`] and a port, and to `Way::connect`: compare with the list,
//! resolve once (`dial`), judge each address, write the decision down, dial that very address.
//! Then the first that is said decides whether it passes (`tunnel`): the name of a TLS handshake
//! or of each HTTP request must be the one that was asked for.

mod dial;
mod dns;
mod http;
mod idle;
mod names;
mod opening;
mod room;
mod socks;
#[cfg(test)]
mod tests;
mod tunnel;
mod witness;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use stockade_core::check::{clipped, visible};
use stockade_sandbox::network::{GATE_DNS, GATE_PROXY};
use stockade_sandbox::{Destination, Doors, Host, Network};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::dial::{Reach, System};
use self::idle::Noted;
use self::names::Names;
pub use self::room::Room;
use self::room::{Place, Share};
pub use self::witness::{Decision, Recorded, Shown, Witness};

/// So many connections of one server are open at once. Those to come wait. All servers together
/// have their [`Room`], and what is not in it is refused.
const CONNECTIONS_MAX: usize = 128;
/// How long a server may take to say whom it wants.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long an established connection may be silent.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// After a failure to take a connection, which is lack of something, the next is tried then.
const PAUSE: Duration = Duration::from_millis(100);
/// How it is said that there is no room.
const NO_ROOM: &str = "the guard holds as many connections as it can, or too many of this server";
/// What is kept of a text that a server calls a host.
const ASKED_CHARS_MAX: usize = 300;

/// The way out of one server. It ends, with every connection, when this is dropped.
#[derive(Debug)]
pub struct Egress {
    _tasks: JoinSet<()>,
}

impl Egress {
    /// Opens it, in the event loop of the caller. Each decision goes to `witness` before its effect.
    /// Of the `room` it takes what is its share.
    ///
    /// # Errors
    /// When the event loop does not take the sockets.
    pub fn open(
        doors: Doors,
        network: Network,
        witness: Arc<dyn Witness>,
        room: &Arc<Room>,
    ) -> io::Result<Self> {
        let names = Names::new(&network);
        let way = Arc::new(Way { network, names, witness, reach: Arc::new(System) });
        let names = UdpSocket::from_std(doors.names)?;
        let listeners = doors.connections.into_iter().map(TcpListener::from_std);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let (own, share) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), room.share());
        let mut tasks = JoinSet::new();
        tasks.spawn(dns::serve(names, Arc::clone(&way)));
        for listener in listeners {
            let (way, own, share) = (Arc::clone(&way), Arc::clone(&own), Arc::clone(&share));
            tasks.spawn(listen(listener, way, own, share));
        }
        Ok(Self { _tasks: tasks })
    }
}

/// Takes the connections of one door. A failure to take one is lack of something, which passes.
async fn listen(listener: TcpListener, way: Arc<Way>, own: Arc<Semaphore>, share: Arc<Share>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&own).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let Some(place) = share.take() else {
            turn_away(&stream, &way);
            continue;
        };
        let way = Arc::clone(&way);
        connections.spawn(async move {
            let _both: (_, Place) = (permit, place);
            serve(stream, &way).await;
        });
    }
}

/// Ends a connection that there is no room for: nothing is read of it, which would take time and
/// with it a descriptor.
fn turn_away(stream: &TcpStream, way: &Way) {
    let Ok(SocketAddr::V4(at)) = stream.local_addr() else { return };
    let asked = match at {
        GATE_DNS | GATE_PROXY => at.to_string(),
        _ => format!("{}:{}", way.names.meant(&Host::Address((*at.ip()).into())), at.port()),
    };
    way.refuse(&asked, None, NO_ROOM);
    let _harder = stream.set_zero_linger();
}

async fn serve(stream: TcpStream, way: &Arc<Way>) {
    let Ok(SocketAddr::V4(at)) = stream.local_addr() else { return };
    let _faster = stream.set_nodelay(true);
    let asks = if at == GATE_DNS {
        Asks::Name
    } else if at == GATE_PROXY {
        let mut first = [0; 1];
        match timeout(REQUEST_MAX, stream.peek(&mut first)).await {
            Ok(Ok(1..)) if first == [socks::VERSION] => Asks::Socks,
            Ok(Ok(1..)) => Asks::Http,
            Ok(Ok(0) | Err(_)) | Err(_) => return,
        }
    } else if let Ok(reached) = way.connect(&Host::Address((*at.ip()).into()), at.port()).await {
        Asks::Nothing(Box::new(reached))
    } else {
        // The program was told by the kernel that it is connected. Now it is told otherwise, so
        // that it does not look like an answer that is empty.
        let _harder = stream.set_zero_linger();
        return;
    };
    let (stream, last) = Noted::new(stream);
    let served = async {
        match asks {
            Asks::Name => dns::serve_stream(stream, way).await,
            Asks::Socks => socks::serve(stream, way).await,
            Asks::Http => http::serve(stream, way).await,
            Asks::Nothing(reached) => tunnel::pass(way, stream, *reached).await,
        }
    };
    tokio::select! {
        () = served => {}
        () = last.ago(IDLE_MAX) => {}
    }
}

/// What a connection asks for.
enum Asks {
    Name,
    Socks,
    Http,
    /// It is connected to whom it wants already.
    Nothing(Box<Reached>),
}

/// What all connections of one server share.
#[derive(Debug)]
struct Way {
    network: Network,
    names: Names,
    witness: Arc<dyn Witness>,
    reach: Arc<dyn Reach>,
}

/// A destination that a server is connected to, and under which name it asked.
#[derive(Debug)]
struct Reached {
    host: Host,
    port: u16,
    stream: TcpStream,
}

/// Why a server is not connected. It is told no more than this.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    /// It may not be.
    Forbidden(String),
    /// It may be, and nobody answers.
    Unreachable(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(why) | Self::Unreachable(why) => out.write_str(why),
        }
    }
}

impl Way {
    /// Connects to a host, by its name, its address, or the made-up address of its name.
    async fn connect(&self, host: &Host, port: u16) -> Result<Reached, Refused> {
        let host = self.names.meant(host);
        let asked = format!("{host}:{port}");
        let Some(listed) = self.network.find(&host, port) else {
            let why = match self.network.knows(&host) {
                true => "this port is not on the list of the sandbox",
                false => "it is not on the list of the sandbox",
            };
            return Err(self.refuse(&asked, None, why));
        };
        let mut last = None;
        for address in self.addresses(&host, listed, &asked).await? {
            self.write(&asked, Some(address), true, "")?;
            match self.reach.dial(SocketAddr::new(address, port)).await {
                Ok(stream) => {
                    let _faster = stream.set_nodelay(true);
                    return Ok(Reached { host, port, stream });
                }
                Err(error) => last = Some(error),
            }
        }
        let why = last.map(|it| format!(": {it}")).unwrap_or_default();
        Err(Refused::Unreachable(format!("cannot connect to {asked}{why}")))
    }

    /// What may be dialled for a host: what the operator said, or each address that the name has now
    /// and that a name may have.
    async fn addresses(
        &self,
        host: &Host,
        listed: &Destination,
        asked: &str,
    ) -> Result<Vec<IpAddr>, Refused> {
        let name = match (listed.pinned().or(listed.address()), host) {
            (Some(address), _) => return Ok(vec![address]),
            (None, Host::Address(address)) => return Ok(vec![*address]),
            (None, Host::Name(name)) => name,
        };
        let resolved = self
            .reach
            .resolve(name)
            .await
            .map_err(|error| Refused::Unreachable(format!("cannot resolve {name}: {error}")))?;
        let judged = resolved.iter().map(|it| (*it, dial::judge(&*self.reach, *it)));
        let (fine, bad): (Vec<_>, Vec<_>) = judged.partition(|(_, why)| why.is_ok());
        match (fine.is_empty(), bad.first()) {
            (true, Some((address, Err(why)))) => {
                Err(self.refuse(asked, Some(*address), &format!("its address may not be: {why}")))
            }
            (true, _) => Err(Refused::Unreachable(format!("{name} has no address"))),
            (false, _) => Ok(fine.into_iter().map(|it| it.0).take(dial::ADDRESSES_MAX).collect()),
        }
    }

    /// Reads what a server calls a host and a port.
    fn parse(&self, text: &str) -> Result<(Host, u16), Refused> {
        Host::parse_with_port(text).map_err(|error| self.refuse(text, None, &error.to_string()))
    }

    /// Writes down that something does not pass.
    fn refuse(&self, asked: &str, address: Option<IpAddr>, why: &str) -> Refused {
        // It does not pass either way.
        let _written = self.write(asked, address, false, why);
        Refused::Forbidden(format!("{}: {why}", shortened(asked)))
    }

    fn write(
        &self,
        asked: &str,
        address: Option<IpAddr>,
        allowed: bool,
        why: &str,
    ) -> Result<(), Refused> {
        let why = visible(why);
        let it = Decision { destination: &shortened(asked), address, allowed, why: &why };
        let said = "the decision cannot be written down";
        self.witness.write(&it).map_err(|_| Refused::Forbidden(said.to_owned()))
    }
}

/// A text of the server's, for people.
fn shortened(asked: &str) -> String {
    visible(&clipped(asked, ASKED_CHARS_MAX))
}
