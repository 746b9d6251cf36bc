//! Any message, from either side, as an answer to any method. What clears can be read again, and
//! judging it again changes nothing and clears.
//!
//! The first line is the side, the method that is answered, and the revision, apart by spaces.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use stockade_core::json::Limits;
use stockade_core::judge::judge;
use stockade_core::message::{Frame, Message, Side};
use stockade_core::policy::Policy;
use stockade_core::revision::Revision;
use stockade_core::subject::Facts;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |it| *it == b'\n');
    let (Some(head), Some(text)) = (lines.next(), lines.next()) else { return };
    let Ok(head) = std::str::from_utf8(head) else { return };
    let mut words = head.split(' ');
    let from = if words.next() == Some("server") { Side::Server } else { Side::Client };
    let method = words.next().unwrap_or_default();
    let revision = words.next().and_then(Revision::parse).unwrap_or(Revision::V2025_11_25);
    let Ok(Frame::One(message)) =
        Frame::parse(from, Bytes::copy_from_slice(text), &Limits::default())
    else {
        return;
    };
    let method = message.method().unwrap_or(method).to_owned();
    let policy = Policy::default();
    let facts = Facts { method: &method, revision, ..Facts::alone(from) };
    let judgement = judge(*message, &facts, &policy);
    assert!(judgement.findings().iter().all(|it| !it.says.is_empty()));
    let Ok(cleared) = judgement.clear() else { return };
    let sent = Message::parse(from, cleared.bytes().clone(), &Limits::default())
        .expect("cleared what cannot be read");
    let judgement = judge(sent, &facts, &policy);
    assert!(!judgement.mended(), "judged again, it is mended again: {judgement:?}");
    let again = judgement.clear().expect("judged again, it does not clear");
    assert_eq!(again.bytes(), cleared.bytes());
});
