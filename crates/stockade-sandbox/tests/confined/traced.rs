//! A server that is watched: it is held as it would be without, and what it does is seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use stockade_sandbox::{Child, Exit, How, SORT_MAX, Spec, Touched, launch};

use super::{Ground, must_hold, output, read};

fn traced(mut spec: Spec) -> Spec {
    spec.confine.as_mut().unwrap().trace = true;
    spec
}

/// What a server says and touches until it ends.
fn watched(spec: Spec) -> (String, Touched) {
    let child: Child = launch(&traced(spec)).unwrap();
    drop(child.take_stdin());
    let said = read(child.take_stdout());
    let errors = read(child.take_stderr());
    assert_eq!(child.wait().unwrap(), Exit::Code(0), "{said}{errors}");
    let touched = child.trace().expect("it is traced").outside();
    assert_eq!(touched.unseen, 0, "every call is looked into");
    (format!("{said}{errors}"), touched)
}

fn names(touched: &Touched, how: How, refused: bool) -> BTreeSet<String> {
    touched.of(how, refused).map(|it| it.to_str().unwrap().to_owned()).collect()
}

fn sh(ground: &Ground, script: &str) -> (String, Touched) {
    watched(ground.confined(&["sh", "-c", script]))
}

pub(super) fn a_traced_server_is_held(ground: &Ground) {
    must_hold(&output(&traced(ground.probe("reach"))), 18);
    must_hold(&output(&traced(ground.probe("break-out"))), 90);
    assert_eq!(fs::read_to_string(ground.at("outside/canary")).unwrap(), "CANARY");
    let said = output(&traced(ground.probe("work")));
    assert!(!said.contains("BROKEN"), "{said}");
    assert_eq!(said.lines().filter(|it| it.ends_with(": works")).count(), 16, "{said}");
}

pub(super) fn what_is_touched_is_seen(ground: &Ground) {
    let at = |it: &str| ground.text(it);
    let read_only = at("ro");
    let script = format!(
        "cat {read_only}/file; echo x > made; mkdir dir; mv made dir/moved; rm dir/moved; chmod 700 \
         dir; ln -s dir mine; ls mine; touch -d @0 dir; cat /etc/shadow; echo x > {read_only}/new; \
         echo x > /tmp/t; cat /no/such/file none; true"
    );
    let (said, touched) = sh(ground, &script);
    let (read, written) = (names(&touched, How::Read, false), names(&touched, How::Write, false));
    assert_eq!(read, [format!("{read_only}/file"), at("rw/dir/")].into(), "{said}");
    let all = ["made", "dir", "dir/", "dir/moved", "mine"].map(|it| at(&format!("rw/{it}")));
    assert_eq!(written, all.into(), "{said}");
    let executed = names(&touched, How::Execute, false);
    for program in ["cat", "mkdir", "mv", "rm", "chmod", "ln", "ls", "touch"] {
        assert!(executed.contains(&format!("/usr/bin/{program}")), "{program}: {executed:?}");
    }
    let refused = names(&touched, How::Read, true);
    let hidden = ["/etc/shadow", "/no/such/file"];
    assert!(hidden.iter().all(|it| refused.contains(*it)), "{refused:?}");
    assert!(!refused.iter().any(|it| it.ends_with("none")), "it is only not there: {refused:?}");
    let refused = names(&touched, How::Write, true);
    assert_eq!(refused, [format!("{read_only}/new")].into());
    assert!(names(&touched, How::Use, false).contains("/tmp"));
    assert_eq!(touched.more, 0);
    let python = "import socket
def tries(it):
    try: it()
    except OSError: pass
udp, tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6)
tries(lambda: udp.sendto(b'x', ('192.0.2.1', 53)))
tries(lambda: udp.sendmsg([b'x'], [], 0, ('192.0.2.2', 53)))
tries(lambda: udp.connect(('192.0.2.3', 53)))
tries(lambda: tcp.connect(('2001:db8::1', 80)))
server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname())
a, b = socket.socketpair(); a.send(b'x'); a.sendmsg([b'x'])";
    let (said, touched) = watched(ground.confined(&["python3", "-c", python]));
    let refused = names(&touched, How::Connect, true);
    let all = ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53", "[2001:db8::1]:80"];
    assert_eq!(refused, all.map(str::to_owned).into(), "{said}");
    assert_eq!(names(&touched, How::Connect, false), BTreeSet::new());
    assert_eq!(names(&touched, How::Own, false).len(), 1, "{touched:?}");
    assert_eq!(names(&touched, How::Listen, false), ["127.0.0.1:0".to_owned()].into());
}

