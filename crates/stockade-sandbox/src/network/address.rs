//! Which addresses may be connected to. Two questions: may one that a *name resolved to* be, which
//! only a public one may; and may one that the *operator wrote* be, who can mean a machine of their
//! own network, but never what is below.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an address is, of one that is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is no address of a machine.
    Unspecified,
    /// This machine itself.
    Loopback,
    /// A network of one's own.
    Private,
    /// Between a provider and its customers.
    Shared,
    /// This network segment. Clouds give out credentials there.
    LinkLocal,
    /// A cloud tells its machines about themselves there, and gives out credentials.
    Metadata,
    /// Many machines.
    Multicast,
    /// All machines.
    Broadcast,
    /// For books.
    Documentation,
    /// For tests between networks.
    Benchmarks,
    /// Another address in disguise: what is connected to is decided by whoever translates it.
    Embedded,
    /// Nobody's, or not for connections.
    Reserved,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Unspecified => "it is no machine's address",
            Self::Loopback => "it is this machine itself",
            Self::Private => "it is in a private network",
            Self::Shared => "it is in a provider's own network",
            Self::LinkLocal => "it is link-local",
            Self::Metadata => "it gives out credentials of a cloud",
            Self::Multicast => "it is many machines",
            Self::Broadcast => "it is all machines",
            Self::Documentation => "it is for documentation",
            Self::Benchmarks => "it is for benchmarks",
            Self::Embedded => "it is another address in disguise",
            Self::Reserved => "it is reserved",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(head: [u16; 3], tail: [u16; 2], prefix: u8) -> IpNet {
    let address = std::net::Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, tail[0], tail[1]);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

/// From IANA's registries of special addresses, and the few that clouds use. The first that fits
/// says what it is, so what is more exact comes first.
const SPECIAL: &[(IpNet, Why)] = &[
    // Amazon, Google, Microsoft, Alibaba and Oracle. Those that are link-local are below.
    (v4(100, 100, 100, 200, 32), Why::Metadata),
    (v4(168, 63, 129, 16, 32), Why::Metadata),
    (v4(192, 0, 0, 192, 32), Why::Metadata),
    (v6([0xfd00, 0xec2, 0], [0, 0x254], 128), Why::Metadata),
    (v6([0xfd20, 0xce, 0], [0, 0x254], 128), Why::Metadata),
    (v4(0, 0, 0, 0, 8), Why::Unspecified),
    (v4(10, 0, 0, 0, 8), Why::Private),
    (v4(100, 64, 0, 0, 10), Why::Shared),
    (v4(127, 0, 0, 0, 8), Why::Loopback),
    (v4(169, 254, 0, 0, 16), Why::LinkLocal),
    (v4(172, 16, 0, 0, 12), Why::Private),
    (v4(192, 0, 0, 0, 24), Why::Reserved),
    (v4(192, 0, 2, 0, 24), Why::Documentation),
    (v4(192, 31, 196, 0, 24), Why::Reserved),
    (v4(192, 52, 193, 0, 24), Why::Reserved),
    (v4(192, 88, 99, 0, 24), Why::Embedded),
    (v4(192, 168, 0, 0, 16), Why::Private),
    (v4(192, 175, 48, 0, 24), Why::Reserved),
    (v4(198, 18, 0, 0, 15), Why::Benchmarks),
    (v4(198, 51, 100, 0, 24), Why::Documentation),
    (v4(203, 0, 113, 0, 24), Why::Documentation),
    (v4(224, 0, 0, 0, 4), Why::Multicast),
    (v4(255, 255, 255, 255, 32), Why::Broadcast),
    (v4(240, 0, 0, 0, 4), Why::Reserved),
    (v6([0, 0, 0], [0, 0], 128), Why::Unspecified),
    (v6([0, 0, 0], [0, 1], 128), Why::Loopback),
    // Mapped (::ffff:0:0/96), compatible (::/96), translated (::ffff:0:0:0/96).
    (v6([0, 0, 0], [0, 0], 64), Why::Embedded),
    (v6([0x64, 0xff9b, 0], [0, 0], 32), Why::Embedded),
    (v6([0xfe80, 0, 0], [0, 0], 10), Why::LinkLocal),
    (v6([0xfec0, 0, 0], [0, 0], 10), Why::Private),
    (v6([0xfc00, 0, 0], [0, 0], 7), Why::Private),
    (v6([0xff00, 0, 0], [0, 0], 8), Why::Multicast),
    // Teredo, then what else protocols have for themselves, then 6to4.
    (v6([0x2001, 0, 0], [0, 0], 32), Why::Embedded),
    (v6([0x2001, 0xdb8, 0], [0, 0], 32), Why::Documentation),
    (v6([0x2001, 2, 0], [0, 0], 48), Why::Benchmarks),
    (v6([0x2001, 0, 0], [0, 0], 23), Why::Reserved),
    (v6([0x2002, 0, 0], [0, 0], 16), Why::Embedded),
    (v6([0x3fff, 0, 0], [0, 0], 20), Why::Documentation),
];

/// All of IPv6 that anybody's machine is in.
const GLOBAL: IpNet = v6([0x2000, 0, 0], [0, 0], 3);

/// Whether an address that a name resolved to may be connected to.
pub fn resolved(address: IpAddr) -> Result<(), Why> {
    match SPECIAL.iter().find(|(net, _)| net.contains(&address)) {
        Some((_, why)) => Err(*why),
        None if address.is_ipv6() && !GLOBAL.contains(&address) => Err(Why::Reserved),
        None => Ok(()),
    }
}

/// Whether an address that the operator wrote may be connected to.
pub fn said(address: IpAddr) -> Result<(), Why> {
    match resolved(address) {
        Ok(())
        | Err(Why::Loopback | Why::Private | Why::Shared | Why::Documentation | Why::Benchmarks) => {
            Ok(())
        }
        Err(
            why @ (Why::Unspecified
            | Why::LinkLocal
            | Why::Metadata
            | Why::Multicast
            | Why::Broadcast
            | Why::Embedded
            | Why::Reserved),
        ) => Err(why),
    }
}
