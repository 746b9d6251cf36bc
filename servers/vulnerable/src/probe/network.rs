//! Reaching anybody, and being reached.

use std::ffi::c_long;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{High, Low, Medium};

/// Sockets of other kinds than TCP and UDP: family, type, protocol.
const KINDS: &[(&str, Severity, &str, [c_long; 3])] = &[
    ("raw", High, "makes packets of its own", [2, 3, 255]),
    ("raw-icmp", High, "makes packets of its own", [2, 3, 1]),
    ("raw-6", High, "makes packets of its own", [10, 3, 58]),
    ("ping", Medium, "is answered by other machines", [2, 2, 1]),
    ("packet", High, "reads packets of others", [17, 3, 0]),
    ("netlink-route", Medium, "knows and changes the network", [16, 3, 0]),
    ("netlink-generic", Medium, "talks to parts of the kernel", [16, 3, 16]),
    ("netlink-audit", Medium, "reads what is audited", [16, 3, 9]),
    ("netlink-netfilter", Medium, "a part of the kernel with many holes", [16, 3, 12]),
    ("netlink-uevent", Low, "knows about devices", [16, 2, 15]),
    ("netlink-xfrm", Medium, "a part of the kernel with many holes", [16, 3, 6]),
    ("netlink-diag", Medium, "knows the sockets of others", [16, 3, 4]),
    ("vsock", High, "talks to the host of this machine", [40, 1, 0]),
    ("alg", Medium, "a part of the kernel with many holes", [38, 5, 0]),
    ("bluetooth", Medium, "talks to devices", [31, 3, 1]),
    ("xdp", Medium, "makes packets of its own", [44, 3, 0]),
    ("can", Low, "talks to devices", [29, 3, 1]),
    ("tipc", Medium, "a part of the kernel with many holes", [30, 1, 0]),
    ("rds", Low, "a part of the kernel with many holes", [21, 5, 0]),
    ("smc", Low, "a part of the kernel with many holes", [43, 1, 0]),
    ("kcm", Low, "a part of the kernel with many holes", [41, 2, 0]),
    ("nfc", Low, "talks to devices", [39, 3, 1]),
    ("qrtr", Low, "talks to devices", [42, 2, 0]),
    ("pppox", Low, "a part of the kernel with many holes", [24, 1, 0]),
    ("phonet", Low, "a part of the kernel with many holes", [35, 2, 0]),
    ("mptcp", Medium, "is not seen by filters of TCP", [2, 1, 262]),
    ("sctp", Medium, "is not seen by filters of TCP", [2, 1, 132]),
    ("dccp", Low, "is not seen by filters of TCP", [2, 6, 33]),
    ("udplite", Low, "is not seen by filters of UDP", [2, 2, 136]),
];

pub(super) fn probes() -> Vec<Probe> {
    let kinds = KINDS.iter().map(|(name, severity, means, arguments)| {
        probe(&format!("socket.{name}"), *severity, means, move |_| {
            let came = call_of(libc::SYS_socket, *arguments);
            Ok(match came {
                // The kernel has no such thing, with or without a sandbox.
                Err(error) if error.raw_os_error() == Some(libc::ESOCKTNOSUPPORT) => {
                    Outcome::held(error)
                }
                other => Outcome::refused(other),
            })
        })
    });
    let tcp = [("tcp4", "a service of this machine"), ("tcp6", "a service of this machine")];
    let tcp = tcp.map(|(name, means)| {
        probe(&format!("connect.{name}"), High, means, move |plan| {
            let Ok(address) = plan.text(name)?.parse() else {
                return Ok(Outcome::untried("no address"));
            };
            Ok(Outcome::of(TcpStream::connect_timeout(&address, Duration::from_secs(2))))
        })
    });
    let udp = [("udp4", "127.0.0.1:0"), ("udp6", "[::1]:0")];
    let udp = udp.map(|(name, from)| {
        probe(&format!("send.{name}"), High, "a service of this machine", move |plan| {
            Ok(Outcome::of(answered(from, plan.text(name)?)))
        })
    });
    kinds.chain(tcp).chain(udp).chain(others()).collect()
}

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Network, severity, means, attempt)
}

fn answered(from: &str, to: &str) -> io::Result<()> {
    let socket = UdpSocket::bind(from)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(b"ping", to)?;
    socket.recv(&mut [0; 8]).map(|_| ())
}

