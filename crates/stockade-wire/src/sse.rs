//! HTTP+SSE of 2024-11-05 as a client, and the pieces that any server of event streams needs.

pub mod client;
pub mod server;
