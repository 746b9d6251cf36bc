//! The directory of a ledger: which files it has, and how they are opened, locked, replaced and
//! read. Nothing here knows what the lines mean.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::chain::LINE_BYTES_MAX;
use crate::clock;
use crate::error::Error;

/// How long to wait for another process to finish with the manifest, which takes milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

const SEGMENT_SUFFIX: &str = ".jsonl";
const MANIFEST: &str = "manifest.jsonl";

/// The directory of a ledger.
#[derive(Debug, Clone)]
pub(crate) struct Dir(PathBuf);

/// The name of a segment. Only letters, digits and `-`, so that it cannot lead out of the directory;
/// it begins with the time it was opened at, so that names sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(String);

impl Dir {
    /// The directory, made if it is not there, and private.
    pub(crate) fn make(path: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| open_failed(path, source))?;
        let meta = fs::metadata(path).map_err(|source| open_failed(path, source))?;
        private(path, &meta)?;
        Ok(Self(path.to_owned()))
    }

    /// The directory, which must be there.
    pub(crate) fn existing(path: &Path) -> Result<Self, Error> {
        fs::read_dir(path).map_err(|source| open_failed(path, source))?;
        Ok(Self(path.to_owned()))
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key")
    }

    pub(crate) fn public_key(&self) -> PathBuf {
        self.0.join("key.pub")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join(MANIFEST)
    }

    pub(crate) fn manifest_head(&self) -> PathBuf {
        self.0.join("manifest.head")
    }

    pub(crate) fn segment(&self, name: &Name) -> PathBuf {
        self.0.join(format!("{}{SEGMENT_SUFFIX}", name.0))
    }

    /// How long the file of a segment is now.
    pub(crate) fn segment_bytes(&self, name: &Name) -> Option<u64> {
        let meta = fs::metadata(self.segment(name)).ok()?;
        Some(meta.len())
    }

    /// What a segment is called until the manifest has it.
    pub(crate) fn draft(&self, name: &Name) -> PathBuf {
        self.0.join(format!("{}.opening", name.0))
    }

    pub(crate) fn head(&self, name: &Name) -> PathBuf {
        self.0.join(format!("{}.head", name.0))
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.0.join("index.sqlite")
    }

    /// The segments that are there, oldest first, whatever the manifest says.
    pub(crate) fn segments(&self) -> Result<Vec<Name>, Error> {
        let stems = self.segment_stems()?;
        Ok(stems.iter().filter_map(|it| Name::parse(it)).collect())
    }

    /// The names of all files that look like segments, sorted.
    pub(crate) fn segment_stems(&self) -> Result<Vec<String>, Error> {
        let failed = |source| read_failed(&self.0, source);
        let mut stems = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            if let Some(stem) = name.strip_suffix(SEGMENT_SUFFIX)
                && name != MANIFEST
            {
                stems.push(stem.to_owned());
            }
        }
        stems.sort_unstable();
        Ok(stems)
    }
}

impl Name {
    pub(crate) fn new(at_ms: u64) -> Result<Self, Error> {
        let random = getrandom::u32().map_err(Error::Random)?;
        let at = clock::compact(&clock::text(at_ms));
        Ok(Self(format!("{at}-{}-{random:08x}", std::process::id())))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
        let fits = (1..=128).contains(&text.len()) && text.chars().all(plain);
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Refuses what other users may read or write.
pub(crate) fn private(path: &Path, meta: &fs::Metadata) -> Result<(), Error> {
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(Error::Exposed { path, mode });
    }
    Ok(())
}

/// Options for a file of a ledger: private when made, and never reached through a link.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    options.mode(0o600).custom_flags(no_follow);
    options
}

pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<File, Error> {
    options.open(path).map_err(|source| open_failed(path, source))
}

/// A small file as text, or nothing where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match options().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(open_failed(path, source)),
    };
    let mut text = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut text).map_err(|source| read_failed(path, source))?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Puts a file in place whole: a reader sees the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8], to_disk: bool) -> Result<(), Error> {
    let failed = |source| write_failed(path, source);
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    let draft = PathBuf::from(draft);
    let mut file =
        options().write(true).create(true).truncate(true).open(&draft).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    if to_disk {
        file.sync_data().map_err(failed)?;
    }
    fs::rename(&draft, path).map_err(failed)
}