fn others() -> Vec<Probe> {
    vec![
        probe("connect.mptcp", High, "a service of this machine, past filters of TCP", |plan| {
            Ok(Outcome::of(connect_by([2, 1, 262], plan.text("tcp4")?, false)))
        }),
        probe(
            "connect.fast-open",
            High,
            "a service of this machine, past filters of TCP",
            |plan| Ok(Outcome::of(connect_by([2, 1, 0], plan.text("tcp4")?, true))),
        ),
        probe("connect.own-other-address", High, "a service of this machine", |plan| {
            // 127.0.0.0/8 is all this machine.
            let Ok(SocketAddr::V4(it)) = plan.text("tcp4")?.parse::<SocketAddr>() else {
                return Ok(Outcome::untried("no address"));
            };
            let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, it.port());
            Ok(Outcome::of(TcpStream::connect_timeout(&any.into(), Duration::from_secs(2))))
        }),
        probe("listen.reached", High, "others can connect to it", |plan| {
            let port = plan.number("listen_port")?;
            let listener = TcpListener::bind(format!("127.0.0.1:{port}"))
                .and_then(|it| it.set_nonblocking(true).map(|()| it));
            let listener = match listener {
                Ok(listener) => listener,
                Err(error) => return Ok(Outcome::held(error)),
            };
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                if listener.accept().is_ok() {
                    return Ok(Outcome::done("somebody outside connected"));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Outcome::held("nobody outside connected"))
        }),
        probe("route.away", High, "other machines are reached", |_| {
            // To say where to is not yet to send anything. The address is nobody's (RFC 5737).
            Ok(Outcome::of(UdpSocket::bind("0.0.0.0:0").and_then(|it| it.connect("192.0.2.1:9"))))
        }),
        probe("route.away-6", High, "other machines are reached", |_| {
            Ok(Outcome::of(UdpSocket::bind("[::]:0").and_then(|it| it.connect("[2001:db8::1]:9"))))
        }),
        probe("route.cloud", High, "the machine's credentials in a cloud", |_| {
            let came = UdpSocket::bind("0.0.0.0:0").and_then(|it| it.connect("169.254.169.254:80"));
            Ok(Outcome::of(came))
        }),
        probe("route.group", Medium, "machines near by are reached", |_| {
            let group = Ipv4Addr::new(224, 0, 0, 251);
            Ok(Outcome::of(
                UdpSocket::bind("0.0.0.0:0")
                    .and_then(|it| it.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)),
            ))
        }),
        probe("route.everybody", Medium, "machines near by are reached", |_| {
            Ok(Outcome::of(UdpSocket::bind("0.0.0.0:0").and_then(|it| {
                it.set_broadcast(true)?;
                it.connect("255.255.255.255:9")
            })))
        }),
        probe("interfaces", Medium, "which networks there are", |_| Ok(interfaces())),
        probe("sockets-of-others", Medium, "who talks to whom", |plan| {
            let Ok(address) = plan.text("tcp4")?.parse::<SocketAddr>() else {
                return Ok(Outcome::untried("no address"));
            };
            let mut text = String::new();
            let read =
                fs::File::open("/proc/net/tcp").and_then(|mut it| it.read_to_string(&mut text));
            let port = format!(":{:04X}", address.port());
            Ok(Outcome::unless(
                read.is_ok() && text.contains(&port),
                "sockets of others are listed",
            ))
        }),
        probe("name-servers", Low, "who resolves names here", |_| {
            let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            Ok(Outcome::unless(text.contains("nameserver"), "name servers are named"))
        }),
        probe("bind.low-port", Low, "it looks like a service of the machine", |_| {
            Ok(Outcome::of(TcpListener::bind("127.0.0.1:81")))
        }),
        probe("option.transparent", Low, "it looks like another machine", |_| {
            Ok(Outcome::of(option(0, 19)))
        }),
        probe("option.mark", Low, "it goes past rules of the network", |_| {
            Ok(Outcome::of(option(1, 36)))
        }),
    ]
}

/// Sets an option of a socket to 1.
fn option(level: c_long, name: c_long) -> io::Result<c_long> {
    let socket = call_of(libc::SYS_socket, [2, 1, 0])?;
    let mut one = 1_i32;
    call_of(libc::SYS_setsockopt, [socket, level, name, raw::memory(&mut one), 4])
}

/// Connects past the library, which knows TCP only.
fn connect_by(kind: [c_long; 3], to: &str, by_sending: bool) -> io::Result<c_long> {
    let Ok(SocketAddr::V4(to)) = to.parse() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let socket = call_of(libc::SYS_socket, kind)?;
    let [p1, p2] = to.port().to_be_bytes();
    let [a, b, c, d] = to.ip().octets();
    let [f1, f2] = 2_u16.to_ne_bytes();
    let mut address = [f1, f2, p1, p2, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    let at = raw::memory(&mut address);
    if !by_sending {
        return call_of(libc::SYS_connect, [socket, at, 16]);
    }
    let mut byte = b'x';
    let fast_open = libc::MSG_FASTOPEN.into();
    call_of(libc::SYS_sendto, [socket, raw::memory(&mut byte), 1, fast_open, at, 16])
}

/// Any interface but loopback: numbers are given in order.
fn interfaces() -> Outcome {
    let Ok(socket) = call_of(libc::SYS_socket, [2, 2, 0]) else {
        return Outcome::held("no socket");
    };
    for number in 1..64_i32 {
        let mut request = [0_u8; 40];
        for (place, byte) in request.iter_mut().skip(16).zip(number.to_ne_bytes()) {
            *place = byte;
        }
        // SIOCGIFNAME
        if call_of(libc::SYS_ioctl, [socket, 0x8910, raw::memory(&mut request)]).is_ok() {
            let name: Vec<u8> = request.iter().copied().take_while(|it| *it != 0).collect();
            if name != b"lo" {
                return Outcome::done(String::from_utf8_lossy(&name));
            }
        }
    }
    Outcome::held("loopback only")
}
