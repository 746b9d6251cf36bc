//! The server that tries to get out, and the one that only wants to work. Both run inside, and say
//! for each thing that they tried what came of it: one line, `name: held …` or `name: DONE …`.
#![allow(unsafe_code, reason = "calls that no library makes are what is tried")]

use std::env;
use std::ffi::{CString, c_long};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Where things are, as the guard tells the probe.
pub(crate) struct Around {
    pub(crate) top: String,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) name: String,
}

impl Around {
    pub(crate) fn from_words(words: &[&str]) -> Self {
        let [top, tcp, udp, name] = words else { panic!("a probe is told where things are") };
        Self {
            top: (*top).into(),
            tcp: tcp.parse().unwrap(),
            udp: udp.parse().unwrap(),
            name: (*name).into(),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.top)
    }
}

/// What was tried, and what came of it.
fn tell<T>(name: &str, came: io::Result<T>) {
    match came {
        Ok(_) => println!("{name}: DONE"),
        Err(error) => println!("{name}: held ({error})"),
    }
}

/// What a program of the same user could do without a sandbox; harmless to the machine.
pub(crate) fn reach(around: &Around) {
    let canary = around.at("outside/canary");
    tell("read outside", fs::read(&canary));
    tell("list outside", fs::read_dir(around.at("outside")));
    tell("read by a link in the root", fs::read(around.at("rw/link")));
    tell("read by dots", fs::read(around.at("rw/../outside/canary")));
    let own_link = around.at("rw/own-link");
    let _ = symlink(&canary, &own_link);
    tell("read by a link of its own", fs::read(&own_link));
    tell("make a hard link to outside", fs::hard_link(&canary, around.at("rw/hard")));
    tell("write outside", fs::write(around.at("outside/new"), "x"));
    tell("list the parent of its roots", {
        fs::read_dir(&around.top).and_then(|it| {
            let names: Vec<_> = it.flatten().map(|it| it.file_name()).collect();
            let strange = names.iter().any(|it| *it == *"outside");
            if strange { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
        })
    });
    tell("read /etc/hostname", {
        // A container has its own, in which there is its own name.
        let read = fs::read_to_string("/etc/hostname");
        read.and_then(|it| match it.trim() {
            "stockade" => Err(io::Error::other("its own")),
            _ => Ok(it),
        })
    });
    for path in ["/etc/shadow-", "/etc/machine-id", "/proc/version", "/proc/kcore"] {
        tell(&format!("read {path}"), File::open(path));
    }
    tell("see processes of others", {
        let mut pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| {
            it.file_name().to_str()?.parse::<u32>().ok().filter(|it| *it != std::process::id())
        });
        pids.next().ok_or_else(|| io::ErrorKind::NotFound.into())
    });
    tell("connect by tcp", TcpStream::connect_timeout(&around.tcp, Duration::from_secs(1)));
    tell("be answered by udp", {
        UdpSocket::bind("127.0.0.1:0").and_then(|it| {
            it.set_read_timeout(Some(Duration::from_millis(300)))?;
            it.send_to(b"ping", around.udp)?;
            it.recv(&mut [0; 8])
        })
    });
    tell("connect to a unix socket outside", UnixStream::connect(around.at("outside/socket")));
    tell("connect to a unix socket in a root", UnixStream::connect(around.at("rw/socket")));
    tell("connect to an abstract socket", {
        UnixAddr::from_abstract_name(&around.name).and_then(|it| UnixStream::connect_addr(&it))
    });
    tell("find an inherited descriptor", {
        let strange = (3..64).find(|fd| fs::read_dir(format!("/proc/self/fd/{fd}")).is_ok());
        strange.ok_or_else(|| io::ErrorKind::NotFound.into())
    });
}

