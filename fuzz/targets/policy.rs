//! Any text as a policy file. It is resolved, or everything that is wrong with it can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade::config::{Flags, Resolved, Source};

fuzz_target!(|text: &str| {
    let source = Source { path: "stockade.toml".into(), text: text.into() };
    if let Err(error) = Resolved::new(Some(source), &Flags::default()) {
        for colour in [false, true] {
            assert!(error.render(colour).contains("error"));
        }
        assert!(error.to_json().is_object() || error.to_json().is_array());
    }
});
