//! Made-up addresses: for each name that a server asks for, one of its loopback interface that is
//! nobody else's as long as the server lives. So a connection says by its address which name is
//! meant, and a name that was resolved long ago still means the same.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stockade_sandbox::network::MADE_UP;
use stockade_sandbox::{Host, Network};

/// How far behind the first address that of the first name is: programs take an address that ends
/// with a zero for a network's.
const FIRST: u32 = 1;
/// So many names that a `*.` is about. There are more addresses, but a server could ask for ever.
const NAMES_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Names(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
    /// Addresses that are listed as what they are.
    taken: Vec<Ipv4Addr>,
    next: u32,
    most: usize,
}

impl Names {
    /// Those that are listed have theirs from the beginning: no other can take their place.
    pub(super) fn new(network: &Network) -> Self {
        let taken = network.destinations().iter().filter_map(|it| match it.address()? {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let taken = taken.collect();
        let mut table = Table { most: usize::MAX, taken, next: FIRST, ..Table::default() };
        for it in network.destinations().iter().filter_map(|it| it.name()) {
            table.address_of(it);
        }
        table.most = table.addresses.len() + NAMES_MAX;
        Self(Mutex::new(table))
    }

    /// The address of a name; nothing, if there are too many.
    pub(super) fn address_of(&self, name: &str) -> Option<Ipv4Addr> {
        self.table().address_of(name)
    }

    /// The name behind a made-up address; anything else is what it is.
    pub(super) fn meant(&self, host: &Host) -> Host {
        let Host::Address(IpAddr::V4(address)) = host else { return host.clone() };
        let name = self.table().names.get(address).cloned();
        name.map_or_else(|| host.clone(), Host::Name)
    }

    /// Both sides are written together, and a panic between would leave a name without an address
    /// or an address without a name, neither of which leads anywhere.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn address_of(&mut self, name: &str) -> Option<Ipv4Addr> {
        if let Some(address) = self.addresses.get(name) {
            return Some(*address);
        }
        if self.addresses.len() >= self.most {
            return None;
        }
        let address = loop {
            let address = Ipv4Addr::from_bits(MADE_UP.to_bits() + self.next);
            self.next += 1;
            if !self.taken.contains(&address) {
                break address;
            }
        };
        self.addresses.insert(name.to_owned(), address);
        self.names.insert(address, name.to_owned());
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_listed_ones_always_have_one() {
        let names = Names::new(&"a.example,*.b.example,c.example:80".parse().unwrap());
        for number in 0..2 * NAMES_MAX {
            let found = names.address_of(&format!("{number}.b.example"));
            assert_eq!(found.is_some(), number < NAMES_MAX, "{number}");
        }
        for name in ["a.example", "c.example", "7.b.example"] {
            let address = names.address_of(name).unwrap();
            assert_eq!(stockade_kit::address::resolved(address.into()), Ok(()));
            assert_eq!(names.address_of(name), Some(address));
            assert_eq!(names.meant(&Host::Address(address.into())), Host::Name(name.to_owned()));
        }
        let other = Host::Address(Ipv4Addr::LOCALHOST.into());
        assert_eq!(names.meant(&other), other);
    }

    #[test]
    fn an_address_that_is_listed_is_no_names() {
        let names = Names::new(&"a.example,11.64.0.2,b.example".parse().unwrap());
        let found = ["a.example", "b.example"].map(|it| names.address_of(it).unwrap().to_string());
        assert_eq!(found, ["11.64.0.1", "11.64.0.3"]);
    }
}