/// What must be refused whatever else is given, tried only inside: some of it would harm.
pub(crate) fn break_out(around: &Around) {
    for path in ["/proc/1/environ", "/proc/1/root", "/proc/1/cwd", "/proc/1/mem", "/proc/1/maps"] {
        tell(&format!("read {path}"), fs::read(path));
        tell(&format!("list {path}"), fs::read_dir(path));
    }
    for pid in ["1", "self"] {
        for path in [&around.at("outside/canary"), "/etc/shadow", "/root/.ssh"] {
            tell(
                &format!("/proc/{pid}/root{path}"),
                fs::metadata(format!("/proc/{pid}/root{path}")),
            );
        }
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel", "/dev/kmsg"]
    {
        tell(&format!("open {path}"), OpenOptions::new().write(true).open(path));
    }
    for path in ["ro/new", "ro/file"] {
        tell(&format!("write {path}"), fs::write(around.at(path), "x"));
    }
    tell("remount the root", write_errno(fs::write(around.at("ro/new"), "x"), libc::EROFS));
    for path in [
        ".git/hooks/pre-commit",
        ".git/config",
        ".git/commondir",
        ".git/modules/x/config",
        "repository/.git/config",
        ".mcp.json",
        ".envrc",
    ] {
        tell(&format!("write {path}"), fs::write(around.at(&format!("rw/{path}")), "evil"));
    }
    tell("move .git away", fs::rename(around.at("rw/.git"), around.at("rw/.git2")));
    tell("move a repository away", fs::rename(around.at("rw/repository"), around.at("rw/r")));
    tell("remove .mcp.json", fs::remove_file(around.at("rw/.mcp.json")));
    tell("replace .mcp.json", {
        fs::write(around.at("rw/evil"), "evil")
            .and_then(|()| fs::rename(around.at("rw/evil"), around.at("rw/.mcp.json")))
    });
    tell("overwrite its own program", OpenOptions::new().write(true).open("/proc/self/exe"));
    for place in ["rw", "tmp"] {
        let at = if place == "tmp" { "/tmp/program".to_owned() } else { around.at("rw/program") };
        fs::copy("/bin/true", &at).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        tell(&format!("execute what it wrote in {place}"), Command::new(&at).status());
    }
    let own = around.at("rw/own");
    fs::write(&own, "x").unwrap();
    for mode in [0o4755, 0o2755] {
        tell(
            &format!("chmod {mode:o}"),
            fs::set_permissions(&own, fs::Permissions::from_mode(mode)),
        );
        let made = around.at(&format!("rw/made-{mode:o}"));
        let how = OpenOptions::new().write(true).create_new(true).mode(mode).open(made);
        tell(&format!("create {mode:o}"), how);
        let nameless = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .mode(mode)
            .open(around.at("rw"));
        tell(&format!("create {mode:o} without a name"), nameless);
    }
    for pid in [1, -1, 0x7fff_0000] {
        // To itself as well would be the end of this test; 0 asks only whether it may.
        let pid: c_long = pid;
        if pid > 0 {
            tell(&format!("trace {pid}"), call(libc::SYS_ptrace, [16, pid, 0, 0, 0]));
        }
    }
    datagrams(around);
    let file = File::open(around.at("ro/file")).unwrap();
    refused("hold up who writes to a file that is read only", {
        call(libc::SYS_fcntl, [file.as_raw_fd().into(), 1024, 0, 0, 0])
    });
    calls();
}

fn write_errno<T>(came: io::Result<T>, expected: i32) -> io::Result<()> {
    match came {
        Err(error) if error.raw_os_error() == Some(expected) => Err(error),
        _ => Ok(()),
    }
}

/// A pair of datagram sockets could send to whatever socket is in a root.
fn datagrams(around: &Around) {
    tell("send to a socket by a pair", {
        UnixDatagram::pair().and_then(|(it, _)| it.send_to(b"x", around.at("rw/datagrams")))
    });
}

fn call(number: c_long, arguments: [c_long; 5]) -> io::Result<c_long> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: pointers are null or to memory of ours that outlives the call, and what the kernel
    // does if it is not refused is what this is a test of.
    match unsafe { libc::syscall(number, a, b, c, d, e, 0) } {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// Each must be refused by permission, and not for its arguments: `EINVAL` would say that nobody
/// stood in the way.
fn calls() {
    let all: &[(&str, c_long, [c_long; 5])] = &[
        ("mount", libc::SYS_mount, [0; 5]),
        ("umount2", libc::SYS_umount2, [0; 5]),
        ("pivot_root", libc::SYS_pivot_root, [0; 5]),
        ("chroot", libc::SYS_chroot, [0; 5]),
        ("move_mount", libc::SYS_move_mount, [0; 5]),
        ("open_tree", libc::SYS_open_tree, [0; 5]),
        ("open_tree_attr", 467, [0; 5]),
        ("fsopen", libc::SYS_fsopen, [0; 5]),
        ("mount_setattr", libc::SYS_mount_setattr, [0; 5]),
        ("statmount", 457, [0; 5]),
        ("unshare user", libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]),
        ("unshare mount", libc::SYS_unshare, [libc::CLONE_NEWNS.into(), 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [0; 5]),
        ("clone3", libc::SYS_clone3, [0; 5]),
        ("openat2", libc::SYS_openat2, [0; 5]),
        ("ptrace", libc::SYS_ptrace, [0; 5]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0, 0, 0]),
        ("process_vm_writev", libc::SYS_process_vm_writev, [1, 0, 0, 0, 0]),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [0; 5]),
        ("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0; 5]),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 5]),
        ("userfaultfd", libc::SYS_userfaultfd, [1, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
        ("io_uring_enter", libc::SYS_io_uring_enter, [0; 5]),
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("add_key", libc::SYS_add_key, [0; 5]),
        ("request_key", libc::SYS_request_key, [0; 5]),
        ("vmsplice", libc::SYS_vmsplice, [0; 5]),
        ("mbind", libc::SYS_mbind, [0; 5]),
        ("personality", libc::SYS_personality, [0x004_0000, 0, 0, 0, 0]),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, [0; 5]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 5]),
        ("fanotify_init", libc::SYS_fanotify_init, [0; 5]),
        ("init_module", libc::SYS_init_module, [0; 5]),
        ("kexec_load", libc::SYS_kexec_load, [0; 5]),
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [0; 5]),
        ("clock_settime", libc::SYS_clock_settime, [0; 5]),
        ("reboot", libc::SYS_reboot, [0; 5]),
        ("swapoff", libc::SYS_swapoff, [0; 5]),
        ("quotactl", libc::SYS_quotactl, [0; 5]),
        ("clone into a user namespace", libc::SYS_clone, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0]),
        ("clone into a net namespace", libc::SYS_clone, [libc::CLONE_NEWNET.into(), 0, 0, 0, 0]),
        ("socket unix", libc::SYS_socket, [1, 1, 0, 0, 0]),
        ("socket netlink", libc::SYS_socket, [16, 3, 0, 0, 0]),
        ("socket packet", libc::SYS_socket, [17, 3, 0, 0, 0]),
        ("socket vsock", libc::SYS_socket, [40, 1, 0, 0, 0]),
        ("socket alg", libc::SYS_socket, [38, 5, 0, 0, 0]),
        ("socket raw", libc::SYS_socket, [2, 3, 1, 0, 0]),
        ("socket icmp", libc::SYS_socket, [2, 2, 1, 0, 0]),
        ("socket mptcp", libc::SYS_socket, [2, 1, 262, 0, 0]),
        ("socket sctp", libc::SYS_socket, [10, 1, 132, 0, 0]),
        ("ioctl TIOCSTI", libc::SYS_ioctl, [0, 0x5412, 0, 0, 0]),
        ("ioctl TIOCSTI with high bits", libc::SYS_ioctl, [0, 0x1_0000_5412, 0, 0, 0]),
        ("ioctl TIOCLINUX", libc::SYS_ioctl, [0, 0x541c, 0, 0, 0]),
        ("ioctl TIOCSETD", libc::SYS_ioctl, [0, 0x5423, 0, 0, 0]),
        ("sched_setscheduler of its warden", libc::SYS_sched_setscheduler, [1, 5, 0, 0, 0]),
        ("sched_setparam of its warden", libc::SYS_sched_setparam, [1, 0, 0, 0, 0]),
        ("sched_setattr of its warden", libc::SYS_sched_setattr, [1, 0, 0, 0, 0]),
        ("sched_setaffinity of its warden", libc::SYS_sched_setaffinity, [1, 0, 0, 0, 0]),
        ("setpriority of its warden", libc::SYS_setpriority, [0, 1, 19, 0, 0]),
        ("setpriority of its user", libc::SYS_setpriority, [2, 0, 19, 0, 0]),
        ("ioprio_set of its warden", libc::SYS_ioprio_set, [1, 1, 0x6000, 0, 0]),
        ("ioprio_set of its user", libc::SYS_ioprio_set, [3, 0, 0x6000, 0, 0]),
        ("prlimit of its warden", libc::SYS_prlimit64, [1, 7, 0, 0, 0]),
        ("io_setup", libc::SYS_io_setup, [0; 5]),
        ("io_submit", libc::SYS_io_submit, [0; 5]),
        ("memfd_create", libc::SYS_memfd_create, [0; 5]),
        ("signal the warden", libc::SYS_kill, [1, 0, 0, 0, 0]),
        ("a call that does not exist yet", 470, [0; 5]),
        ("mknodat device", libc::SYS_mknodat, [-100, 0, 0o020_600, 0, 0]),
    ];
    for (name, number, arguments) in all {
        refused(name, call(*number, *arguments));
    }
    #[cfg(target_arch = "x86_64")]
    {
        refused("x32", call(libc::SYS_getpid | 0x4000_0000, [0; 5]));
        let answer: i64;
        // SAFETY: the 32-bit call 20 is `getpid`; it takes nothing, and only rax changes.
        unsafe { std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => answer) };
        let refusal = i32::try_from(answer).unwrap_or(0);
        let came = if refusal < 0 { Err(io::Error::from_raw_os_error(-refusal)) } else { Ok(0) };
        refused("a 32-bit call", came);
    }
}

