//! Logs that are cut, flipped, or something else entirely. Nothing of it keeps a daemon from starting.

use super::*;
use crate::state::load::load;

/// Puts these bytes in the place of the log and loads them.
fn load_bytes(dir: &Path, bytes: &[u8]) -> (State, Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(log_path(dir), bytes).unwrap();
    let loaded = load(dir).unwrap();
    (
        loaded.found.state,
        loaded
            .found
            .problems
            .iter()
            .map(Problem::to_string)
            .collect(),
    )
}

fn aside(dir: &Path, n: u32) -> Vec<u8> {
    fs::read(dir.join(format!("state.log.corrupt-{n}"))).unwrap()
}

#[test]
fn a_log_cut_at_any_byte_loads_what_is_whole() {
    let dir = directory();
    let records = one_of_each();
    let (bytes, ends) = log_of(&records);
    for cut in 0..=bytes.len() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (state, problems) = load_bytes(dir.path(), &bytes[..cut]);
        assert_eq!(state, state_of(&records[..whole]), "cut at {cut}");
        let start = if whole == 0 {
            MAGIC.len()
        } else {
            ends[whole - 1]
        };
        if cut <= start {
            assert!(problems.is_empty(), "cut at {cut}: {problems:?}");
        } else if whole == 0 {
            assert!(
                problems[0].contains("holds nothing that this version can read"),
                "{problems:?}"
            );
        } else {
            let told = format!(
                "{}: {} bytes from offset {start} on are damaged; {whole} records before them and 0 behind were read; they are kept in {}",
                log_path(dir.path()).display(),
                cut - start,
                dir.path().join("state.log.corrupt-1").display()
            );
            assert_eq!(problems, [told]);
            assert_eq!(aside(dir.path(), 1), &bytes[start..cut]);
        }
        // It is mended: the next start finds nothing wrong, with or without more records.
        let again = load(dir.path()).unwrap();
        assert!(
            again.found.problems.is_empty(),
            "cut at {cut}: {:?}",
            again.found.problems
        );
        if cut % 16 == 0 {
            let opened = quiet(dir.path());
            opened
                .writer
                .append(vec![Record::Counter("more".into(), 1)], None)
                .unwrap();
            drop(opened);
            let again = load(dir.path()).unwrap();
            assert!(
                again.found.problems.is_empty(),
                "cut at {cut}: {:?}",
                again.found.problems
            );
            assert_eq!(
                again.found.state.counters.get("more"),
                Some(&1),
                "cut at {cut}"
            );
            assert_eq!(again.found.state.len(), state.len() + 1, "cut at {cut}");
        }
    }
}

#[test]
fn a_flipped_bit_costs_one_record_at_most() {
    let dir = directory();
    let records = one_of_each();
    let (bytes, ends) = log_of(&records);
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 1 << (at % 8);
        let hit = ends.iter().filter(|end| **end <= at).count();
        let mut left = records.clone();
        if at >= MAGIC.len() {
            left.remove(hit);
        }
        let (state, problems) = load_bytes(dir.path(), &broken);
        assert_eq!(state, state_of(&left), "byte {at}");
        assert_eq!(problems.len(), 1, "byte {at}: {problems:?}");
        if at % 16 == 0 {
            // The damage is written out of the log.
            let opened = quiet(dir.path());
            assert_eq!(opened.state, state, "byte {at}");
            drop(opened);
            let again = load(dir.path()).unwrap();
            assert_eq!(again.found.state, state, "byte {at}");
            assert!(
                again.found.problems.is_empty(),
                "byte {at}: {:?}",
                again.found.problems
            );
        }
    }
}

#[test]
fn damage_in_two_places_is_told_with_what_was_read() {
    let dir = directory();
    let records = one_of_each();
    let (mut bytes, ends) = log_of(&records);
    bytes[ends[1] + 20] ^= 0xff;
    bytes[ends[4] + 20] ^= 0xff;
    let (_, problems) = load_bytes(dir.path(), &bytes);
    let told = format!(
        "{} bytes from offset {} on are damaged; 2 records before them and {} behind were read",
        ends[2] - ends[1] + ends[5] - ends[4],
        ends[1],
        records.len() - 4
    );
    assert!(problems[0].contains(&told), "{problems:?}");
}

#[test]
fn what_has_a_good_checksum_and_makes_no_sense_is_set_aside() {
    let dir = directory();
    let (mut bytes, _) = log_of(&one_of_each()[..1]);
    let before = bytes.len();
    for payload in [
        &b"{\"put\":{\"source\":\"files\",\"instance\":{\"name\":\"a b\"}}}"[..],
        b"{\"future\":{}}",
        b"\xff",
    ] {
        assert!(crate::state::frame::push(&mut bytes, payload));
    }
    let (state, problems) = load_bytes(dir.path(), &bytes);
    assert_eq!(state.len(), 1);
    let part = format!(
        "from offset {before} on are not understood (name: the instance name \"a b\" has the character ' '"
    );
    assert!(problems[0].contains(&part), "{problems:?}");
    assert_eq!(aside(dir.path(), 1), &bytes[before..]);
}

#[test]
fn a_file_that_is_something_else_is_moved_away_whole() {
    let dir = directory();
    for bytes in [
        &b"hello\n"[..],
        b"tapway state log 2\nsomething newer",
        &[0u8; 5000],
        &[0xf5u8; 3000],
    ] {
        let (state, problems) = load_bytes(dir.path(), bytes);
        assert!(state.is_empty());
        assert!(
            problems[0].contains("holds nothing that this version can read; it is "),
            "{problems:?}"
        );
        assert_eq!(aside(dir.path(), 1), bytes);
        assert!(load(dir.path()).unwrap().found.problems.is_empty());
    }
    // A directory in its place cannot be read, but moved.
    fs::remove_file(log_path(dir.path())).unwrap();
    fs::create_dir(log_path(dir.path())).unwrap();
    let loaded = load(dir.path()).unwrap();
    assert!(
        loaded.found.problems[0]
            .to_string()
            .contains("cannot be read: "),
        "{:?}",
        loaded.found.problems
    );
    assert!(dir.path().join("state.log.corrupt-2").is_dir());
}

#[test]
fn damaged_logs_do_not_pile_up() {
    let dir = directory();
    let (mut bytes, _) = log_of(&one_of_each()[..1]);
    bytes.push(b'x');
    for n in 0..102 {
        fs::write(log_path(dir.path()), &bytes).unwrap();
        let problems = load(dir.path()).unwrap().found.problems;
        let kept = problems[0].to_string().contains("they are kept in");
        assert_eq!(kept, n < 100, "{n}: {problems:?}");
    }
}

#[test]
fn an_unfinished_rewrite_is_forgotten() {
    let dir = directory();
    let new = dir.path().join("state.log.new");
    fs::write(&new, "half").unwrap();
    drop(quiet(dir.path()));
    assert!(!new.exists());
}
