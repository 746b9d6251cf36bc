//! Guards MCP servers: the commands, what they are configured by, and the edges
//! to the outside. What is judged, and how, is in `stockade-core`.

pub mod alerts;
pub mod approvals;
mod browser;
pub mod cli;
pub mod client;
pub mod code;
pub mod config;
pub mod desktop;
pub mod edge;
pub mod engine;
pub mod export;
pub mod failure;
pub mod guard;
pub mod inspect;
pub mod lock;
pub mod metrics;
pub mod prepared;
pub mod rehearsal;
pub mod tls;
pub mod traces;
pub mod webhook;