fn refused(name: &str, came: io::Result<c_long>) {
    const REFUSALS: [i32; 6] = [
        libc::EPERM,
        libc::EACCES,
        libc::ENOSYS,
        libc::EAFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::EOPNOTSUPP,
    ];
    match came {
        Ok(0) if name.starts_with("clone") => std::process::exit(0),
        Err(error) if error.raw_os_error().is_some_and(|it| REFUSALS.contains(&it)) => {
            println!("{name}: held ({error})");
        }
        other => println!("{name}: DONE {other:?}"),
    }
}

/// What servers do all day.
pub(crate) fn work(around: &Around) {
    let works = |name: &str, it: io::Result<()>| match it {
        Ok(()) => println!("{name}: works"),
        Err(error) => println!("{name}: BROKEN {error}"),
    };
    works("read the read-only root", fs::read(around.at("ro/file")).map(|_| ()));
    works("write the root", fs::write(around.at("rw/written"), "by the server"));
    works("rename in the root", fs::rename(around.at("rw/written"), around.at("rw/renamed")));
    works("make a directory", fs::create_dir_all(around.at("rw/a/b")));
    works(
        "move between directories",
        fs::write(around.at("rw/a/f"), "x")
            .and_then(|()| fs::rename(around.at("rw/a/f"), around.at("rw/a/b/f"))),
    );
    works("temporary files", fs::write(env::temp_dir().join("t"), "x"));
    works("HOME", fs::write(Path::new(&env::var("HOME").unwrap()).join("h"), "x"));
    works("discard output", OpenOptions::new().write(true).open("/dev/null").map(|_| ()));
    works(
        "random numbers",
        File::open("/dev/urandom").and_then(|mut it| it.read_exact(&mut [0; 8])),
    );
    works(
        "subprocesses",
        Command::new("sh").args(["-c", "echo hi | cat >/dev/null"]).status().and_then(|it| {
            if it.success() { Ok(()) } else { Err(io::Error::other(it.to_string())) }
        }),
    );
    works("threads", thread::spawn(|| 7).join().map(|_| ()).map_err(|_| io::Error::other("no")));
    works(
        "its own loopback",
        (|| {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let mut there = TcpStream::connect(listener.local_addr()?)?;
            there.write_all(b"x")?;
            listener.accept()?.0.read_exact(&mut [0])
        })(),
    );
    works("a thread with less of the processor", thread::spawn(slow_down).join().unwrap());
    works("IPv6 loopback", TcpListener::bind("[::1]:0").map(|_| ()));
    works("socket pairs", UnixStream::pair().map(|_| ()));
    works("a locked, shared mapping as SQLite has it", mapping(&around.at("rw/db")));
}