/// Whether the path still leads to this open file, and the file has this many bytes.
pub(crate) fn unchanged(path: &Path, file: &File, bytes: u64) -> Result<(), Error> {
    match identity(path, file)?.leads(path)?.len() == bytes {
        true => Ok(()),
        false => Err(Error::Replaced { path: path.to_owned() }),
    }
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// Which file this is that was opened at `path`.
pub(crate) fn identity(path: &Path, file: &File) -> Result<Identity, Error> {
    let held = file.metadata().map_err(|source| read_failed(path, source))?;
    Ok(Identity(held.dev(), held.ino()))
}

impl Identity {
    /// What is at the path, if that is still this file.
    pub(crate) fn leads(self, path: &Path) -> Result<Metadata, Error> {
        let replaced = || Error::Replaced { path: path.to_owned() };
        let found = fs::symlink_metadata(path).map_err(|_| replaced())?;
        if self == Self(found.dev(), found.ino()) { Ok(found) } else { Err(replaced()) }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Lock {
    Shared,
    Exclusive,
}

/// Waits for the lock, for a while.
pub(crate) fn lock(path: &Path, file: &File, lock: Lock) -> Result<(), Error> {
    let until = Instant::now() + LOCK_WAIT;
    loop {
        let tried = match lock {
            Lock::Shared => file.try_lock_shared(),
            Lock::Exclusive => file.try_lock(),
        };
        let path = || path.to_owned();
        match tried {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: path() }),
            Err(TryLockError::Error(source)) => return Err(open_failed(&path(), source)),
        }
    }
}

/// The lines of a file from some byte on, each bounded.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    byte: u64,
}

/// What was read: a line without its line break, or the rest of a file that does not end in one.
/// Of a line that is longer than any record only the beginning comes, which is no record.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    Whole(&'a [u8]),
    Rest,
}

impl Lines {
    pub(crate) fn open(path: PathBuf) -> Result<Self, Error> {
        let file = open(&path, options().read(true))?;
        Ok(Self::new(path, file))
    }

    pub(crate) fn new(path: PathBuf, file: File) -> Self {
        Self { path, reader: BufReader::with_capacity(1 << 16, file), line: Vec::new(), byte: 0 }
    }

    pub(crate) fn seek(&mut self, byte: u64) -> Result<(), Error> {
        self.reader
            .seek(SeekFrom::Start(byte))
            .map_err(|source| read_failed(&self.path, source))?;
        self.byte = byte;
        Ok(())
    }

    /// Goes to where the last `n` lines begin, and a last one that is not finished does not count.
    pub(crate) fn seek_last(&mut self, n: usize) -> Result<(), Error> {
        let failed = |source| read_failed(&self.path, source);
        let file = self.reader.get_ref();
        let mut end = file.metadata().map_err(failed)?.len();
        let mut block = vec![0; 1 << 16];
        // One more than lines, because each begins after the end of the one before.
        let mut breaks = 0;
        while end > 0 {
            let size = end.min(1 << 16);
            let start = end - size;
            let block = block.get_mut(..usize::try_from(size).unwrap_or(0)).unwrap_or_default();
            file.read_exact_at(block, start).map_err(failed)?;
            for (back, _) in (0..).zip(block.iter().rev()).filter(|it| *it.1 == b'\n') {
                if breaks == n {
                    return self.seek(end - back);
                }
                breaks += 1;
            }
            end = start;
        }
        self.seek(0)
    }

    /// Where the next line begins.
    pub(crate) fn byte(&self) -> u64 {
        self.byte
    }

    /// The next line, if there is one. After a rest, the same rest is read again.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, Error> {
        self.line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let mut read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.line)
            .map_err(|source| read_failed(&self.path, source))?;
        if read == 0 {
            return Ok(None);
        }
        let is_too_long = read == LINE_BYTES_MAX && !self.line.ends_with(b"\n");
        if is_too_long {
            let skipped = self.reader.skip_until(b'\n');
            read += skipped.map_err(|source| read_failed(&self.path, source))?;
        } else if !self.line.ends_with(b"\n") {
            self.seek(self.byte)?;
            return Ok(Some(Line::Rest));
        } else {
            self.line.pop();
        }
        self.byte += u64::try_from(read).unwrap_or(0);
        Ok(Some(Line::Whole(&self.line)))
    }

    pub(crate) fn file(&self) -> &File {
        self.reader.get_ref()
    }
}

pub(crate) fn open_failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Open { path, source }
}

pub(crate) fn read_failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Read { path, source }
}

pub(crate) fn write_failed(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Write { path, source }
}
