//! The SQL of one call. Several rules ask what a text says, and it is read once; and all of it together
//! is bounded, since there may be any number of texts in a message, and whoever else uses this process
//! waits for it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use stockade_kit::query::{Dialect, Effort, Query, Refusal};

/// What was read so far, and how much may still be.
#[derive(Debug)]
pub(crate) struct Statements {
    effort: Effort,
    read: RefCell<HashMap<(bool, Box<str>), Read>>,
}

/// What a text says.
pub(crate) type Read = Rc<Result<Vec<Query>, Refusal>>;

impl Statements {
    /// What there is in a text: one statement, or any number of them.
    pub(crate) fn read(&self, dialect: Dialect, sql: &str, is_script: bool) -> Read {
        let key = (is_script, sql.into());
        if let Some(read) = self.read.borrow().get(&key) {
            return Rc::clone(read);
        }
        let read = Rc::new(match is_script {
            true => Query::parse_all_within(dialect, sql, &self.effort),
            false => Query::parse_within(dialect, sql, &self.effort).map(|it| vec![it]),
        });
        self.read.borrow_mut().insert(key, Rc::clone(&read));
        read
    }

    /// What is left for texts that are no statements.
    pub(crate) fn effort(&self) -> &Effort {
        &self.effort
    }
}

impl Default for Statements {
    fn default() -> Self {
        Self { effort: Effort::new(BYTES_MAX), read: RefCell::default() }
    }
}

/// It takes less than a second to read so much. The longest statement that is looked at counts for a
/// quarter of it, where it has to be read by every dialect.
const BYTES_MAX: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once() {
        let statements = Statements::default();
        let sql = "select 1, ".repeat(3000);
        for _ in 0..100 {
            let read = statements.read(Dialect::Unknown, &sql, true);
            assert_ne!(*read.as_ref().as_ref().unwrap_err(), Refusal::TooMuch);
        }
    }

    #[test]
    fn many_texts_are_read_to_an_end() {
        let statements = Statements::default();
        // The text has no end, which is found out at once.
        let sql = |number: usize| format!("select {number}, '{}", "a".repeat(60_000));
        let read = |number| statements.read(Dialect::Unknown, &sql(number), false);
        let is_read = |it: &Read| it.as_ref().as_ref().err() != Some(&Refusal::TooMuch);
        assert!((3..6).contains(&(0..100).map(read).take_while(is_read).count()));
        assert!(!is_read(&statements.read(Dialect::Sqlite, "select 1", false)));
    }
}
