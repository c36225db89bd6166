use super::*;
use crate::parse::parse;

fn good(name: &str, interface: &str) -> Reading {
    let text = format!("name = \"{name}\"\n[[nic]]\ninterface = \"{interface}\"\n");
    Reading::Good(Arc::new(parse("f", &text).unwrap()), Some((1, 8)))
}

fn bad(reason: &str, guess: &str) -> Reading {
    Reading::Bad(
        Problem::new("/d/x.toml", reason),
        InstanceName::new(guess).ok(),
    )
}

fn shelf(remembered: &[(&str, &str)]) -> Shelf {
    let remembered = remembered
        .iter()
        .map(|(name, interface)| match good(name, interface) {
            Reading::Good(i, _) => (i.name.clone(), i),
            _ => unreachable!(),
        })
        .collect();
    Shelf::new("/d".into(), remembered)
}

/// Events as short words, instances with their first interface.
fn words(events: Vec<FileEvent>) -> Vec<String> {
    events
        .into_iter()
        .map(|event| match event {
            FileEvent::Source(SourceEvent::Put(i)) => {
                format!("put {} {}", i.name, i.nics[0].interface)
            }
            FileEvent::Source(SourceEvent::Gone(name)) => format!("gone {name}"),
            FileEvent::Source(SourceEvent::Begin) => "begin".into(),
            FileEvent::Source(SourceEvent::Complete) => "complete".into(),
            FileEvent::Source(SourceEvent::Dead(_)) => "dead".into(),
            FileEvent::Problem(p) => format!("problem {p}"),
            FileEvent::Mended { file } => format!("mended {file}"),
            FileEvent::Overrun => "overrun".into(),
        })
        .collect()
}

fn group(rows: &[(&str, Reading)]) -> Vec<(String, Reading)> {
    rows.iter()
        .map(|(f, r)| (f.to_string(), r.clone()))
        .collect()
}

/// No file comes back.
fn nobody(_: &str) -> bool {
    false
}

#[test]
fn a_listing_says_everything() {
    let mut shelf = shelf(&[]);
    let events = shelf.list(
        group(&[("a.toml", good("a", "t0")), ("b.toml", good("b", "t1"))]),
        nobody,
    );
    assert_eq!(words(events), ["begin", "put a t0", "put b t1", "complete"]);
    let events = shelf.list(group(&[("b.toml", good("b", "t1"))]), nobody);
    assert_eq!(words(events), ["begin", "put b t1", "complete"]);
    assert_eq!(words(shelf.list(Vec::new(), nobody)), ["begin", "complete"]);
}

#[test]
fn changes_are_said_once() {
    let mut shelf = shelf(&[]);
    shelf.list(Vec::new(), nobody);
    for (row, said) in [
        (group(&[("a.toml", good("a", "t0"))]), vec!["put a t0"]),
        (group(&[("a.toml", good("a", "t0"))]), vec![]),
        (group(&[("a.toml", good("a", "t9"))]), vec!["put a t9"]),
        (
            group(&[("a.toml", good("b", "t9"))]),
            vec!["gone a", "put b t9"],
        ),
        // The file is renamed: nothing happens to the instance, whatever the names are.
        (
            group(&[("a.toml", Reading::Absent), ("c.toml", good("b", "t9"))]),
            vec![],
        ),
        (
            group(&[("b.toml", good("b", "t9")), ("c.toml", Reading::Absent)]),
            vec![],
        ),
        // Two files exchange an interface: removals first.
        (
            group(&[("b.toml", good("z", "t9")), ("d.toml", good("d", "t1"))]),
            vec!["gone b", "put d t1", "put z t9"],
        ),
        (group(&[("nope.toml", Reading::Absent)]), vec![]),
        (group(&[("b.toml", Reading::Absent)]), vec!["gone z"]),
    ] {
        let shown = format!("{row:?}");
        assert_eq!(words(shelf.apply(row)), said, "{shown}");
    }
}

