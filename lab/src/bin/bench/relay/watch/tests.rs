use std::time::Duration;

use super::*;

const A: u32 = 65001;
const B: u32 = 65002;
const OWN: u32 = 64612;

/// An UPDATE by hand: withdrawn, then announced prefixes, all /24, and the path.
fn update(withdrawn: &[[u8; 3]], path: &[u32], next_hop: [u8; 4], nlri: &[[u8; 3]]) -> Vec<u8> {
    let prefixes = |list: &[[u8; 3]]| -> Vec<u8> {
        list.iter().flat_map(|p| [24, p[0], p[1], p[2]]).collect()
    };
    let mut attributes = Vec::new();
    if !nlri.is_empty() {
        attributes.extend([0x40, 1, 1, 0]);
        let len = u8::try_from(path.len()).unwrap();
        attributes.extend([0x40, 2, 2 + 4 * len, 2, len]);
        attributes.extend(path.iter().flat_map(|asn| asn.to_be_bytes()));
        attributes.extend([0x40, 3, 4]);
        attributes.extend(next_hop);
    }
    let mut body = Vec::new();
    for field in [prefixes(withdrawn), attributes] {
        body.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
        body.extend(field);
    }
    body.extend(prefixes(nlri));
    let mut message = vec![0xff; 16];
    message.extend((19 + u16::try_from(body.len()).unwrap()).to_be_bytes());
    message.push(2);
    message.extend(body);
    message
}

const ONE: [u8; 3] = [198, 51, 100];
const TWO: [u8; 3] = [203, 0, 113];
const HOP: [u8; 4] = [10, 9, 0, 1];

fn watch(marks: bool) -> Watch {
    let marks = marks.then_some(Marks {
        asn: OWN,
        next_hop: IpAddr::from(HOP),
    });
    let prefixes = ["198.51.100.0/24", "203.0.113.0/24"].map(|p| p.parse().unwrap());
    let mut watch = Watch::new(index(&prefixes), marks);
    watch.pursue(Goal::There);
    watch
}

/// A log and the time that its first read has; each read is a second later than the one before.
struct Story {
    log: Log,
    start: Instant,
    seconds: u64,
}

impl Story {
    fn new() -> Story {
        Story {
            log: Log::default(),
            start: Instant::now(),
            seconds: 0,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.log.push(self.at(self.seconds), bytes);
        self.seconds += 1;
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }
}

#[test]
fn the_read_that_completes_the_set_counts() {
    let (mut watch, mut story) = (watch(true), Story::new());
    story.read(&update(&[], &[OWN, A, 1], HOP, &[ONE]));
    // Again the same: more announcements, no more prefixes.
    story.read(&update(&[], &[OWN, A, 2], HOP, &[ONE]));
    watch.advance(&story.log).unwrap();
    assert_eq!((watch.done(), watch.reached()), (None, 1));
    assert_eq!(story.log.count.announced, 2);
    let last = update(&[], &[OWN, A, 1], HOP, &[TWO]);
    story.read(&last[..20]);
    story.read(&last[20..]);
    // What comes later does not move it.
    story.read(&update(&[], &[OWN, A, 3], HOP, &[TWO]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), Some(story.at(3)));
    assert_eq!(story.log.last(), Some(story.at(4)));
}

#[test]
fn a_set_that_breaks_up_again_is_not_done() {
    let (mut watch, mut story) = (watch(true), Story::new());
    story.read(&update(&[], &[OWN, A], HOP, &[ONE, TWO]));
    story.read(&update(&[ONE], &[], HOP, &[]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), None);
    story.read(&update(&[], &[OWN, A], HOP, &[ONE]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), Some(story.at(2)));
}

#[test]
fn the_other_path_and_the_withdraws_are_told_apart() {
    let (mut watch, mut story) = (watch(true), Story::new());
    story.read(&update(&[], &[OWN, A, 1], HOP, &[ONE, TWO]));
    watch.advance(&story.log).unwrap();
    watch.pursue(Goal::Via(B));
    assert_eq!((watch.reached(), watch.done()), (0, None));
    story.read(&update(&[], &[OWN, B, B, 1], HOP, &[ONE]));
    story.read(&update(&[], &[OWN, B, B, 1], HOP, &[TWO]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), Some(story.at(2)));
    watch.pursue(Goal::Gone);
    // One UPDATE that withdraws and announces the same: it is there.
    story.read(&update(&[ONE, TWO], &[OWN, B, B, 1], HOP, &[TWO]));
    watch.advance(&story.log).unwrap();
    assert_eq!((watch.reached(), watch.done()), (1, None));
    story.read(&update(&[TWO], &[], HOP, &[]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), Some(story.at(4)));
    assert_eq!(story.log.count.withdrawn, 3);
}

#[test]
fn what_is_wrong_is_told() {
    let other = [10, 9, 1, 1];
    for (bytes, wanted) in [
        (
            update(&[], &[OWN, A], other, &[ONE]),
            "the next hop 10.9.1.1",
        ),
        (
            update(&[], &[A], HOP, &[ONE]),
            "a path that begins with Some(65001)",
        ),
        (
            update(&[], &[OWN], HOP, &[ONE]),
            "a path without its sender",
        ),
        (
            update(&[], &[OWN, A], HOP, &[[192, 0, 2]]),
            "192.0.2.0/24, which nobody announced",
        ),
    ] {
        let mut story = Story::new();
        story.read(&bytes);
        assert_eq!(watch(true).advance(&story.log), Err(wanted.to_string()));
    }
    let mut cease = vec![0xff; 16];
    cease.extend([0, 21, 3, 6, 2]);
    let mut story = Story::new();
    story.read(&cease);
    let error = watch(true).advance(&story.log).unwrap_err();
    assert!(error.starts_with("it sent "), "{error}");
}

#[test]
fn a_mere_relay_needs_no_marks() {
    let (mut watch, mut story) = (watch(false), Story::new());
    story.read(&update(&[], &[A, 1], [10, 9, 1, 1], &[ONE, TWO]));
    watch.advance(&story.log).unwrap();
    assert_eq!(watch.done(), Some(story.at(0)));
}
