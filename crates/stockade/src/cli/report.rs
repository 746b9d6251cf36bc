//! What `stockade sandbox --trace` says in the end: what the command has touched.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use stockade_core::check::{escaped, visible};
use stockade_sandbox::{How, Touched};

use super::Format;
use crate::failure::{Exit, Failure};
use crate::guard::watch::in_words;

/// Where it is said, and how.
#[derive(Debug)]
pub(super) struct Report {
    /// Standard error, if there is none.
    file: Option<File>,
    format: Format,
}

impl Report {
    /// A report that can be written: a file is made anew.
    pub(super) fn new(file: Option<&Path>, format: Format) -> Result<Self, Failure> {
        let create = |path: &Path| {
            File::create(path).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot write to `{}`", path.display()))
                    .from(error)
                    .help("name a file that can be written after `--trace=`")
            })
        };
        Ok(Self { file: file.map(create).transpose()?, format })
    }

    pub(super) fn write(self, touched: &Touched) -> Result<(), Failure> {
        let text = match self.format {
            Format::Human => in_lines(touched),
            Format::Json => format!("{}\n", escaped(&json!(in_words(touched)).to_string())),
        };
        let written = match self.file {
            Some(mut file) => file.write_all(text.as_bytes()),
            None => match anstream::stderr().write_all(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            },
        };
        written.map_err(|it| Failure::new(Exit::Usage, "cannot write what was touched").from(it))
    }
}

/// One line for each thing, by what was done to it.
fn in_lines(touched: &Touched) -> String {
    let sorts = [
        (How::Read, false, "read"),
        (How::Write, false, "written"),
        (How::Execute, false, "executed"),
        (How::Connect, false, "reached"),
        (How::Own, false, "reached, of its own"),
        (How::Listen, false, "listened at"),
        (How::Use, false, "used, and in no root"),
        (How::Read, true, "refused to read"),
        (How::Write, true, "refused to write"),
        (How::Execute, true, "refused to execute"),
        (How::Connect, true, "refused to reach"),
        (How::Listen, true, "refused to listen at"),
    ];
    let mut text = String::new();
    for (how, refused, says) in sorts {
        let mut things = touched.of(how, refused).map(OsStr::to_string_lossy).peekable();
        if things.peek().is_some() {
            text.push_str(&format!("{says}\n"));
        }
        for thing in things {
            text.push_str(&format!("  {}\n", visible(&thing)));
        }
    }
    if touched.more > 0 {
        let more = touched.more;
        text.push_str(&format!("and {more} times more, perhaps of the same\n"));
    }
    if touched.unseen > 0 {
        text.push_str(&format!("{} calls could not be looked into\n", touched.unseen));
    }
    if text.is_empty() { "nothing was touched\n".to_owned() } else { text }
}
