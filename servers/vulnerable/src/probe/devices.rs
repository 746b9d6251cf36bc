//! Devices and terminals.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{Critical, High, Low, Medium};

/// Devices that machines have. They are opened to be read, and not read.
const DEVICES: &[(&str, Severity, &str)] = &[
    ("/dev/mem", Critical, "all memory of the machine"),
    ("/dev/kmsg", Medium, "the kernel's messages"),
    ("/dev/port", Critical, "the machine's hardware"),
    ("/dev/kvm", High, "a part of the kernel with many holes"),
    ("/dev/fuse", High, "makes file systems"),
    ("/dev/net/tun", High, "makes packets of its own"),
    ("/dev/loop-control", High, "makes file systems"),
    ("/dev/loop0", High, "makes file systems"),
    ("/dev/vda", Critical, "the machine's disk"),
    ("/dev/sda", Critical, "the machine's disk"),
    ("/dev/nvme0n1", Critical, "the machine's disk"),
    ("/dev/uinput", Critical, "types for the user"),
    ("/dev/input/event0", Critical, "what the user types"),
    ("/dev/dri/card0", High, "the user's screen"),
    ("/dev/snd/timer", Medium, "the user's microphone"),
    ("/dev/video0", High, "the user's camera"),
    ("/dev/userfaultfd", Medium, "stops the kernel in a copy"),
    ("/dev/vsock", High, "the host of this machine"),
    ("/dev/vhost-net", High, "a part of the kernel with many holes"),
    ("/dev/vhost-vsock", High, "a part of the kernel with many holes"),
    ("/dev/cpu/0/msr", Critical, "the machine's processor"),
    ("/dev/mapper/control", High, "the machine's disks"),
    ("/dev/btrfs-control", Medium, "the machine's disks"),
    ("/dev/console", High, "the machine's console"),
    ("/dev/tty0", High, "the machine's console"),
    ("/dev/tty1", High, "the machine's console"),
    ("/dev/ttyS0", High, "the machine's console"),
    ("/dev/ptmx", Low, "makes terminals"),
    ("/dev/rtc0", Low, "the machine's clock"),
    ("/dev/hpet", Low, "the machine's clock"),
    ("/dev/rfkill", Low, "the machine's radio"),
    ("/dev/autofs", Low, "the machine's mounts"),
    ("/dev/cuse", High, "makes devices"),
    ("/dev/vga_arbiter", Low, "the machine's screen"),
    ("/dev/hwrng", Low, "the machine's hardware"),
];

pub(super) fn probes() -> Vec<Probe> {
    let devices = DEVICES.iter().map(|(path, severity, means)| {
        probe(&format!("device{}", path.replace('/', "-")), *severity, means, move |plan| {
            if !plan.texts("devices")?.contains(path) {
                return Ok(Outcome::untried("this machine has none"));
            }
            let mut how = OpenOptions::new();
            how.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
            Ok(Outcome::of(how.open(path)))
        })
    });
    devices.chain(terminals()).collect()
}

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Devices, severity, means, attempt)
}

fn terminals() -> Vec<Probe> {
    vec![
        probe("terminal.controlling", High, "types and reads for the user", |_| {
            Ok(Outcome::of(OpenOptions::new().read(true).write(true).open("/dev/tty")))
        }),
        probe("terminal.named", High, "types and reads for the user", |plan| {
            let mut how = OpenOptions::new();
            how.read(true).write(true).custom_flags(libc::O_NOCTTY);
            Ok(Outcome::of(how.open(plan.text("terminal")?)))
        }),
        probe("terminal.inherited", Medium, "types and reads for the user", |_| {
            Ok(Outcome::unless((0..3).any(is_terminal), "a standard stream is a terminal"))
        }),
        probe("terminal.session", Medium, "the terminal's session is its own", |_| {
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
            let after = stat.rsplit_once(')').map(|it| it.1).unwrap_or_default();
            let terminal = after.split_whitespace().nth(4).unwrap_or("0").to_owned();
            Ok(Outcome::unless(terminal != "0", "it has a controlling terminal"))
        }),
        probe("terminal.type", High, "types for the user", |plan| on_terminal(plan, 0x5412)),
        probe("terminal.type-with-high-bits", High, "types for the user", |plan| {
            on_terminal(plan, 0x1_0000_5412)
        }),
        probe("terminal.paste", High, "types for the user", |plan| on_terminal(plan, 0x541c)),
        probe("terminal.discipline", Medium, "loads code into the kernel", |plan| {
            on_terminal(plan, 0x5423)
        }),
    ]
}

fn is_terminal(number: i32) -> bool {
    let mut settings = [0_u64; 16];
    // TCGETS
    call_of(libc::SYS_ioctl, [number.into(), 0x5401, raw::memory(&mut settings)]).is_ok()
}

/// Makes a request of a terminal: the user's if it can be opened, else of standard input.
fn on_terminal(plan: &Plan, request: i64) -> Came {
    let mut how = OpenOptions::new();
    how.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let terminal = how.open(plan.text("terminal")?);
    let number = terminal.as_ref().map_or(0, AsRawFd::as_raw_fd);
    // A zero is nothing to type, and the discipline that every terminal has.
    let mut nothing = 0_u64;
    let came = call_of(libc::SYS_ioctl, [number.into(), request, raw::memory(&mut nothing)]);
    Ok(match came {
        // Past every filter, to find that it is no terminal, or no console, of its own.
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
            Outcome::done(format!("reached the kernel, which says: {error}"))
        }
        Err(error) => Outcome::held(error),
        Ok(_) => Outcome::of(io::Result::Ok(())),
    })
}
