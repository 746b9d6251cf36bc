//! The rules of Stockade, and nothing else: what a message is, what may be wrong with it, and what
//! to do about it. This crate does no I/O; it is given facts and returns decisions.
//!
//! Read in this order.

pub mod alias;
pub mod approval;
pub mod argument;
mod bytes;
pub mod canary;
pub mod catalog;
pub mod check;
pub mod detect;
pub mod fence;
pub mod finding;
pub mod json;
pub mod judge;
pub mod leads;
pub mod lock;
pub mod message;
pub mod meter;
mod name;
pub mod policy;
pub mod record;
pub mod revision;
pub mod risk;
pub mod role;
pub mod root;
pub mod schema;
mod seen;
pub mod session;
mod structured;
pub mod subject;
pub mod together;
pub mod trace;
