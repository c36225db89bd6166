//! Time to load a state log of 10,000 instances and the order of their 20,000 claims, and to append
//! one record durably. Run with `cargo bench -p tapway-daemon --bench state`.

use std::sync::mpsc::channel;
use std::time::Instant;

use tapway_daemon::state::{Record, open};
use tapway_intent::{OrderKey, OrderRecord, Record as Intent};
use tapway_model::spec::{InstanceSpec, NicSpec};
use tapway_model::{Domain, Owner};

const INSTANCES: usize = 10_000;

fn records() -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for i in 0..INSTANCES {
        let spec = InstanceSpec {
            name: format!("vm{i}"),
            nic: vec![NicSpec {
                interface: format!("tap{i}"),
                mac: Some(format!("52:54:00:00:{:02x}:{:02x}", i >> 8, i & 255)),
                addresses: vec![
                    format!("10.{}.{}.1", i >> 8, i & 255),
                    format!("2001:db8:{i:x}::/64"),
                ],
                ..NicSpec::default()
            }],
            ..InstanceSpec::default()
        };
        let instance = spec.parse()?;
        for prefix in instance.nics[0].addresses.clone() {
            let key = OrderKey::Claim {
                domain: Domain::MAIN,
                owner: Owner::Nic(instance.nics[0].interface.clone()),
                prefix,
            };
            let number = records.len() as u64;
            records.push(Record::Intent(Intent::Order(OrderRecord { key, number })));
        }
        let source = "files".parse()?;
        records.push(Record::Intent(Intent::Put(source, instance.into())));
    }
    Ok(records)
}

fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let opened = open(dir.path(), 4 * INSTANCES, |_| ())?;
    let start = Instant::now();
    let _ = opened.writer.append(records()?, None);
    opened.writer.close().map_err(anyhow::Error::msg)?;
    println!("encoded and written: {:?}", start.elapsed());
    for round in 0..5 {
        let start = Instant::now();
        let opened = open(dir.path(), 10, |_| ())?;
        println!(
            "round {round}: {} records loaded in {:?}",
            opened.state.len(),
            start.elapsed()
        );
    }
    let opened = open(dir.path(), 10, |_| ())?;
    let mut times: Vec<_> = (0..200)
        .map(|i| {
            let (sender, receiver) = channel();
            let start = Instant::now();
            let ack = Box::new(move |_| {
                let _ = sender.send(());
            });
            let _ = opened
                .writer
                .append(vec![Record::Counter("c".into(), i)], Some(ack));
            let _ = receiver.recv();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "one record durable: p50 {:?}, p99 {:?}",
        times[100], times[198]
    );
    Ok(())
}
