//! What an address is, and whether it may be connected to. Two questions: may one that a *name
//! resolved to* be, which only a public one may; and may one that the *operator wrote* be, who can
//! mean a machine of their own network, but never what is below.
//!
//! A pattern over the text of an address is no answer: `127.0.0.1` has as many spellings as there
//! are parsers, and most of what is private is not in the list that people remember. So what is
//! asked about is an [`IpAddr`], and the list is that of IANA.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

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

/// Whether what is sent to this address stays on this machine, also where the address is public: it
/// then leads to what listens here, past what guards it outside. The kernel is asked which address
/// it would send from; connecting a datagram socket sends nothing, and fails where there is no way
/// to it at all.
pub fn is_own(address: IpAddr) -> io::Result<bool> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind((any, 0))?;
    match socket.connect((address, DISCARD)) {
        Ok(()) => Ok(socket.local_addr()?.ip() == address),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_address_is_known() {
        use Why::*;
        for (text, why) in [
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("10.255.255.255", Private),
            ("100.64.0.1", Shared),
            ("100.127.255.255", Shared),
            ("100.100.100.200", Metadata),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("168.63.129.16", Metadata),
            ("169.254.169.254", LinkLocal),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.0.0.8", Reserved),
            ("192.0.0.192", Metadata),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Embedded),
            ("192.168.0.1", Private),
            ("198.18.0.1", Benchmarks),
            ("198.51.100.1", Documentation),
            ("203.0.113.1", Documentation),
            ("224.0.0.251", Multicast),
            ("239.255.255.250", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Broadcast),
            ("::", Unspecified),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Embedded),
            ("::ffff:8.8.8.8", Embedded),
            ("::ffff:0:8.8.8.8", Embedded),
            ("::127.0.0.1", Embedded),
            ("64:ff9b::7f00:1", Embedded),
            ("64:ff9b:1::7f00:1", Embedded),
            ("100::1", Reserved),
            ("2001::1", Embedded),
            ("2001:2::1", Benchmarks),
            ("2001:10::1", Reserved),
            ("2001:20::1", Reserved),
            ("2001:db8::1", Documentation),
            ("2002:7f00:1::", Embedded),
            ("3fff::1", Documentation),
            ("4000::1", Reserved),
            ("5f00::1", Reserved),
            ("fc00::1", Private),
            ("fd00:ec2::254", Metadata),
            ("fd20:ce::254", Metadata),
            ("fdff::1", Private),
            ("fe80::1", LinkLocal),
            ("fec0::1", Private),
            ("ff02::1", Multicast),
        ] {
            assert_eq!(resolved(text.parse().unwrap()), Err(why), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1",
            "2a00::1",
            "3ffe::1",
        ] {
            assert_eq!(resolved(text.parse().unwrap()), Ok(()), "{text}");
        }
        for (text, may) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.0.0.1", true),
            ("fd12::1", true),
            ("169.254.169.254", false),
            ("fd00:ec2::254", false),
            ("::ffff:10.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(said(text.parse().unwrap()).is_ok(), may, "{text}");
        }
    }
}