/// Each of these writes to the same file by another way.
pub(super) fn no_way_around_hides_a_file(ground: &Ground) {
    let python = "import os
def through(*path): os.close(os.open('/'.join(path), os.O_WRONLY))
mine = os.open('file', os.O_RDONLY)
WAY";
    for way in [
        "through('file')",
        "through('.', '..', 'rw', 'file')",
        "through('/proc/self/cwd/file')",
        "through('/proc/thread-self/cwd/file')",
        "through(f'/proc/self/fd/{mine}')",
        "through(f'/proc/{os.getpid()}/fd/{mine}')",
        "through(f'/proc/self/task/{os.getpid()}/fd/{mine}')",
        "through(f'/dev/fd/{mine}')",
        "through('/proc/self/root' + os.getcwd(), 'file')",
        "os.symlink('file', '/tmp/one'); os.symlink(os.getcwd() + '/file', '/tmp/one2'); through('/tmp/one2')",
        "os.symlink('/proc/self/cwd', '/tmp/two'); through('/tmp/two/file')",
        "os.symlink(f'/proc/self/fd/{mine}', '/tmp/three'); through('/tmp/three')",
        "os.close(os.open('file', os.O_WRONLY, dir_fd=os.open('.', os.O_PATH)))",
        "os.link('file', 'other'); os.close(os.open('file', os.O_RDONLY | os.O_TRUNC))",
        "os.truncate('file', 0)",
        "os.fchmod(mine, 0o600)",
        "os.utime(mine)",
        "os.setxattr('file', 'user.x', b'x') if 'user.x' else None",
        "os.rename('file', 'file2')",
        "import ctypes; ctypes.CDLL(None).syscall(463, -100, b'file', 0, b'user.x', None, 0)",
        "os.chdir('/proc/self/fd'); through(str(mine))",
    ] {
        fs::write(ground.at("rw/file"), "x").unwrap();
        let script = python.replace("WAY", way);
        let mut spec = ground.confined(&["python3", "-c", &script]);
        spec = traced(spec);
        let child = launch(&spec).unwrap();
        drop(child.take_stdin());
        let errors = read(child.take_stderr());
        // Not every file system has attributes of users; that it was tried is seen all the same.
        assert!(child.wait().unwrap() == Exit::Code(0) || way.contains("xattr"), "{way}: {errors}");
        let touched = child.trace().unwrap().outside();
        let written = names(&touched, How::Write, false);
        assert!(written.contains(&ground.text("rw/file")), "{way}: {touched:?} {errors}");
        for made in ["rw/other", "rw/file2"] {
            let _ = fs::remove_file(ground.at(made));
        }
    }
    // What is called as if it were removed.
    let name = "made (deleted)";
    fs::write(ground.at("rw").join(name), "x").unwrap();
    let script = format!(
        "import os\nit = os.open('{name}', os.O_RDONLY)\nos.close(os.open(f'/proc/self/fd/{{it}}', os.O_WRONLY))\nos.fchmod(it, 0o600)"
    );
    let (_, touched) = watched(ground.confined(&["python3", "-c", &script]));
    assert_eq!(names(&touched, How::Write, false), [ground.text(&format!("rw/{name}"))].into());
    // What goes through another of its processes is named, if not by its own name.
    let other = "import os, subprocess
other = subprocess.Popen(['sleep', '100'], stdin=open('file'))
try: os.close(os.open(f'/proc/{other.pid}/fd/0', os.O_WRONLY))
finally: other.kill()";
    fs::write(ground.at("rw/file"), "x").unwrap();
    let child = launch(&traced(ground.confined(&["python3", "-c", other]))).unwrap();
    drop(child.take_stdin());
    child.wait().unwrap();
    let written = names(&child.trace().unwrap().outside(), How::Write, false);
    assert!(written.iter().any(|it| it.ends_with("/fd/0")), "{written:?}");
}

pub(super) fn a_flood_is_bounded(ground: &Ground) {
    let python = "import os
for n in range(3000):
    try: open(f'/hidden/{n}')
    except OSError: pass
    os.close(os.open(f'f{n}', os.O_CREAT | os.O_WRONLY))
open('/etc/shadow2') if os.path.exists('/etc/shadow2') else None
open(os.path.join(os.getcwd(), 'f7')).read()";
    let (_, touched) = watched(ground.confined(&["python3", "-c", python]));
    assert_eq!(touched.of(How::Read, true).count(), SORT_MAX);
    let written = names(&touched, How::Write, false);
    assert_eq!(written.len(), SORT_MAX + 1);
    assert!(written.contains(&ground.text("rw/**")), "what is left out is in this root");
    assert_eq!(names(&touched, How::Read, false), [ground.text("rw/f7")].into());
    assert!(touched.more >= 5800, "{}", touched.more);
}

/// Handled signals would have a call made, and told, again and again; threads make many at once.
pub(super) fn threads_and_signals_go_on(ground: &Ground) {
    let python = "import os, signal, threading
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
def work(n):
    for m in range(100): os.close(os.open(f't{n}', os.O_CREAT | os.O_WRONLY))
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[it.start() for it in threads]; work(8); [it.join() for it in threads]
signal.setitimer(signal.ITIMER_REAL, 0)";
    let (said, touched) = watched(ground.confined(&["python3", "-c", python]));
    let all = (0..9).map(|it| ground.text(&format!("rw/t{it}"))).collect();
    assert_eq!(names(&touched, How::Write, false), all, "{said}");
}

pub(super) fn a_traced_server_goes_with_its_guard(ground: &Ground) {
    // One that opens files without end, when all is dropped: nothing of it is left.
    let busy = "while :; do : < file; done";
    fs::write(ground.at("rw/file"), "x").unwrap();
    let child = launch(&traced(ground.confined(&["sh", "-c", busy]))).unwrap();
    let (pid, until) = (child.pid(), Instant::now() + Duration::from_secs(20));
    drop(child);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < until, "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}