/// As the C library and runtimes do it: by the thread's own id.
fn slow_down() -> io::Result<()> {
    let me = call(libc::SYS_gettid, [0; 5])?;
    let mut processors = [0_u64; 16];
    let (at, bytes) = (&raw mut processors as c_long, 128);
    call(libc::SYS_sched_getaffinity, [me, bytes, at, 0, 0])?;
    call(libc::SYS_sched_setaffinity, [me, bytes, at, 0, 0])?;
    let no_priority = [0_i32];
    let at = &raw const no_priority as c_long;
    call(libc::SYS_sched_setscheduler, [me, libc::SCHED_BATCH.into(), at, 0, 0])?;
    call(libc::SYS_setpriority, [0, me, 5, 0, 0]).map(|_| ())
}

fn mapping(path: &str) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    file.set_len(4096)?;
    // SAFETY: a zeroed `flock` is valid, as is its use below.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = i16::try_from(libc::F_WRLCK).unwrap();
    // SAFETY: the lock outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (null, how) = (std::ptr::null_mut(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping of a file that is as long.
    let at = unsafe { libc::mmap(null, 4096, how, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is 4096 bytes, writable, and nobody else's.
    unsafe { at.cast::<u8>().write(7) };
    let mut byte = [0];
    File::open(path)?.read_exact(&mut byte)?;
    if byte == [7] { Ok(()) } else { Err(io::Error::other("not shared")) }
}

/// Says how many processes there could be.
pub(crate) fn fork_bomb() {
    let mut count = 0;
    while count < 10_000 {
        // SAFETY: this process has one thread; the child does nothing but wait to be killed.
        match unsafe { libc::fork() } {
            0 => loop {
                thread::sleep(Duration::from_secs(1000));
            },
            -1 => break,
            _ => count += 1,
        }
    }
    println!("processes: {count}");
}

/// Says how many descriptors there could be, and how long a file.
pub(crate) fn greed(around: &Around) {
    stockade_sandbox::fail_at_the_file_size_limit();
    let long = File::create(around.at("rw/long")).unwrap();
    tell("a file of a terabyte", long.set_len(1 << 40));
    let open: Vec<File> = (0..100_000).map_while(|_| File::open("/dev/null").ok()).collect();
    println!("descriptors: {}", open.len());
    drop(open);
    let mut scratch = File::create("/tmp/full").unwrap();
    let block = vec![1; 1 << 20];
    let filled = (0..4096).map_while(|_| scratch.write_all(&block).ok()).count();
    println!("scratch: {filled}");
    let watchers = (0..10_000).map_while(|_| call(libc::SYS_inotify_init1, [0; 5]).ok()).count();
    println!("watchers: {watchers}");
}

/// Takes the processor from its warden by every means, and then all of it.
pub(crate) fn starve() {
    let idle = [0_i32];
    let first = [1_u64; 1];
    let (idle, first) = (&raw const idle as c_long, &raw const first as c_long);
    let _ = call(libc::SYS_sched_setscheduler, [1, libc::SCHED_IDLE.into(), idle, 0, 0]);
    let _ = call(libc::SYS_sched_setaffinity, [1, 8, first, 0, 0]);
    let _ = call(libc::SYS_setpriority, [0, 1, 19, 0, 0]);
    for _ in 0..200 {
        // SAFETY: this process has one thread; the child does nothing but wait to be killed.
        if unsafe { libc::fork() } == 0 {
            let _ = call(libc::SYS_sched_setaffinity, [0, 8, first, 0, 0]);
            loop {
                std::hint::spin_loop();
            }
        }
    }
    println!("up");
    loop {
        thread::sleep(Duration::from_secs(1000));
    }
}

/// Has as many descriptors under way over a socket as it may, which count for its user.
pub(crate) fn in_flight() {
    const AT_ONCE: usize = 253;
    let zero = File::open("/dev/null").unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    let mut space = [0_u64; 130];
    let mut byte = [0_u8];
    let mut bytes = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: a zeroed header is valid, and what it points to outlives the call; the space for the
    // descriptors is aligned and larger than they are.
    let error = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        (message.msg_iov, message.msg_iovlen) = (&raw mut bytes, 1);
        let length = u32::try_from(AT_ONCE * 4).unwrap();
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(length) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(length) as _;
        let numbers = libc::CMSG_DATA(header).cast::<i32>();
        (0..AT_ONCE).for_each(|it| numbers.add(it).write_unaligned(zero.as_raw_fd()));
        while libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) == 1 {}
        io::Error::last_os_error()
    };
    println!("{}", if error.raw_os_error() == Some(libc::ETOOMANYREFS) { "up" } else { "no" });
    let _ = io::stdin().read(&mut [0]);
}

/// Uses a gigabyte.
pub(crate) fn memory_bomb() {
    let mut all = Vec::new();
    for _ in 0..1024 {
        all.push(vec![1_u8; 1 << 20]);
    }
    println!("memory: {} {}", all.len(), CString::default().as_bytes().len());
}