#[test]
fn the_last_good_version_stays_until_mended_or_deleted() {
    let mut shelf = shelf(&[]);
    shelf.list(group(&[("x.toml", good("x", "t0"))]), nobody);
    let one = |r: Reading| group(&[("x.toml", r)]);
    assert_eq!(
        words(shelf.apply(one(bad("torn", "x")))),
        ["problem /d/x.toml: torn"]
    );
    assert_eq!(words(shelf.apply(one(bad("torn", "x")))), [""; 0]);
    assert_eq!(
        words(shelf.apply(one(bad("worse", "x")))),
        ["problem /d/x.toml: worse"]
    );
    assert_eq!(
        words(shelf.list(one(bad("worse", "x")), nobody)),
        ["begin", "put x t0", "complete"]
    );
    assert_eq!(
        words(shelf.apply(one(good("x", "t0")))),
        ["mended /d/x.toml"]
    );
    assert_eq!(
        words(shelf.apply(one(bad("torn", "x")))),
        ["problem /d/x.toml: torn"]
    );
    assert_eq!(
        words(shelf.apply(one(Reading::Absent))),
        ["mended /d/x.toml", "gone x"]
    );
}

#[test]
fn a_name_belongs_to_the_first_file() {
    let mut shelf = shelf(&[]);
    let events = shelf.list(
        group(&[("b.toml", good("w", "t0")), ("c.toml", good("w", "t1"))]),
        nobody,
    );
    let told = "problem /d/c.toml:1:8: name: w is the name of the instance in /d/b.toml already; give it another name or delete one of the files";
    assert_eq!(words(events), [told, "begin", "put w t0", "complete"]);
    // A later file with an earlier name does not take it over.
    let events = shelf.apply(group(&[("a.toml", good("w", "t2"))]));
    assert!(words(events)[0].starts_with("problem /d/a.toml:1:8: name: w is"));
    // A broken version of the first keeps the name as well.
    let events = shelf.apply(group(&[("b.toml", bad("torn", "w"))]));
    assert_eq!(words(events), ["problem /d/x.toml: torn"]);
    // The first goes: the second in the order of arrival has it, and the third hears the new name.
    let events = words(shelf.apply(group(&[("b.toml", Reading::Absent)])));
    assert_eq!(events[0], "mended /d/b.toml");
    assert!(events[1].contains("/d/a.toml:1:8") && events[1].contains("in /d/c.toml already"));
    assert_eq!(events[2..], ["mended /d/c.toml", "put w t1"]);
    let events = shelf.apply(group(&[("a.toml", good("v", "t2"))]));
    assert_eq!(words(events), ["mended /d/a.toml", "put v t2"]);
}

#[test]
fn what_was_said_before_the_restart_stands_in_for_a_broken_file() {
    let known = [("x", "t0"), ("y", "t1"), ("z", "t2")];
    let mut one = shelf(&known);
    let events = one.list(
        group(&[("x.toml", bad("torn", "x")), ("y.toml", good("y", "t9"))]),
        nobody,
    );
    assert_eq!(
        words(events),
        [
            "problem /d/x.toml: torn",
            "begin",
            "put x t0",
            "put y t9",
            "complete"
        ]
    );
    assert_eq!(
        words(one.apply(group(&[("x.toml", Reading::Absent)]))),
        ["mended /d/x.toml", "gone x"]
    );
    // Not when a good file says it.
    let mut two = shelf(&known);
    let events = two.list(
        group(&[("a.toml", bad("torn", "y")), ("y.toml", good("y", "t9"))]),
        nobody,
    );
    assert_eq!(words(events)[1..], ["begin", "put y t9", "complete"]);
    // Only at the start.
    let events = two.apply(group(&[("z.toml", bad("torn", "z"))]));
    assert_eq!(words(events), ["problem /d/x.toml: torn"]);
}

#[test]
fn removing_a_broken_file_that_meant_nothing_is_no_removal() {
    let mut shelf = shelf(&[]);
    shelf.list(group(&[("x.toml", bad("torn", "x"))]), nobody);
    assert_eq!(
        words(shelf.apply(group(&[("x.toml", Reading::Absent)]))),
        ["mended /d/x.toml"]
    );
}
