//! Streamable HTTP, as a client. The server's side is the binary's gateway.

pub mod client;
pub mod connection;
mod exchange;
pub mod headers;
pub mod pool;
pub mod resume;
