//! What a server of event streams writes. Pure: whoever has the connection sends it.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;

/// A comment, which a client ignores and a proxy in between takes for life.
pub const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// What an event is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// A message.
    #[default]
    Message,
    /// The address that messages are posted to, of 2024-11-05.
    Endpoint,
}

/// An event to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// Its id, where the client may come back to it.
    pub id: Option<&'a str>,
    /// What it is called.
    pub name: Name,
    /// How long the client shall wait before it comes back.
    pub retry: Option<Duration>,
    /// What it carries. Empty, it carries nothing but its id.
    pub data: &'a [u8],
}

/// Writes an event. Line ends in the data become those of the format: in JSON they can only stand
/// between tokens.
pub fn encode(event: &Outgoing<'_>) -> Bytes {
    let mut out = String::with_capacity(128);
    match event.name {
        // The default name, said for clients that look for it.
        Name::Message => out.push_str("event: message\n"),
        Name::Endpoint => out.push_str("event: endpoint\n"),
    }
    // Writing to a string does not fail.
    if let Some(id) = event.id {
        let _ = writeln!(out, "id: {id}");
    }
    if let Some(retry) = event.retry {
        let _ = writeln!(out, "retry: {}", retry.as_millis());
    }
    let mut out = out.into_bytes();
    out.reserve(event.data.len() + 9);
    let mut rest = Some(event.data);
    while let Some(data) = rest {
        let end = memchr::memchr2(b'\r', b'\n', data);
        let (line, after) = data.split_at(end.unwrap_or(data.len()));
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = end.map(|_| {
            let after = after.strip_prefix(b"\r").unwrap_or(after);
            after.strip_prefix(b"\n").unwrap_or(after)
        });
    }
    out.push(b'\n');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: &Outgoing<'_>) -> String {
        String::from_utf8(encode(event).to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_written_line_by_line() {
        let id = Some("ab-7");
        let retry = Some(Duration::from_millis(1500));
        assert_eq!(
            text(&Outgoing { id, retry, data: b"{\r\n1,\r2,\n\n3}", ..Outgoing::default() }),
            "event: message\nid: ab-7\nretry: 1500\n\
             data: {\ndata: 1,\ndata: 2,\ndata: \ndata: 3}\n\n"
        );
        assert_eq!(
            text(&Outgoing { name: Name::Endpoint, data: b"/m?s=1", ..Outgoing::default() }),
            "event: endpoint\ndata: /m?s=1\n\n"
        );
        assert_eq!(text(&Outgoing::default()), "event: message\ndata: \n\n");
    }
}
