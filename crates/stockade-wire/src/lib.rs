//! Bytes to messages and back, for each MCP transport and each era.
//!
//! What goes out is [`Cleared`](stockade_core::judge::Cleared): nothing is sent that was not
//! judged. What comes in are frames, bounded in length and not yet read; the session reads and
//! judges them. Everything waits where the other side is slow, and nothing grows without a limit.
//!
//! Read in this order.

pub mod error;
pub mod frame;
pub mod upstream;

pub mod memory;
pub mod stdio;

pub mod binding;
pub mod events;
pub mod http;
pub mod sse;
