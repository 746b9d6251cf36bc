//! What the guard knows of a server, whoever talks to it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::{Catalog, Definition};
use crate::json::Json;
use crate::seen::Seen;

/// What all conversations with one server share.
#[derive(Debug, Default)]
pub struct Server {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Its tools, as they were last listed.
    catalog: RwLock<Catalog>,
    /// Its answers that were judged already.
    pub(super) seen: Seen,
}

impl Server {
    /// A server that goes by `name`.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The tool that goes by `name`, as it was last listed.
    pub fn tool(&self, name: &str) -> Option<Arc<Definition>> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).tool(name).cloned()
    }

    /// A tool with another name that `name` reads as, where none goes by `name`.
    pub(super) fn alike(&self, name: &str) -> Option<String> {
        let catalog = self.catalog.read().unwrap_or_else(PoisonError::into_inner);
        catalog.alike(name).map(str::to_owned)
    }

    pub(super) fn learn(&self, tools: Option<Json<'_>>) {
        if let Some(tools) = tools {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            if catalog.learn(tools) {
                // An older listing that comes again says something new again.
                self.seen.forget();
            }
        }
    }
}
