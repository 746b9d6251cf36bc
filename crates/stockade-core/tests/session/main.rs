//! A conversation from outside: what goes in, and what is to be done about it.
//!
//! `transcript` replays conversations that were written down, one file each; `random` makes some
//! up. An `oracle` watches both, which knows what holds for every conversation.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail as the test does"
)]

mod oracle;
mod random;
mod transcript;
