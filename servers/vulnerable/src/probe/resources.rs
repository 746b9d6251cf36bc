//! Using up the machine. Each attempt goes to twice what it may have, and no further.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::raw::{self, call_of};
use super::{Area, Came, Outcome, Plan, Probe, Severity};

use Severity::{High, Low, Medium};

const MIB: i64 = 1 << 20;

/// Uses so many bytes of memory.
type Fill = fn(usize) -> io::Result<()>;

pub(super) fn probes() -> Vec<Probe> {
    let memory: [(&str, Fill); 4] = [
        ("own", |bytes| {
            let how = libc::MAP_PRIVATE;
            raw::map(bytes, libc::PROT_READ | libc::PROT_WRITE, how, None).map(|it| it.fill(1))
        }),
        ("shared", |bytes| {
            let how = libc::MAP_SHARED;
            raw::map(bytes, libc::PROT_READ | libc::PROT_WRITE, how, None).map(|it| it.fill(1))
        }),
        ("segment", raw::fill_segment),
        ("file", |bytes| {
            let file = call_of(libc::SYS_memfd_create, [raw::text(c"m"), 8])?;
            let file = i32::try_from(file).unwrap_or(-1);
            let length = i64::try_from(bytes).unwrap_or(0);
            call_of(libc::SYS_ftruncate, [file.into(), length])?;
            // Mapped, so that whoever looks for the largest process finds this.
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            raw::map(bytes, protection, libc::MAP_SHARED, Some(file)).map(|it| it.fill(1))
        }),
    ];
    let memory = memory.map(|(name, fill)| {
        probe(&format!("memory.{name}"), High, "the machine has none left", move |plan| {
            let bytes = plan.number("memory_bytes")?.saturating_mul(2);
            Ok(Outcome::of(fill(usize::try_from(bytes).unwrap_or(0))))
        })
    });
    memory.into_iter().chain(others()).collect()
}

fn probe(
    id: &str,
    severity: Severity,
    means: &'static str,
    attempt: impl Fn(&Plan) -> Came + 'static,
) -> Probe {
    Probe::new(id, Area::Resources, severity, means, attempt)
}

fn others() -> Vec<Probe> {
    vec![
        probe("processes", High, "the machine starts none any more", |plan| {
            Ok(forks(plan.number("pids")?.saturating_mul(2)))
        }),
        probe("threads", High, "the machine starts none any more", |plan| {
            let most = plan.number("pids")?.saturating_mul(2);
            let park = || std::thread::Builder::new().stack_size(64 << 10).spawn(std::thread::park);
            let made = (0..most).map_while(|_| park().ok()).count();
            Ok(Outcome::unless(
                made >= usize::try_from(most).unwrap_or(0),
                format!("{made} threads"),
            ))
        }),
        probe("descriptors", Medium, "the machine opens none any more", |plan| {
            let most = usize::try_from(plan.number("open_files")?).unwrap_or(0).saturating_mul(2);
            let open: Vec<File> = (0..most).map_while(|_| File::open("/dev/null").ok()).collect();
            Ok(Outcome::unless(open.len() >= most, format!("{} descriptors", open.len())))
        }),
        probe("file.terabyte", Medium, "the disk is full", |plan| {
            let path = plan.at("rw", "long")?;
            let came = File::create(&path).and_then(|it| it.set_len(1 << 40));
            let _ = fs::remove_file(path);
            Ok(Outcome::of(came))
        }),
        probe("file.reserved", Medium, "the disk is full", |plan| {
            let path = plan.at("rw", "reserved")?;
            // One byte at the end of a terabyte.
            let came = File::create(&path)
                .and_then(|it| std::os::unix::fs::FileExt::write_at(&it, b"x", 1 << 40));
            let _ = fs::remove_file(path);
            Ok(Outcome::of(came))
        }),
        probe("scratch.tmp", Medium, "memory or the disk is full", |plan| {
            let path = std::env::temp_dir().join("stockade-probe-full");
            Ok(fill(&path, plan.number("scratch_bytes")?))
        }),
        probe("scratch.shm", Medium, "memory is full", |plan| {
            Ok(fill(Path::new("/dev/shm/stockade-probe-full"), plan.number("scratch_bytes")?))
        }),
        probe("scratch.names", Low, "memory is full of names", |_| Ok(names())),
        probe("locked", Medium, "memory is never given back", |_| {
            let bytes = usize::try_from(64 * MIB).unwrap_or(0);
            let memory =
                raw::map(bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE, None);
            Ok(Outcome::of(memory.and_then(|it| {
                let at = it.as_ptr().addr().cast_signed() as i64;
                call_of(libc::SYS_mlock, [at, 64 * MIB])
            })))
        }),
        probe("huge-pages", Low, "memory is kept from others", |_| {
            let how = libc::MAP_PRIVATE | libc::MAP_HUGETLB;
            let came = raw::map(1 << 21, libc::PROT_READ, how, None);
            Ok(Outcome::of(came.map(|_| ())))
        }),
        probe("limit.descriptors", Medium, "a limit is raised again", |_| Ok(raise(7, 1 << 20))),
        probe("limit.processes", Medium, "a limit is raised again", |_| Ok(raise(6, 1 << 20))),
        probe("limit.file", Medium, "a limit is raised again", |_| Ok(raise(1, i64::MAX))),
        probe("limit.core", Low, "its memory is left on the disk", |_| Ok(raise(4, 1 << 30))),
        probe("limit.locked", Medium, "a limit is raised again", |_| Ok(raise(8, 1 << 34))),
    ]
}

/// Children that wait until this process has gone.
fn forks(most: i64) -> Outcome {
    let Ok((wait, hold)) = io::pipe() else { return Outcome::untried("no pipe") };
    let mut made = 0;
    while made < most {
        match raw::fork() {
            Ok(None) => {
                drop(hold);
                let mut wait = wait;
                let _ = io::Read::read(&mut wait, &mut [0]);
                raw::leave();
            }
            Ok(Some(_)) => made += 1,
            Err(_) => break,
        }
    }
    drop(hold);
    Outcome::unless(made >= most, format!("{made} processes"))
}

fn fill(path: &Path, bytes: i64) -> Outcome {
    let block = vec![1; 1 << 20];
    let blocks = bytes.saturating_mul(2) / MIB;
    let came =
        File::create(path).and_then(|mut it| (0..blocks).try_for_each(|_| it.write_all(&block)));
    let _ = fs::remove_file(path);
    Outcome::of(came)
}

fn names() -> Outcome {
    const MOST: usize = 70_000;
    let top = std::env::temp_dir().join("stockade-probe-names");
    let made = fs::create_dir(&top)
        .map(|()| (0..MOST).map_while(|it| File::create(top.join(it.to_string())).ok()).count());
    let _ = fs::remove_dir_all(top);
    match made {
        Ok(made) => Outcome::unless(made >= MOST, format!("{made} files")),
        Err(error) => Outcome::held(error),
    }
}

/// Both the limit and what it can be raised to.
fn raise(resource: i64, to: i64) -> Outcome {
    let mut limit = [to, to];
    let arguments = [0, resource, raw::memory(&mut limit), 0];
    Outcome::of(call_of(libc::SYS_prlimit64, arguments))
}
