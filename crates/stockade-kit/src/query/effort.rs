//! How much is read for one question. Each text may be short, and there may be any number of them.

use std::cell::Cell;

use super::Refusal;

/// How much SQL may be read: a text counts once for each dialect that it is read by. By default, more
/// than anybody writes.
///
/// ```
/// use stockade_kit::query::{Dialect, Effort, Query, Refusal};
///
/// let effort = Effort::new(1000);
/// let sql = format!("SELECT {}1", "1, ".repeat(200));
/// assert!(Query::parse_within(Dialect::Sqlite, &sql, &effort).is_ok());
/// let again = Query::parse_within(Dialect::Sqlite, &sql, &effort);
/// assert_eq!(again.unwrap_err(), Refusal::TooMuch);
/// ```
#[derive(Debug)]
pub struct Effort {
    left: Cell<usize>,
}

impl Effort {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { left: Cell::new(bytes) }
    }

    /// Takes some of it. What did not suffice once is used up.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Refusal> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or_default());
        left.map(drop).ok_or(Refusal::TooMuch)
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}
