//! Of the accepted routes to one prefix, the best equal ones (RFC 4271 §9.1.2.2, steps a to d; what is
//! left over after them shares the traffic).

use core::cmp::Reverse;

use tapway_bgp_wire::Origin;

/// What routes are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) local_pref: u32,
    pub(crate) as_path_length: usize,
    pub(crate) origin: Origin,
    pub(crate) med: u32,
    /// MED counts only between routes of the same neighbouring AS.
    pub(crate) neighbour_as: Option<u32>,
    /// Learned from another AS.
    pub(crate) external: bool,
}

impl Rank {
    /// Smaller is better; all but MED.
    fn key(&self) -> (Reverse<u32>, usize, Origin) {
        (Reverse(self.local_pref), self.as_path_length, self.origin)
    }
}

/// Keeps the best equal ones of `routes`, in their order.
pub(crate) fn keep_best<T>(routes: &mut alloc::vec::Vec<(Rank, T)>) {
    let Some(best) = routes.iter().map(|(r, _)| r.key()).min() else {
        return;
    };
    routes.retain(|(r, _)| r.key() == best);
    let ranks: alloc::vec::Vec<Rank> = routes.iter().map(|(r, _)| *r).collect();
    routes.retain(|(r, _)| {
        !ranks
            .iter()
            .any(|o| o.neighbour_as == r.neighbour_as && o.med < r.med)
    });
    if routes.iter().any(|(r, _)| r.external) {
        routes.retain(|(r, _)| r.external);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const BASE: Rank = Rank {
        local_pref: 100,
        as_path_length: 1,
        origin: Origin::Igp,
        med: 0,
        neighbour_as: Some(65000),
        external: true,
    };

    #[test]
    fn rows() {
        let other_as = Some(65001);
        let rows: [(&str, Vec<Rank>, &[usize]); 9] = [
            ("none", Vec::new(), &[]),
            ("equal share", Vec::from([BASE, BASE]), &[0, 1]),
            (
                "local pref",
                Vec::from([
                    BASE,
                    Rank {
                        local_pref: 200,
                        as_path_length: 9,
                        ..BASE
                    },
                ]),
                &[1],
            ),
            (
                "path length",
                Vec::from([
                    Rank {
                        as_path_length: 2,
                        ..BASE
                    },
                    BASE,
                ]),
                &[1],
            ),
            (
                "origin",
                Vec::from([
                    BASE,
                    Rank {
                        origin: Origin::Incomplete,
                        ..BASE
                    },
                ]),
                &[0],
            ),
            (
                "med, same neighbour",
                Vec::from([Rank { med: 5, ..BASE }, BASE]),
                &[1],
            ),
            (
                "med, other neighbour",
                Vec::from([
                    Rank {
                        med: 5,
                        neighbour_as: other_as,
                        ..BASE
                    },
                    BASE,
                ]),
                &[0, 1],
            ),
            (
                "external first",
                Vec::from([
                    Rank {
                        external: false,
                        ..BASE
                    },
                    BASE,
                ]),
                &[1],
            ),
            (
                "internal share",
                Vec::from(
                    [Rank {
                        external: false,
                        ..BASE
                    }; 2],
                ),
                &[0, 1],
            ),
        ];
        for (name, ranks, kept) in rows {
            let mut routes: Vec<(Rank, usize)> = ranks.into_iter().zip(0..).collect();
            keep_best(&mut routes);
            assert_eq!(
                routes.iter().map(|(_, i)| *i).collect::<Vec<_>>(),
                kept,
                "{name}"
            );
        }
    }
}
