//! The ledger: an append-only, hash-chained, signed record of what was decided.
//!
//! A ledger is a directory. Each process that opens it writes *segments*, one after the other: JSON
//! Lines files in which every record carries the hash of the one before it. The *manifest*, a signed
//! chain of its own, says which segments were opened, how they ended and which were removed, so that
//! a segment cannot disappear or borrow records from another. *Checkpoints* sign the head of each segment while it grows, so that
//! its tail cannot be cut off. The files are the truth; the SQLite index beside them is a cache.
//!
//! | file | holds |
//! |---|---|
//! | `key`, `key.pub` | the Ed25519 seed and public key, in hexadecimal |
//! | `manifest.jsonl`, `manifest.head` | the chain of segments, and its last line once more |
//! | `NAME.jsonl`, `NAME.head` | a segment, and its latest signed checkpoint |
//! | `NAME.opening`, `*.tmp` | a segment that is not in the manifest yet, a file that is not whole yet |
//! | `index.sqlite` | what [`query`] has read so far; may be deleted at any time |
//!
//! What the chain can and cannot show: without the key, nobody can change, remove, move or add a
//! record up to the last checkpoint and have [`verify`] call the ledger whole. Records after the
//! last checkpoint ([`Whole::unsealed`]) are chained and not yet signed; where their process was
//! killed, the next to open the ledger signs them as it finds them ([`Whole::killed`]). Two intruders are only found
//! out by a [`Whole::head`] and [`Whole::key`] that were noted elsewhere: who holds the key, and who
//! kept a copy of the signed heads and puts the files back to that time.
//!
//! [`Shared`] is no part of it: what guards have to know of each other while they run.
//!
//! The store does not look inside records and does not redact them; the caller has done that.

mod chain;
mod clock;
mod error;
mod export;
mod files;
mod index;
mod keep;
mod ledger;
mod manifest;
mod read;
mod recover;
mod seal;
mod segment;
mod shared;
mod verify;

pub use chain::RECORD_BYTES_MAX;
pub use clock::{now_ms, text as time_text, time_ms};
pub use error::{Error, FieldsError};
pub use export::{Cursor, Export, Lost};
pub use index::{Filter, Found, query};
pub use keep::Keep;
pub use ledger::{Counted, Durability, Ledger, Options, Position};
pub use read::{Record, Tail, tail};
pub use seal::vouch;
pub use shared::{Charge, Over, Shared};
pub use verify::{Broken, Fault, Gone, Killed, Torn, Verdict, Whole, verify};
