//! How long wants, changes and outcomes take with many routes present.
//! `cargo run --release -p tapway-fib --example speed`

use std::hint::black_box;
use std::time::Instant as Clock;

use tapway_fib::*;
use tapway_model::{Instant, Prefix};

const ROUTES: u32 = 100_000;

fn route(n: u32) -> Object {
    let addr = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n.wrapping_mul(7919) % (1 << 24));
    let leg = NextHop {
        index: 1 + n % 1000,
        via: None,
        onlink: false,
        weight: 1,
    };
    Object::Route(Route {
        table: 254,
        prefix: Prefix::host(addr.into()),
        metric: 10,
        kind: RouteKind::Unicast,
        scope: 253,
        next_hops: vec![leg],
        prefsrc: None,
        protocol: 112,
    })
}

fn link(index: u32, up: bool) -> KernelEvent {
    KernelEvent::Link(Link {
        index,
        name: format!("tap{index}").parse().expect("a name"),
        mac: None,
        up,
        carrier: up,
        loopback: false,
        master: None,
        kind: None,
        mtu: 1500,
    })
}

fn per<T>(what: &str, n: u32, work: impl FnOnce() -> T) -> T {
    let start = Clock::now();
    let result = black_box(work());
    println!(
        "{what:<44}{:>10.0} ns",
        start.elapsed().as_nanos() as f64 / f64::from(n)
    );
    result
}

fn apply_all(fib: &mut Fib) {
    let now = Instant::ZERO;
    while let Some(batch) = fib.poll_batch(now, 256) {
        let outcomes = vec![Outcome::Done; batch.changes.len()];
        fib.handle_outcomes(now, batch.id, &outcomes);
        while fib.poll_notice().is_some() {}
    }
}

fn main() {
    let now = Instant::ZERO;
    let mut fib = Fib::new(112);
    fib.handle_event(now, KernelEvent::ScanBegin);
    for index in 1..=1000 {
        fib.handle_event(now, link(index, true));
    }
    fib.handle_event(now, KernelEvent::ScanEnd);
    let objects: Vec<Object> = (0..ROUTES).map(route).collect();
    per("want, each of 100,000", ROUTES, || {
        objects.iter().for_each(|o| fib.set_want(o.clone()))
    });
    per("batch, outcome, notice, each", ROUTES, || {
        apply_all(&mut fib)
    });
    per("one more want until in sync", 1000, || {
        for n in 0..1000 {
            fib.set_want(route(ROUTES + n));
            apply_all(&mut fib);
        }
    });
    per("the same want again", ROUTES, || {
        objects.iter().for_each(|o| fib.set_want(o.clone()))
    });
    per("link down and up, 100 routes on it", 100, || {
        for index in 1..=100 {
            fib.handle_event(now, link(index, false));
            while fib.poll_notice().is_some() {}
            fib.handle_event(now, link(index, true));
            apply_all(&mut fib);
        }
    });
    per("foreign route told, each", ROUTES, || {
        for n in 0..ROUTES {
            let Object::Route(mut foreign) = route(n) else {
                continue;
            };
            foreign.table = 77;
            foreign.protocol = 4;
            fib.handle_event(now, KernelEvent::Present(Object::Route(foreign)));
        }
    });
    per("scan with all present, each", ROUTES, || {
        fib.handle_event(now, KernelEvent::ScanBegin);
        for index in 1..=1000 {
            fib.handle_event(now, link(index, true));
        }
        for object in &objects {
            fib.handle_event(now, KernelEvent::Present(object.clone()));
        }
        fib.handle_event(now, KernelEvent::ScanEnd);
    });
    per("unwant until gone, each", ROUTES, || {
        objects.iter().for_each(|o| fib.unwant(&o.key()));
        apply_all(&mut fib);
    });
}
