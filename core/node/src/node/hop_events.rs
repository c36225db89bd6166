//! Next hops that are lost and found again, in words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use tapway_model::Instant;

use super::Node;
use crate::action::Level;
use crate::describe::name;
use crate::next_hops::{Moved, Reached, Unresolved};

/// Interfaces that are named.
const NAMES: usize = 3;

impl Node {
    /// Tells that a next hop that routes have leads nowhere any more, or somewhere again.
    pub(super) fn tell_hop(&mut self, now: Instant, addr: IpAddr, (before, found): &Moved) {
        let Some(before) = before.as_ref().filter(|b| b.is_ok() != found.is_ok()) else {
            return;
        };
        let routes = self.speaker.routes_by(addr);
        if routes == 0 || !self.next_hops.told.pass(now, found.is_err()) {
            return;
        }
        let routes = match routes {
            1 => "1 route by it is".to_string(),
            n => format!("{n} routes by it are"),
        };
        let subject = addr.to_string();
        match found {
            Err(why) => {
                let links = before.as_ref().map(|before| self.dead_links(before, why));
                let links = links.unwrap_or_default();
                let text =
                    format!("nothing leads to it any more: {why}{links}; {routes} not eligible");
                self.event(Level::Warning, "next-hop.lost", &subject, text);
            }
            Ok(reached) => {
                let by = self.way_in_words(reached);
                let text = format!("reached again {by}; {routes} eligible");
                self.event(Level::Info, "next-hop.found", &subject, text);
            }
        }
    }

    /// Tells how many more there were.
    pub(super) fn tell_hop_counts(&mut self, now: Instant) {
        let Some(untold) = self.next_hops.told.take(now) else {
            return;
        };
        let (level, kind) = match untold.lost {
            0 => (Level::Info, "next-hop.found"),
            _ => (Level::Warning, "next-hop.lost"),
        };
        let text = format!(
            "{} more lost and {} more found again; tapway route list --received PEER shows which are not eligible",
            untold.lost, untold.found
        );
        self.event(level, kind, "next hops", text);
    }

    /// Interfaces that it was behind and that carry no packets now, where the reason does not say so.
    fn dead_links(&self, before: &Reached, why: &Unresolved) -> String {
        if matches!(why, Unresolved::NoLink(_)) {
            return String::new();
        }
        let usable = |index| self.fib.link(index).is_some_and(|link| link.usable());
        let mut dead: Vec<String> = Vec::new();
        for index in before.ways.iter().map(|way| way.index) {
            let name = name(index, &self.fib);
            if !usable(index) && dead.len() < NAMES && !dead.contains(&name) {
                dead.push(name);
            }
        }
        match dead.len() {
            0 => String::new(),
            1 => format!(", and {} carries no packets", dead.concat()),
            _ => format!(", and {} carry no packets", dead.join(", ")),
        }
    }

    fn way_in_words(&self, reached: &Reached) -> String {
        let over: Vec<String> = reached
            .ways
            .iter()
            .take(NAMES)
            .map(|way| name(way.index, &self.fib))
            .collect();
        let over = over.join(", ");
        match reached.by {
            None => format!("on {over}"),
            Some(by) => format!(
                "by the kernel's route {by} over {over}, metric {}",
                reached.metric
            ),
        }
    }
}
