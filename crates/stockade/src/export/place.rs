//! Who receives an export, and how it is known what they have taken.
//!
//! A file has what is on the disk. Of a connection, syslog acknowledges nothing (RFC 6587, RFC 5425);
//! but who has read a connection to its end closes it as well, and over TLS says so. So each connection
//! has some records, is ended by us, and counts once the receiver has ended it too: by then it has read
//! all of them. One that ends it before we have, as it does when it is started anew, proves nothing:
//! what was on its way by then is lost. That is why the end that comes is held against what was
//! acknowledged. A socket for datagrams has them in its queue, and no more than that is known.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt;
use rustix::fs::OFlags;
use stockade_sandbox::unacknowledged;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixDatagram, UnixStream};
use tokio::time::timeout;

use super::cursor::Length;
use crate::alerts::sink::WRONG_TYPE;
use crate::tls::Tls;

/// How long a receiver may take for one record, and to end a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standard output.
    Output,
    /// A file, which is added to.
    File(PathBuf),
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
    /// The same, over TLS.
    Tls(String),
}

impl Place {
    /// Reads `-`, `unix:PATH`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or a file.
    ///
    /// # Errors
    /// What is wanted in place of it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str =
            "a file, `-`, `unix:PATH`, `tcp://HOST:PORT` or `tls://HOST:PORT` is wanted";
        if text == "-" {
            return Ok(Self::Output);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(WANTED) } else { Ok(Self::Unix(path.into())) };
        }
        let Some((scheme, place)) = text.split_once("://") else {
            return if text.is_empty() { Err(WANTED) } else { Ok(Self::File(text.into())) };
        };
        let authority: http::uri::Authority = place.parse().map_err(|_| WANTED)?;
        if authority.port_u16().is_none() || authority.host().is_empty() || place.contains('@') {
            return Err(WANTED);
        }
        match scheme {
            "tcp" => Ok(Self::Tcp(place.to_owned())),
            "tls" => Ok(Self::Tls(place.to_owned())),
            _ => Err(WANTED),
        }
    }

    /// Whether it is on the other side of a connection, and may be back in a moment.
    pub fn is_elsewhere(&self) -> bool {
        match self {
            Self::Output | Self::File(_) => false,
            Self::Unix(_) | Self::Tcp(_) | Self::Tls(_) => true,
        }
    }
}

/// How one record is told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Its line ends.
    Line,
    /// Its length stands before it, over a connection (RFC 6587, 3.4.1; RFC 5425, 4.3).
    Counted,
}

/// A receiver that can be told something.
#[derive(Debug)]
pub enum Receiver {
    /// Standard output.
    Output,
    /// A file.
    File(Appended),
    /// A socket.
    Unix(PathBuf),
    /// A connection, each time a new one.
    Tcp(String),
    /// The same, and whose word is taken for the end of it.
    Tls(String, Tls, End),
}

/// What says that a receiver has read a connection over TLS to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The receiver itself (`close_notify`), as RFC 5425 demands.
    Said,
    /// The end of the connection below, which anybody on the way can make.
    Below,
}

/// A receiver has ended a connection over TLS, and has not said so.
#[derive(Debug, thiserror::Error)]
#[error(
    "it ended the connection without saying so (close_notify), so nobody knows how much it has read"
)]
pub struct Unsaid;

impl Receiver {
    /// Has all of these lines taken, in order. When this returns, they are, as far as can be known.
    ///
    /// # Errors
    /// When they are not, or not all of them, or nobody can say.
    pub async fn take(&mut self, lines: &[String], framing: Framing) -> io::Result<()> {
        match self {
            Self::Output => {
                let mut out = io::stdout().lock();
                lines.iter().try_for_each(|it| writeln!(out, "{it}"))?;
                out.flush()
            }
            Self::File(file) => file.add(lines),
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(&path) {
                    Ok(()) => {
                        for line in lines {
                            in_time(socket.send(line.as_bytes())).await?;
                        }
                        Ok(())
                    }
                    Err(error) if error.raw_os_error() == Some(WRONG_TYPE) => {
                        let stream = in_time(UnixStream::connect(&path)).await?;
                        told(stream, lines, Framing::Line).await.map(drop)
                    }
                    Err(error) => Err(error),
                }
            }
            Self::Tcp(place) => {
                let stream = in_time(TcpStream::connect(&*place)).await?;
                has_all(&told(stream, lines, framing).await?)
            }
            Self::Tls(place, tls, end) => {
                let mut stream = in_time(tls.connect(place)).await?;
                say(&mut stream, lines, framing).await?;
                match (ended(&mut stream).await, end) {
                    (Ok(()), _) => (),
                    // What is cut off in place of being ended is an error of TLS.
                    (Err(error), End::Below) if is_cut_off(&error) => (),
                    (Err(error), End::Said) if is_cut_off(&error) => {
                        return Err(io::Error::new(error.kind(), Unsaid));
                    }
                    (Err(error), End::Said | End::Below) => return Err(error),
                }
                // Who says so and has not read everything has the connection below reset.
                let (mut below, _) = stream.into_inner();
                ended(&mut below).await?;
                has_all(&below)
            }
        }
    }

    /// Of a file, what there is of it.
    pub fn length(&self) -> Option<Length> {
        match self {
            Self::File(file) => Some(file.length),
            Self::Output | Self::Unix(_) | Self::Tcp(_) | Self::Tls(..) => None,
        }
    }
}

async fn in_time<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads there"));
    timeout(PATIENCE, work).await.unwrap_or_else(late)
}

/// Says all of it, ends the connection, and waits until the other side has ended it as well.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    lines: &[String],
    framing: Framing,
) -> io::Result<S> {
    say(&mut stream, lines, framing).await?;
    ended(&mut stream).await?;
    Ok(stream)
}

