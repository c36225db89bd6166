//! Which of our interfaces has a subnet with an address in it.

use alloc::collections::BTreeSet;
use core::net::IpAddr;

use tapway_fib::{Fib, IfIndex};
use tapway_model::{Family, Prefix};

use crate::uplink::Unfit;

/// The subnets of all interfaces, or of one: made once for many questions.
#[derive(Debug)]
pub(crate) struct Subnets {
    all: BTreeSet<(Prefix, IfIndex)>,
    /// The prefix lengths among them.
    lengths: BTreeSet<(Family, u8)>,
}

impl Subnets {
    /// Those of every interface.
    pub(crate) fn of(fib: &Fib, unfit: &Unfit<'_>) -> Subnets {
        Subnets::on(fib.links().map(|link| link.index), fib, unfit)
    }

    /// Those of these interfaces.
    pub(crate) fn on(
        links: impl IntoIterator<Item = IfIndex>,
        fib: &Fib,
        unfit: &Unfit<'_>,
    ) -> Subnets {
        let addresses = links.into_iter().flat_map(|index| fib.addresses(index));
        let fit = addresses.filter(|address| unfit.allows(address));
        let all: BTreeSet<(Prefix, IfIndex)> = fit
            .map(|(a, _)| (Prefix::truncated(a.addr, a.len), a.index))
            .collect();
        let lengths = all.iter().map(|(p, _)| (p.family(), p.len())).collect();
        Subnets { all, lengths }
    }

    /// The interface that has the longest subnet with `addr` in it; of several, that with the largest index.
    pub(crate) fn interface_of(&self, addr: &IpAddr) -> Option<IfIndex> {
        self.around(addr).find_map(|prefix| {
            let on = self
                .all
                .range((prefix, IfIndex::MIN)..=(prefix, IfIndex::MAX));
            on.last().map(|(_, index)| *index)
        })
    }

    /// The interfaces that have any.
    pub(crate) fn interfaces(&self) -> BTreeSet<IfIndex> {
        self.all.iter().map(|(_, index)| *index).collect()
    }

    /// Whether this interface has a subnet with `addr` in it.
    pub(crate) fn has(&self, addr: &IpAddr, index: IfIndex) -> bool {
        self.around(addr)
            .any(|prefix| self.all.contains(&(prefix, index)))
    }

    /// What could be a subnet with `addr` in it, the longest first.
    fn around(&self, addr: &IpAddr) -> impl Iterator<Item = Prefix> {
        let (addr, family) = (*addr, Family::of(addr));
        let lengths = self.lengths.range((family, 0)..=(family, u8::MAX)).rev();
        lengths.map(move |(_, len)| Prefix::truncated(addr, *len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapway_fib::sim::Kernel;
    use tapway_fib::{Address, Object};
    use tapway_model::{IfName, Instant};

    #[test]
    fn the_longest_subnet_decides() {
        let mut kernel = Kernel::new();
        let subnets = [
            ("eth0", "10.0.0.1", 8),
            ("eth1", "10.9.0.1", 16),
            ("eth2", "10.9.0.2", 16),
            ("eth3", "2001:db8::1", 64),
            ("gateway", "172.16.0.1", 12),
        ];
        let mut fib = Fib::new(112);
        for (name, addr, len) in subnets {
            let index = kernel.add_link(IfName::new(name).unwrap());
            kernel
                .put(&Object::Address(Address {
                    index,
                    addr: addr.parse().unwrap(),
                    len,
                    scope: 0,
                    flags: 0x80,
                    protocol: 0,
                }))
                .unwrap();
        }
        for event in kernel.scan() {
            fib.handle_event(Instant::ZERO, event);
        }
        let gateways = ["172.16.0.1".parse().unwrap()].into();
        let unfit = Unfit {
            gateways: &gateways,
        };
        let index = |name: &str| fib.link_named(&IfName::new(name).unwrap()).unwrap().index;
        let all = Subnets::of(&fib, &unfit);
        for (addr, on) in [
            ("10.1.2.3", Some("eth0")),
            ("10.9.2.3", Some("eth2")),
            ("2001:db8::9", Some("eth3")),
            ("2001:db9::9", None),
            ("11.0.0.1", None),
            ("172.16.0.2", None),
        ] {
            let addr = addr.parse().unwrap();
            assert_eq!(all.interface_of(&addr), on.map(index), "{addr}");
        }
        let addr = "10.9.2.3".parse().unwrap();
        let of = ["eth0", "eth1", "eth2", "eth3"];
        assert_eq!(
            of.map(|n| all.has(&addr, index(n))),
            [true, true, true, false]
        );
        let one = Subnets::on([index("eth0")], &fib, &unfit);
        assert_eq!(one.interface_of(&addr), Some(index("eth0")));
        assert!(!one.has(&addr, index("eth1")));
    }
}
