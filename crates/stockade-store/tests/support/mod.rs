//! What tests of a ledger have together.

use std::io::Write;
use std::path::Path;

use stockade_store::{Cursor, Error, Export};

/// All of it as lines, and how many there are.
pub(crate) fn export(dir: &Path, mut out: impl Write) -> Result<u64, Error> {
    let mut export = Export::open(dir, Cursor::default(), None)?;
    let mut records = 0;
    loop {
        let more = export.more(7)?;
        if more.is_empty() {
            return Ok(records);
        }
        for record in more {
            writeln!(out, "{}", record.json).unwrap();
            records += 1;
        }
    }
}
