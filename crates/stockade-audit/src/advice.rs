//! Bad advice that is known by the form of the code, and not by what a caller's value comes to: of
//! front doors, of filters for messages and for text, and of files that are to be made.
//!
//! What is asked is always the same: here is a check as courses and examples write it; is what it
//! forgets anywhere in the file? A check that does not look like the advice is not looked at.

mod door;
mod file;
mod filter;
mod tree;

use crate::ir::{File, Id};

/// A piece of advice that was followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Followed {
    pub(crate) rule: &'static str,
    pub(crate) line: u32,
    pub(crate) end: u32,
    /// What is wrong there.
    pub(crate) says: String,
}

impl Followed {
    fn at(rule: &'static str, file: &File<'_>, id: Id, says: impl Into<String>) -> Self {
        let (line, end) = file.at(id);
        Self { rule, line, end, says: says.into() }
    }
}

/// All that a file has.
pub(crate) fn followed(file: &File<'_>) -> Vec<Followed> {
    let mut out = Vec::new();
    door::missing_origin(file, &mut out);
    door::empty_list(file, &mut out);
    filter::invisible_characters(file, &mut out);
    filter::duplicate_names(file, &mut out);
    filter::hidden_tools(file, &mut out);
    file::dangling_symlink(file, &mut out);
    out
}
