//! Routes as they are kept: 24 bytes, one of a net inline.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::attributes::AttrId;
use crate::source::SourceId;

/// So many paths of a prefix one source may have: whoever sends more is broken, or means harm, as each of them is compared with
/// all others.
pub const MAX_PATHS: usize = 256;

/// A route of one source to one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) source: SourceId,
    /// The path identifier that it came with.
    pub(crate) path_id: u32,
    /// As received.
    pub(crate) attributes: AttrId,
    /// As import made it; `None`: refused.
    pub(crate) used: Option<AttrId>,
    /// Before all attributes, more is better.
    pub(crate) weight: u16,
    /// The path identifier that it goes out with where several go out; of no other route of the net.
    pub(crate) out_id: u16,
    /// The source's number when it was heard of.
    pub(crate) epoch: u8,
    /// The decision process has chosen it. Then it is the first of its net.
    pub(crate) best: bool,
    /// It shares the traffic with the best one.
    pub(crate) multipath: bool,
}

/// What was in the place of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Nothing.
    New,
    /// The same, from this epoch.
    Same { epoch: u8 },
    /// Another one, from this epoch.
    Other {
        epoch: u8,
        received: AttrId,
        used: Option<AttrId>,
    },
}

/// Routes of a net.
#[derive(Clone, Debug, Default)]
pub(crate) enum Routes {
    #[default]
    None,
    One(Route),
    #[expect(
        clippy::box_collection,
        reason = "a Vec of its own would make every net larger, and most have one route"
    )]
    Many(Box<Vec<Route>>),
}

impl Routes {
    #[inline]
    pub(crate) fn all(&self) -> &[Route] {
        match self {
            Routes::None => &[],
            Routes::One(route) => core::slice::from_ref(route),
            Routes::Many(routes) => routes,
        }
    }

    #[inline]
    pub(crate) fn all_mut(&mut self) -> &mut [Route] {
        match self {
            Routes::None => &mut [],
            Routes::One(route) => core::slice::from_mut(route),
            Routes::Many(routes) => routes,
        }
    }

    /// The best one.
    #[inline]
    pub(crate) fn best(&self) -> Option<&Route> {
        self.all().first().filter(|r| r.best)
    }

    /// Whether a source may add or replace a route: it has at most [`MAX_PATHS`] of a prefix, and a net's routes have different
    /// [`Route::out_id`]s.
    pub(crate) fn has_room(&self, source: SourceId, path_id: u32) -> bool {
        let all = self.all();
        if all.len() < MAX_PATHS {
            return true;
        }
        let its = || all.iter().filter(|r| r.source == source);
        let room = its().count() < MAX_PATHS && all.len() < usize::from(u16::MAX);
        room || its().any(|r| r.path_id == path_id)
    }

    /// Adds or replaces the route of its source and path identifier.
    pub(crate) fn put(&mut self, new: Route) -> Put {
        let same = |r: &&mut Route| r.source == new.source && r.path_id == new.path_id;
        let Some(old) = self.all_mut().iter_mut().find(same) else {
            self.push(new);
            return Put::New;
        };
        let epoch = core::mem::replace(&mut old.epoch, new.epoch);
        let (received, used) = (old.attributes, old.used);
        if (received, used, old.weight) == (new.attributes, new.used, new.weight) {
            return Put::Same { epoch };
        }
        (old.attributes, old.used, old.weight) = (new.attributes, new.used, new.weight);
        Put::Other {
            epoch,
            received,
            used,
        }
    }

    /// Adds one.
    fn push(&mut self, mut route: Route) {
        route.out_id = self.free_out_id();
        *self = match core::mem::take(self) {
            Routes::None => Routes::One(route),
            Routes::One(first) => Routes::Many(Box::new(Vec::from([first, route]))),
            Routes::Many(mut routes) => {
                routes.push(route);
                Routes::Many(routes)
            }
        };
    }

    /// A path identifier from 1 on that no route has.
    fn free_out_id(&self) -> u16 {
        let routes = self.all();
        let last = routes.iter().map(|r| r.out_id).max().unwrap_or(0);
        let free = || (1..last).find(|id| routes.iter().all(|r| r.out_id != *id));
        last.checked_add(1).or_else(free).unwrap_or(last)
    }

    /// Removes one by its place.
    pub(crate) fn remove(&mut self, at: usize) -> Option<Route> {
        match core::mem::take(self) {
            Routes::None => None,
            Routes::One(route) => {
                if at == 0 {
                    return Some(route);
                }
                *self = Routes::One(route);
                None
            }
            Routes::Many(mut routes) => {
                let route = (at < routes.len()).then(|| routes.swap_remove(at));
                if routes.len() * 4 < routes.capacity() {
                    routes.shrink_to_fit();
                }
                *self = match routes.len() {
                    1 => routes.pop().map(Routes::One).unwrap_or_default(),
                    _ => Routes::Many(routes),
                };
                route
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_small() {
        assert_eq!((size_of::<Route>(), size_of::<Routes>()), (24, 24));
    }
}
