//! Any text, as what a tool says of itself and as a result. Nothing breaks, no word of a finding is
//! longer than a sentence, and a text costs no more than so much a byte.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use stockade_core::detect::{Of, Said, look};

/// With coverage counters and checks of overflow compiled in, on a busy machine.
const NANOSECONDS_A_BYTE: u32 = 40_000;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let start = Instant::now();
    for of in [Of::Description, Of::Value, Of::Name, Of::Content] {
        let Some(seen) = look(Said { text, of, is_own: &|it| it == "own_name" }) else { continue };
        assert!((50..=100).contains(&seen.confidence));
        assert!(!seen.reasons.is_empty(), "{seen:?}");
        for (_, words) in &seen.reasons {
            assert!(words.iter().all(|it| it.len() <= 1300), "{seen:?}");
        }
    }
    let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_add(1000);
    assert!(start.elapsed() < Duration::from_nanos(NANOSECONDS_A_BYTE.into()) * bytes);
});
