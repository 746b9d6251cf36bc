//! Bytes as a frame. What is read is what another strict reader reads, and every value is where
//! its pointer says.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use stockade_core::json::Limits;
use stockade_core::message::{Frame, Message, Side};

/// Pointers are tried on so many values: finding each costs as much as all before it.
const POINTERS_MAX: usize = 200;

fuzz_target!(|input: &[u8]| {
    let source = Bytes::copy_from_slice(input);
    match Frame::parse(Side::Client, source, &Limits::default()) {
        Ok(Frame::One(message)) => {
            assert_eq!(message.bytes(), input);
            read(&message);
        }
        Ok(Frame::Batch(parts)) => parts.iter().flatten().for_each(read),
        Err(malformed) => assert!(!malformed.says.is_empty()),
    }
});

fn read(message: &Message) {
    let root = message.root();
    let value: Value = serde_json::from_slice(message.bytes()).expect("read by one reader only");
    assert_eq!(root.to_value(), value, "read in two ways");
    for json in root.all().take(POINTERS_MAX) {
        let pointer = json.pointer();
        let found = root.at_pointer(&pointer).expect("a pointer to nothing");
        assert_eq!(found.number(), json.number(), "{pointer} points elsewhere");
        assert_eq!(value.pointer(&pointer), Some(&json.to_value()), "{pointer} (RFC 6901)");
    }
}
