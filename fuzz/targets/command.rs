//! Any text as a command line. What has words without a shell has the same ones when each is quoted,
//! and what passes is started by the name that stood there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_kit::command::{known, line};

fuzz_target!(|text: &str| {
    let Ok(words) = line::words(text) else { return };
    // Quotes make a line longer, and there is a bound on that.
    if text.len() <= 4096 && words.iter().all(|it| !it.contains('\'')) {
        let quoted: Vec<String> = words.iter().map(|it| format!("'{it}'")).collect();
        assert_eq!(line::words(&quoted.join(" ")).as_ref(), Ok(&words));
    }
    let Ok(argv) = known::judge(&words, &["/proj"]) else { return };
    let name = words[0].rsplit('/').next();
    assert_eq!(name, Some(argv.program()));
    for argument in argv.args() {
        assert!(!argument.chars().any(|it| it.is_control()), "{argument:?}");
        let climbs = argument.split('/').any(|it| it == "..");
        let is_text = matches!(
            argv.program(),
            "git" | "grep" | "rg" | "find" | "echo" | "cut" | "sort" | "stat"
        );
        assert!(!climbs || is_text || !argument.starts_with(".."), "{argument:?}");
    }
});
