//! The meter's null run, and the floor: what no daemon can be faster than here.
//!
//! For what is applied, the time from a write on a TCP connection to the meter's stamp. For links, a
//! thread that does nothing but wait for link notifications and write a ready UPDATE. It knows no
//! claims and puts nothing into the kernel.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use anyhow::Result;
use tapway_bgp_wire::{
    AsPath, Attributes, EncodeContext, NextHop, UpdateBuilder, encode_keepalive,
};
use tapway_lab::Netns;
use tapway_model::Prefix;

use super::Subject;
use crate::meter;
use crate::rtnl::LinkMonitor;
use crate::site::{APPLIED, Expect, Guests, LINKED, Site, carrier_round};
use crate::tally::{Event, Tally};

/// The null run.
pub(crate) struct Null {
    stream: Option<TcpStream>,
    site: Site,
}

impl Null {
    /// Not running yet.
    pub(crate) fn new(site: Site) -> Null {
        Null { stream: None, site }
    }
}

impl Subject for Null {
    fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    fn start(&mut self, _: bool) -> Result<()> {
        let (own, remote) = (self.site.own, self.site.remote);
        let mut stream = self.site.ns.run_in(|| TcpStream::connect((remote, 179)))?;
        stream.set_nodelay(true)?;
        stream.write_all(&meter::open(64612, own))?;
        let mut hello = Vec::new();
        encode_keepalive(&mut hello);
        stream.write_all(&hello)?;
        self.site.wait_up()?;
        drain(stream.try_clone()?)?;
        originate(&self.site.ns, stream.try_clone()?, own)?;
        self.stream = Some(stream);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(stream) = self.stream.take() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn round(&mut self, guests: &mut Guests, tally: &mut Tally) -> Result<()> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let own = self.site.own;
        let site = &mut self.site;
        for (event, expect, bytes) in [
            (
                Event::Applied,
                Expect::Announced(APPLIED),
                announce(APPLIED, own),
            ),
            (
                Event::Removed,
                Expect::Withdrawn(APPLIED),
                withdraw(APPLIED),
            ),
        ] {
            site.measure(tally, Some(event), expect, |_| {
                let at = Instant::now();
                stream.write_all(&bytes)?;
                Ok(at)
            })?;
        }
        carrier_round(site, guests, tally)
    }

    fn ways(&self) -> &'static [&'static str] {
        &[]
    }

    fn come_up(&mut self, _: &str) -> Result<Instant> {
        Ok(Instant::now())
    }

    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn version(&self) -> String {
        "a write, or a thread from netlink to socket".into()
    }
}

/// Takes what the meter says, so that its socket does not fill up.
fn drain(mut stream: TcpStream) -> io::Result<()> {
    std::thread::Builder::new()
        .name("null-drain".into())
        .spawn(move || {
            let mut buffer = [0; 4096];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
        })
        .map(|_| ())
}

/// Announces while the one link that comes and goes is usable.
fn originate(ns: &Netns, mut stream: TcpStream, own: Ipv4Addr) -> io::Result<()> {
    let monitor = LinkMonitor::open(ns)?;
    let (up, down) = (announce(LINKED, own), withdraw(LINKED));
    std::thread::Builder::new()
        .name("null-originator".into())
        .spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            let mut usable = None;
            let mut failed = false;
            while !failed {
                let read = monitor.read(&mut buffer, |link| {
                    if link.usable && usable.is_none() {
                        usable = Some(link.index);
                        failed |= stream.write_all(&up).is_err();
                    } else if !link.usable && usable == Some(link.index) {
                        usable = None;
                        failed |= stream.write_all(&down).is_err();
                    }
                });
                failed |= read.is_err();
            }
        })
        .map(|_| ())
}

fn announce(address: Ipv4Addr, hop: Ipv4Addr) -> Vec<u8> {
    let mut out = Vec::new();
    let attributes = Attributes {
        as_path: AsPath::sequence([64612]),
        ..Attributes::default()
    };
    // It cannot fail: the attributes fit into a message.
    let _ = UpdateBuilder::new(&mut out, EncodeContext::default()).announce(
        &attributes,
        NextHop::V4(hop),
        [Prefix::host(address.into())],
    );
    out
}

fn withdraw(address: Ipv4Addr) -> Vec<u8> {
    let mut out = Vec::new();
    UpdateBuilder::new(&mut out, EncodeContext::default()).withdraw([Prefix::host(address.into())]);
    out
}