/// Says all of it, and ends the connection.
async fn say(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    lines: &[String],
    framing: Framing,
) -> io::Result<()> {
    for line in lines {
        let framed = match framing {
            Framing::Line => format!("{line}\n"),
            Framing::Counted => format!("{} {line}", line.len()),
        };
        in_time(stream.write_all(framed.as_bytes())).await?;
    }
    in_time(stream.flush()).await?;
    let mut unread = [0; 4096];
    while let Some(read) = stream.read(&mut unread).now_or_never() {
        match read {
            Ok(0) => return Err(too_soon()),
            Err(error) if is_cut_off(&error) => return Err(too_soon()),
            read => read?,
        };
    }
    in_time(stream.shutdown()).await
}

/// Whether the connection below TLS has ended, and nobody has said so in it.
fn is_cut_off(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut unread = [0; 4096];
    while in_time(stream.read(&mut unread)).await? > 0 {}
    Ok(())
}

/// Whether the other side has ended the connection after all that was said, and not while some of it
/// was on its way: by then its kernel has acknowledged everything, and our end.
fn has_all(connection: &TcpStream) -> io::Result<()> {
    if unacknowledged(connection.as_fd())? == 0 { Ok(()) } else { Err(too_soon()) }
}

fn too_soon() -> io::Error {
    let says = "it ended the connection before it had read all of it";
    io::Error::new(io::ErrorKind::ConnectionAborted, says)
}

/// A file that is added to.
#[derive(Debug)]
pub struct Appended {
    path: PathBuf,
    file: File,
    length: Length,
}

impl Appended {
    /// Opens a file to be added to. What an export that was killed has written and not noted goes
    /// again: it is written once more, and the same.
    ///
    /// # Errors
    /// When it cannot be opened or is no file.
    pub fn open(path: &Path, kept: Option<Length>) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
            return Err(no_file());
        }
        // Nobody waits for the reader of a pipe, whenever it was put there.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let options = options.append(true).create(true).mode(0o600).custom_flags(flags);
        let file = options.open(path)?;
        let mut length = of(&file)?;
        let is_same = |it: &Length| (it.device, it.inode) == (length.device, length.inode);
        if let Some(kept) = kept.filter(is_same).filter(|it| it.bytes < length.bytes) {
            file.set_len(kept.bytes)?;
            length = kept;
        }
        Ok(Self { path: path.to_owned(), file, length })
    }

    fn add(&mut self, lines: &[String]) -> io::Result<()> {
        // Whoever rotates it has moved it away: the next is begun.
        let is_here = fs::metadata(&self.path)
            .is_ok_and(|it| (it.dev(), it.ino()) == (self.length.device, self.length.inode));
        if !is_here {
            *self = Self::open(&self.path, None)?;
        }
        let before = of(&self.file)?;
        let mut text = lines.join("\n");
        text.push('\n');
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A part of it would be there twice.
            self.file.set_len(before.bytes)?;
            return Err(error);
        }
        self.length = of(&self.file)?;
        Ok(())
    }
}

fn of(file: &File) -> io::Result<Length> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(no_file());
    }
    Ok(Length { device: meta.dev(), inode: meta.ino(), bytes: meta.len() })
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "this is no ordinary file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_file_a_socket_or_a_host_with_a_port() {
        assert_eq!(Place::parse("-"), Ok(Place::Output));
        assert_eq!(Place::parse("a/b.jsonl"), Ok(Place::File("a/b.jsonl".into())));
        assert_eq!(Place::parse("unix:/dev/log"), Ok(Place::Unix("/dev/log".into())));
        assert_eq!(Place::parse("tcp://[::1]:514"), Ok(Place::Tcp("[::1]:514".to_owned())));
        assert_eq!(Place::parse("tls://a.example:6514"), Ok(Place::Tls("a.example:6514".into())));
        for text in ["", "unix:", "tls://a.example", "udp://a:1", "tcp://u@a:1", "tcp://:1"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn who_ends_a_connection_first_has_not_taken_what_came_after() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lines = ["one".to_owned()];
        // It has ended all of it, or only what it says itself.
        for is_all in [true, false] {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut other, _) = listener.accept().await.unwrap();
            other.shutdown().await.unwrap();
            let held = (!is_all).then_some(other);
            stream.readable().await.unwrap();
            let error = told(stream, &lines, Framing::Line).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
            drop(held);
        }
        // It ends it after we have, and what we said was still on its way.
        let mut stream = TcpStream::connect(address).await.unwrap();
        let (other, _) = listener.accept().await.unwrap();
        drop(other);
        stream.write_all(b"one\n").await.unwrap();
        stream.shutdown().await.unwrap();
        ended(&mut stream).await.unwrap();
        let error = has_all(&stream).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
        // It ends it when it has read all of it.
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let read = tokio::spawn(async move {
            let mut all = String::new();
            other.read_to_string(&mut all).await.map(|_| all)
        });
        has_all(&told(stream, &lines, Framing::Counted).await.unwrap()).unwrap();
        assert_eq!(read.await.unwrap().unwrap(), "3 one");
    }

    #[test]
    fn what_was_written_and_not_noted_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let add = |kept, text: &str| {
            let mut file = Appended::open(&path, kept).unwrap();
            file.add(&[text.to_owned()]).unwrap();
            file.length
        };
        let noted = add(None, "one");
        add(Some(noted), "two");
        add(Some(noted), "two");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        // One that somebody has put there since is not cut.
        fs::write(dir.path().join("new"), "somebody else's\n").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        add(Some(Length { bytes: 3, ..noted }), "three");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's\nthree\n");
    }
}
