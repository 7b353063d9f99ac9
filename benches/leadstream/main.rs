//! `cargo bench`: see README.md beside this file for the method.
#![allow(missing_docs, reason = "a program, not a library")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the machine's own clock"
)]

mod acknowledge;
mod bulk;
mod end_to_end;
mod load;
mod place;
mod poll;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod process;
mod reference;
mod server;

#[expect(clippy::print_stdout, reason = "a bench prints")]
fn say(text: &str) {
    println!("{text}");
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let runtime = |multi: bool| {
        let mut builder = if multi {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        builder.enable_all().build()
    };
    let number = |name: &str, default: u64| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|index| arguments.get(index + 1)?.parse().ok())
            .unwrap_or(default)
    };
    let place = match arguments.iter().position(|argument| argument == "--store") {
        Some(index) => arguments
            .get(index + 1)
            .and_then(|name| place::Place::of_name(name))
            .ok_or_else(|| std::io::Error::other("--store <sqlite|postgres>"))?,
        None => place::Place::Sqlite,
    };
    let (rounds, leads) = (number("--rounds", 5), number("--leads", 100_000));
    let nodes = number("--nodes", 1);
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            let (Some(name), Some(store)) = (arguments.get(1), arguments.get(2)) else {
                return Err(std::io::Error::other("serve <reference> <store>"));
            };
            runtime(true)?.block_on(reference::serve(name, store))
        }
        Some("process-one") => {
            let number = |index: usize| arguments.get(index)?.parse::<u64>().ok();
            let place = arguments
                .get(1)
                .and_then(|name| place::Place::of_name(name));
            let (Some(place), Some(known), Some(nodes), Some(events)) =
                (place, number(2), number(3), number(4))
            else {
                return Err(std::io::Error::other(
                    "process-one <sqlite|postgres> <known> <nodes> <events>",
                ));
            };
            runtime(true)?.block_on(process::run_one(place, known, nodes as usize, events))
        }
        Some("bulk-one") => {
            let number = |index: usize| arguments.get(index)?.parse::<u64>().ok();
            let (Some(port), Some(leads)) = (number(1), number(2)) else {
                return Err(std::io::Error::other("bulk-one <port> <leads>"));
            };
            runtime(true)?.block_on(bulk::run_one(port as u16, leads))
        }
        Some("bulk") => bulk::run(leads),
        Some("poll") => poll::run(number("--members", 20_000) as usize, rounds),
        Some("process") => process::run_all(number("--events", 50_000)),
        Some("acknowledge") => acknowledge::run(&runtime(false)?, rounds, place),
        Some("end-to-end") => end_to_end::run(&runtime(false)?, leads, place, nodes),
        _ => {
            acknowledge::run(&runtime(false)?, rounds, place)?;
            end_to_end::run(&runtime(false)?, leads, place, nodes)
        }
    }
}
