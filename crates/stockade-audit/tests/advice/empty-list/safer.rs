// rule: empty_list
use std::collections::HashSet;

pub struct Door {
    allowed_hosts: HashSet<String>,
    /// Set by `allow_any_host = true` alone.
    any_host: bool,
}

impl Door {
    /// Whether a request for this host is let in.
    pub fn may(&self, host: &str) -> bool {
        self.any_host || self.allowed_hosts.contains(host)
    }
}
