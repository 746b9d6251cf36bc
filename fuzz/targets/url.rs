//! Any text as a URL, and as where it redirects. What is read has one spelling and one reading.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_kit::address;
use stockade_kit::url::Url;

const WEB: [&str; 2] = ["http", "https"];

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(2, '\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next());
    let Ok(url) = Url::parse(first, &WEB) else { return };
    holds(&url);
    if let Some(Ok(next)) = second.map(|it| url.redirect(it, &WEB)) {
        holds(&next);
        assert!(!url.as_str().starts_with("https:") || next.as_str().starts_with("https:"));
    }
});

fn holds(url: &Url) {
    assert_eq!(Url::parse(url.as_str(), &WEB).as_ref(), Ok(url));
    assert!(url.port() != 0);
    match url.address() {
        Some(address) => assert_eq!(url.judge().is_ok(), address::resolved(address).is_ok()),
        None => {
            let plain = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
            assert!(!url.host().is_empty() && url.host().chars().all(plain), "{url}");
        }
    }
}
