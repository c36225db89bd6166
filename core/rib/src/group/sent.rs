//! What a group was sent (Adj-RIB-Out, RFC 4271 §3.2): per net a number of outgoing attributes and the source.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::slab::PAGE;
use crate::source::SourceId;

/// One route that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The path identifier; 0 where a net has one route.
    pub(crate) out_id: u16,
    /// The outgoing attributes.
    pub(crate) out: u32,
    /// Where the route comes from: the one peer that was not told.
    pub(crate) source: SourceId,
}

/// What was sent of all nets: at most one route of each, in pages of 8 bytes a net; or several.
#[derive(Clone, Debug)]
pub(crate) enum Sent {
    One(Pages),
    Several {
        nets: BTreeMap<u32, Box<[Slot]>>,
        /// How many slots they have together.
        routes: usize,
    },
}

/// Slots by net, 0 where there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages(Vec<Option<Box<Page>>>);

#[derive(Clone, Debug)]
pub(crate) struct Page {
    count: u32,
    slots: [u64; PAGE as usize],
}

impl Pages {
    fn get(&self, net: u32) -> Option<Slot> {
        let page = self.0.get((net / PAGE) as usize)?.as_ref()?;
        let packed = page.slots[(net % PAGE) as usize];
        (packed != 0).then(|| Slot {
            out_id: 0,
            out: packed as u32 - 1,
            source: SourceId((packed >> 32) as u32),
        })
    }

    fn set(&mut self, net: u32, slot: Option<Slot>) {
        let number = (net / PAGE) as usize;
        if number >= self.0.len() {
            if slot.is_none() {
                return;
            }
            self.0.resize(number + 1, None);
        }
        let place = &mut self.0[number];
        let page = place.get_or_insert_with(|| {
            Box::new(Page {
                count: 0,
                slots: [0; PAGE as usize],
            })
        });
        let old = &mut page.slots[(net % PAGE) as usize];
        page.count -= u32::from(*old != 0);
        *old = slot.map_or(0, |s| u64::from(s.source.0) << 32 | u64::from(s.out + 1));
        page.count += u32::from(*old != 0);
        if page.count == 0 {
            *place = None;
        }
    }
}

impl Sent {
    pub(crate) fn new(several: bool) -> Sent {
        match several {
            false => Sent::One(Pages::default()),
            true => Sent::Several {
                nets: BTreeMap::new(),
                routes: 0,
            },
        }
    }

    /// What was sent of a net, in the order of path identifiers.
    pub(crate) fn get(&self, net: u32) -> Slots<'_> {
        match self {
            Sent::One(pages) => Slots::One(pages.get(net)),
            Sent::Several { nets, .. } => Slots::Several(nets.get(&net).map_or(&[], |s| s)),
        }
    }

    /// Nets of which something was sent.
    pub(crate) fn len(&self) -> usize {
        match self {
            Sent::One(pages) => pages.0.iter().flatten().map(|p| p.count as usize).sum(),
            Sent::Several { nets, .. } => nets.len(),
        }
    }

    /// Routes that were sent.
    pub(crate) fn routes(&self) -> usize {
        match self {
            Sent::One(_) => self.len(),
            Sent::Several { routes, .. } => *routes,
        }
    }

    /// Whether something was sent of a net.
    #[inline]
    pub(crate) fn has(&self, net: u32) -> bool {
        !self.get(net).all().is_empty()
    }

    /// Notes what is sent of a net now.
    pub(crate) fn set(&mut self, net: u32, slots: &[Slot]) {
        match self {
            Sent::One(pages) => pages.set(net, slots.first().copied()),
            Sent::Several { nets, routes } => {
                let old = match slots.is_empty() {
                    true => nets.remove(&net),
                    false => nets.insert(net, slots.into()),
                };
                *routes += slots.len();
                *routes -= old.map_or(0, |old| old.len());
            }
        }
    }

    /// The nets of which something was sent, in order.
    pub(crate) fn nets(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            Sent::Several { nets, .. } => Box::new(nets.keys().copied()),
            Sent::One(pages) => {
                let pages = pages
                    .0
                    .iter()
                    .zip(0u32..)
                    .filter_map(|(p, n)| Some((p.as_ref()?, n)));
                Box::new(pages.flat_map(|(page, number)| {
                    let slots = page.slots.iter().zip(number * PAGE..);
                    slots.filter_map(|(slot, net)| (*slot != 0).then_some(net))
                }))
            }
        }
    }
}

/// What was sent of one net.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slots<'a> {
    One(Option<Slot>),
    Several(&'a [Slot]),
}

impl Slots<'_> {
    pub(crate) fn all(&self) -> &[Slot] {
        match self {
            Slots::One(slot) => slot.as_slice(),
            Slots::Several(slots) => slots,
        }
    }
}
