//! Runs a fuzz target over its committed corpus, as it is and with seeded damage. The decoders' own tests
//! include this file.

use std::fs;
use std::path::Path;

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// One of a few ways to damage an input.
fn damage(input: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len());
        let byte = numbers.below(256) as u8;
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), byte),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            3 if !bytes.is_empty() => bytes[at] ^= 1 << (byte & 7),
            4 => {
                // A part of it once more, somewhere.
                let end = (at + 1 + numbers.below(16)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            _ if !bytes.is_empty() => bytes[at] = byte,
            _ => {}
        }
    }
    bytes
}

/// The committed files of a target, in the order of their names.
pub(crate) fn files(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .collect();
    files.sort();
    assert!(
        files.len() >= 5,
        "{name}: a corpus of {} is none",
        files.len()
    );
    let read = |file| fs::read(file).expect("a corpus file");
    files.into_iter().map(read).collect()
}

/// Calls `target` with all of `corpus/NAME`, with what each file begins with, and with damaged ones.
pub(crate) fn run(name: &str, target: fn(&[u8])) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for input in files(name) {
        target(&input);
        for len in 0..input.len() {
            target(&input[..len]);
        }
        for _ in 0..500 {
            target(&damage(&input, &mut numbers));
        }
    }
}
