//! Changes that the kernel would make to anybody's object: addresses and neighbours are removed and
//! replaced whatever their protocol. Look first, then change. A foreign change between the two is
//! possible and would be lost; the requests have no condition that could prevent it.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::AddressMessage;
use tapway_fib::{Address, Change, Neighbour, Object, address_flags};
use tapway_model::Family;

use crate::constants::{
    NUD_NOARP, NUD_PERMANENT, RTM_DELADDR, RTM_DELNEIGH, RTM_DELRULE, RTM_GETADDR, RTM_GETNEIGH,
    RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWRULE,
};
use crate::message::{Answer, Refusal};
use crate::writer::{Writer, forgive_absence, taken};
use crate::{decode, encode};

const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;

impl Writer {
    /// Makes one change of this kind.
    pub(crate) fn guarded(&mut self, change: &Change) -> Answer {
        match change {
            Change::Replace(Object::Address(address)) => self.replace_address(address),
            Change::Remove(Object::Address(address)) => self.remove_address(address),
            Change::Replace(Object::Neighbour(neighbour)) => {
                self.replace_neighbour(neighbour, true)
            }
            Change::Remove(Object::Neighbour(neighbour)) => self.remove_neighbour(neighbour),
            Change::Replace(Object::Rule(rule)) => {
                // The request names the protocol, so only ours goes.
                self.exchange.begin();
                self.exchange.push(RTM_DELRULE, 0, &encode::rule(rule));
                self.exchange.push(RTM_NEWRULE, ADD, &encode::rule(rule));
                self.exchange.finish().pop().unwrap_or(Ok(()))
            }
            // `Way::of` sends nothing else here.
            _ => Ok(()),
        }
    }

    fn request(
        &mut self,
        kind: u16,
        flags: u16,
        body: &impl netlink_packet_core::Emitable,
    ) -> Answer {
        self.exchange.begin();
        self.exchange.push(kind, flags, body);
        self.exchange.finish().pop().unwrap_or(Ok(()))
    }

    fn present_address(&mut self, wanted: &Address) -> Result<Option<Address>, Refusal> {
        let mut request = AddressMessage::default();
        request.header.family = encode::family(Family::of(&wanted.addr));
        request.header.index = wanted.index;
        let all = match self.exchange.dump(RTM_GETADDR, &request, decode::address) {
            Ok(all) => all,
            Err(refusal) => return forgive_absence(Err(refusal)).map(|()| None),
        };
        Ok(all
            .into_iter()
            .find(|a| (a.index, a.addr, a.len) == (wanted.index, wanted.addr, wanted.len)))
    }

    fn replace_address(&mut self, wanted: &Address) -> Answer {
        const SETTABLE: u32 = address_flags::NODAD | address_flags::NOPREFIXROUTE;
        let flags = match self.present_address(wanted)? {
            None => ADD,
            Some(present) if present.protocol != wanted.protocol => return taken("an address"),
            // IPv4 changes only lifetimes of an address that is there (`inet_rtm_newaddr`).
            Some(present)
                if wanted.addr.is_ipv4()
                    && (present.scope != wanted.scope
                        || (present.flags ^ wanted.flags) & SETTABLE != 0) =>
            {
                forgive_absence(self.request(RTM_DELADDR, 0, &encode::address_key(wanted)))?;
                ADD
            }
            Some(_) => NLM_F_REPLACE,
        };
        self.request(RTM_NEWADDR, flags, &encode::address(wanted))
    }

    fn remove_address(&mut self, address: &Address) -> Answer {
        match self.present_address(address)? {
            Some(present) if present.protocol == address.protocol => {
                forgive_absence(self.request(RTM_DELADDR, 0, &encode::address_key(address)))
            }
            _ => Ok(()),
        }
    }

    /// The entry at a neighbour's key, if somebody wrote it: not what the kernel learned.
    fn written_neighbour(&mut self, neighbour: &Neighbour) -> Result<Option<Neighbour>, Refusal> {
        let found = self.exchange.get(
            RTM_GETNEIGH,
            &encode::neighbour_key(neighbour),
            decode::neighbour,
        )?;
        Ok(found.filter(|n| n.state & (NUD_PERMANENT | NUD_NOARP) != 0))
    }

    /// Puts a neighbour in the place of a learned one and, if `over_ours`, of ours.
    pub(crate) fn replace_neighbour(&mut self, wanted: &Neighbour, over_ours: bool) -> Answer {
        match self.written_neighbour(wanted)? {
            Some(present) if present.protocol != wanted.protocol => taken("a neighbour"),
            Some(_) if !over_ours => taken_by_us(),
            _ => self.request(
                RTM_NEWNEIGH,
                NLM_F_CREATE | NLM_F_REPLACE,
                &encode::neighbour(wanted),
            ),
        }
    }

    fn remove_neighbour(&mut self, neighbour: &Neighbour) -> Answer {
        match self.written_neighbour(neighbour)? {
            Some(present) if present.protocol == neighbour.protocol => {
                forgive_absence(self.request(RTM_DELNEIGH, 0, &encode::neighbour_key(neighbour)))
            }
            _ => Ok(()),
        }
    }
}

fn taken_by_us() -> Answer {
    Err(Refusal {
        errno: crate::constants::errno::EEXIST,
        message: Some("a neighbour of ours is there".to_owned()),
    })
}
