//! How the server says that something failed: the public half to the client, the private half to
//! standard error, which belongs to whoever runs the server.

use std::io::Write;

use rmcp::ErrorData;
use stockade_kit::Failure;
use stockade_kit::root::RootError;

/// What the client is told. The cause is logged under the id that the client is told.
pub(crate) fn tell(failure: &Failure) -> String {
    // A log that cannot be written is no reason to tell the client more, or nothing.
    let _ = writeln!(std::io::stderr(), "failure {}", failure.private());
    failure.public()
}

/// The same as an error of the protocol, where a method has no other way to say it.
pub(crate) fn refuse(failure: &Failure) -> ErrorData {
    ErrorData::invalid_params(tell(failure), None)
}

/// What went wrong below the root. Everything but the system's own words may be told.
pub(crate) fn of_root(what: &str, error: RootError) -> Failure {
    if matches!(error, RootError::Io(_)) {
        Failure::new(format!("cannot {what}"), error)
    } else {
        Failure::told(format!("cannot {what}: {error}"))
    }
}

/// A task that was lost has nothing in it for the client.
pub(crate) fn of_task(error: tokio::task::JoinError) -> Failure {
    Failure::new("the server could not finish this", error)
}

/// Text for a model and a terminal: without escape sequences and other control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|it| if it.is_control() && !"\n\t".contains(it) { '\u{fffd}' } else { it })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_taken_out() {
        assert_eq!(printable("a\u{1b}[2J\tb\n\u{9b}1m"), "a\u{fffd}[2J\tb\n\u{fffd}1m");
    }
}
