//! What the guard reads out of files that others wrote: never through a link, never of what is no
//! file (a pipe would hold the guard, a device may never end), and never more than a little.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

/// The first bytes of a program, in which its format and its interpreter are named.
const HEAD_BYTES: u64 = 512;

/// As what a file is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// By the kernel itself, or by a loader of the system.
    Binary,
    /// By an interpreter: what stands behind `#!`.
    Script(Vec<u8>),
}

/// The beginning of a regular file.
pub(crate) fn head(path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    read(open_file(path)?.0, bytes_max)
}

/// What a file is executed as, if it is a program at all.
pub(crate) fn program(path: &Path) -> Option<Program> {
    let (file, mode) = open_file(path)?;
    if mode & 0o111 == 0 {
        return None;
    }
    let head = read(file, HEAD_BYTES)?;
    if head.starts_with(b"\x7fELF") {
        return Some(Program::Binary);
    }
    let line = head.strip_prefix(b"#!")?.split(|it| *it == b'\n').next().unwrap_or_default();
    Some(Program::Script(line.to_vec()))
}

fn open_file(path: &Path) -> Option<(OwnedFd, u32)> {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, how | OFlags::NOCTTY, Mode::empty()).ok()?;
    let mode = fstat(&file).ok()?.st_mode;
    FileType::from_raw_mode(mode).is_file().then_some((file, mode))
}

fn read(file: OwnedFd, bytes_max: u64) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::from(file).take(bytes_max).read_to_end(&mut head).ok()?;
    Some(head)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, mkfifoat};

    use super::*;

    #[test]
    fn only_the_beginning_of_a_regular_file_is_read() {
        let top = std::env::temp_dir().join(format!("stockade-content-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        fs::create_dir_all(&top).unwrap();
        fs::write(top.join("file"), "#!/bin/sh x\nrest").unwrap();
        symlink(top.join("file"), top.join("link")).unwrap();
        mkfifoat(CWD, top.join("pipe"), Mode::from_raw_mode(0o700)).unwrap();
        assert_eq!(head(&top.join("file"), 4).unwrap(), b"#!/b");
        for other in ["link", "pipe", "none", "."] {
            assert_eq!(head(&top.join(other), 4), None, "{other}");
            assert_eq!(program(&top.join(other)), None, "{other}");
        }
        assert_eq!(head(Path::new("/dev/zero"), 4), None);
        assert_eq!(program(&top.join("file")), None, "it cannot be executed");
        fs::set_permissions(top.join("file"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(program(&top.join("file")), Some(Program::Script(b"/bin/sh x".to_vec())));
        assert_eq!(program(Path::new("/proc/self/exe")), None, "a link");
        let itself = std::env::current_exe().unwrap();
        assert_eq!(program(&itself), Some(Program::Binary));
        fs::remove_dir_all(&top).unwrap();
    }
}
