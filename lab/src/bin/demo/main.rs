//! `cargo xtask demo`: tapway at work in a network of namespaces on one machine.
//!
//! Two fabric routers, three hypervisors, six guests; the routers run tapwayd as well. It shows live
//! what happens, with times and lost packets, and ends with a table. It exits 0 only if all worked.

mod network;
mod screen;
mod story;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tapway_lab::Netns;

use network::{KEPT, Network};
use screen::Screen;

const USAGE: &str = "\
usage: tapway-demo [--keep | --clean]

  --keep    leave everything running, and say how to look around
  --clean   remove what --keep left running
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let keep = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--keep"] => true,
        ["--clean"] => {
            network::clean();
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    if keep && Netns::list().iter().any(|n| n.starts_with(KEPT)) {
        eprintln!("a demo was kept already; remove it with `cargo xtask demo --clean`");
        return ExitCode::FAILURE;
    }
    clean_up_when_interrupted(keep);

    let mut screen = Screen::new();
    let mut network = None;
    let told = catch_unwind(AssertUnwindSafe(|| {
        let network = network.insert(Network::new(keep, &screen));
        story::tell(network, &mut screen);
        if keep {
            network.show_around();
        }
    }));
    if told.is_err() {
        screen.fault("the demo could not go on; see above");
        if let Some(network) = &mut network {
            network.show_logs();
        }
    }
    screen.table();
    if keep {
        println!("\nIt stays up. Remove it with: cargo xtask demo --clean");
    }
    drop(network);
    if screen.all_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// On Ctrl-C: ends what runs in our namespaces, and removes them.
fn clean_up_when_interrupted(keep: bool) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            eprintln!("\ninterrupted; cleaning up");
            if keep {
                network::clean();
            } else {
                Netns::remove_own();
            }
            std::process::exit(130);
        }
    });
}
