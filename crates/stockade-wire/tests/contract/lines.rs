//! Transports that need no HTTP: lines over a duplex and over the pipes of a child, and memory.

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use stockade_core::judge::Cleared;
use stockade_wire::error::WireError;
use stockade_wire::frame::{Frames, Lines};
use stockade_wire::memory::{self, MemoryReader, MemoryWriter};
use stockade_wire::stdio::{SharedWriter, StdioWriter};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{Bad, Peer, Sends, cleared, contract, long, numbered, small};

impl Sends for SharedWriter {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        Self::send(self, message).await
    }
}

impl Sends for MemoryWriter {
    async fn send(&mut self, message: &Cleared) -> Result<(), WireError> {
        Self::send(self, message).await
    }
}

/// A peer that speaks lines.
struct LinePeer<R, W> {
    input: BufReader<R>,
    output: W,
    /// What carries the lines, where that is a program.
    _carriers: Vec<Child>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Peer for LinePeer<R, W> {
    async fn says(&mut self, bytes: &[u8]) {
        // An error is the other side's having heard enough.
        let _ = self.output.write_all(&[bytes, b"\n"].concat()).await;
    }

    async fn hears(&mut self) -> Option<Bytes> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).await.unwrap();
        let line = line.strip_suffix(b"\n")?;
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        Some(Bytes::copy_from_slice(line))
    }

    async fn goes(self) {}
}

impl Peer for memory::Peer {
    async fn says(&mut self, bytes: &[u8]) {
        self.say(Bytes::copy_from_slice(bytes)).await.unwrap();
    }

    async fn hears(&mut self) -> Option<Bytes> {
        self.hear().await
    }

    async fn goes(self) {}
}

type Duplex = (Lines<DuplexStream>, SharedWriter, LinePeer<DuplexStream, DuplexStream>);

async fn duplex_link() -> Duplex {
    let (output, peer_input) = tokio::io::duplex(1 << 10);
    let (input, peer_output) = tokio::io::duplex(1 << 10);
    let (writer, _) = StdioWriter::new(output).share(&small());
    let input = Lines::new(input, &small());
    let peer_input = BufReader::new(peer_input);
    (input, writer, LinePeer { input: peer_input, output: peer_output, _carriers: Vec::new() })
}

/// Two `cat`s, one for each way.
async fn pipes_link() -> (Lines<ChildStdout>, SharedWriter, LinePeer<ChildStdout, ChildStdin>) {
    let cat = || {
        let mut cat = Command::new("cat");
        cat.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        cat.spawn().unwrap()
    };
    let (mut out, mut back) = (cat(), cat());
    let (writer, _) = StdioWriter::new(out.stdin.take().unwrap()).share(&small());
    let reader = Lines::new(back.stdout.take().unwrap(), &small());
    let input = BufReader::new(out.stdout.take().unwrap());
    let output = back.stdin.take().unwrap();
    (reader, writer, LinePeer { input, output, _carriers: vec![out, back] })
}

async fn memory_link() -> (MemoryReader, MemoryWriter, memory::Peer) {
    memory::pair(&small())
}

contract!(duplex, duplex_link(), Bad::LeavesOut);
contract!(pipes, pipes_link(), Bad::LeavesOut);
contract!(memory_pair, memory_link(), Bad::LeavesOut);

#[tokio::test]
async fn a_line_may_come_byte_by_byte() {
    let (input, mut output) = tokio::io::duplex(1);
    let mut reader = Lines::new(input, &small());
    let text = format!("{}\r\n{}\n", numbered(1), numbered(2));
    let (written, ()) = tokio::join!(output.write_all(text.as_bytes()), async {
        assert_eq!(reader.next().await.unwrap().unwrap(), numbered(1));
        assert_eq!(reader.next().await.unwrap().unwrap(), numbered(2));
    });
    written.unwrap();
}

#[tokio::test]
async fn reading_may_be_given_up_in_the_middle_of_a_line() {
    let (input, mut output) = tokio::io::duplex(64);
    let mut reader = Lines::new(input, &small());
    for part in ["{\"a\":", "1}\n"] {
        output.write_all(part.as_bytes()).await.unwrap();
        tokio::select! {
            biased;
            it = reader.next() => assert_eq!(it.unwrap().unwrap(), "{\"a\":1}"),
            () = std::future::ready(()) => {}
        }
    }
    drop(output);
    assert!(reader.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_peer_that_goes_in_the_middle_of_a_line_leaves_what_it_said() {
    let (input, mut output) = tokio::io::duplex(64);
    let mut reader = Lines::new(input, &small());
    output.write_all(b"{\"half\":").await.unwrap();
    drop(output);
    assert_eq!(reader.next().await.unwrap().unwrap(), "{\"half\":");
    assert!(reader.next().await.unwrap().is_none());
    assert!(reader.next().await.unwrap().is_none());
}

/// Sends until a send has to wait, and says how many went. The clock stands still as long as any
/// task has something to do, so a timeout says that none has.
async fn sends_before_it_waits(writer: &mut impl Sends, message: &Cleared) -> usize {
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(1), writer.send(message)).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "nothing ever waits");
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_a_peer_that_does_not_read() {
    let (_reader, mut writer, mut peer) = duplex_link().await;
    let message = cleared(&long(8 << 10));
    let sent = sends_before_it_waits(&mut writer, &message).await;
    // The queue of 64 KiB, as much again that is being written, and the pipe.
    assert!((8..=20).contains(&sent), "{sent}");
    for _ in 0..sent {
        assert_eq!(peer.hears().await.unwrap(), message.bytes());
    }
    // The send that was given up was not half sent.
    let (last, heard) = (cleared(&numbered(1)), peer.hears());
    let (sent, heard) = tokio::join!(writer.send(&last), heard);
    sent.unwrap();
    assert_eq!(heard.unwrap(), last.bytes());
}

#[tokio::test(start_paused = true)]
async fn a_sender_in_memory_waits_too() {
    let (_reader, mut writer, _peer) = memory_link().await;
    assert_eq!(sends_before_it_waits(&mut writer, &cleared(&numbered(1))).await, 64);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_hears_that_the_peer_has_gone() {
    let (_reader, mut writer, peer) = duplex_link().await;
    let message = cleared(&long(8 << 10));
    sends_before_it_waits(&mut writer, &message).await;
    let waiting = async { assert!(matches!(writer.send(&message).await, Err(WireError::Closed))) };
    tokio::join!(waiting, peer.goes());
    writer.closed().await;
}

#[tokio::test]
async fn many_tasks_send_whole_lines_each_in_its_order() {
    let (output, peer_input) = tokio::io::duplex(1 << 10);
    let (writer, task) = StdioWriter::new(output).share(&small());
    for sender in 0..8 {
        let writer = writer.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                writer.send(&cleared(&numbered(sender * 1000 + n))).await.unwrap();
            }
        });
    }
    drop(writer);
    let mut lines = BufReader::new(peer_input).lines();
    let mut next = [0; 8];
    while let Some(line) = lines.next_line().await.unwrap() {
        let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_u64().unwrap();
        let sender = usize::try_from(id / 1000).unwrap();
        assert_eq!(id % 1000, next[sender]);
        next[sender] += 1;
    }
    assert_eq!(next, [100; 8]);
    task.await.unwrap().unwrap();
}
