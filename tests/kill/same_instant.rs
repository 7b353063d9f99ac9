//! One person, at two nodes, at the same instant.

use std::sync::Barrier;
use std::thread;

use super::books;
use super::dice::{self, Dice};
use super::http::Connection;
use super::load::{Doors, Posted};
use super::nodes::Nodes;
use super::people::Guise;
use super::postgres;
use super::program::Site;

const PAIRS: u64 = 300;

#[test]
fn somebody_new_who_posts_to_both_nodes_at_the_same_instant_is_one_lead() {
    let Some(url) = postgres::database() else {
        return;
    };
    let seed = dice::seed("same instant");
    let site = Site::over(url, &["--latency-ms", "10"]);
    let (posted, doors) = (Posted::default(), Doors::shut(2));
    let nodes = Nodes::start(&site, &doors);
    let people: Vec<_> = (0..PAIRS).map(|_| posted.someone_new()).collect();
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        for (node, daemon) in nodes.both().into_iter().enumerate() {
            let (people, posted, barrier) = (&people, &posted, &barrier);
            scope.spawn(move || {
                let mut dice = Dice::of(seed ^ node as u64);
                let mut connection = Connection::open(daemon.address).unwrap();
                for (pair, person) in people.iter().enumerate() {
                    // One node gets all that is known of them; the other the same, or with the
                    // address in capitals, or no address.
                    let guise = match pair / 2 % 3 {
                        _ if pair % 2 == node => Guise::First,
                        0 => Guise::First,
                        1 => Guise::SameEmail,
                        _ => Guise::SamePhone,
                    };
                    let post = person.post(guise, posted.number(), &mut dice);
                    barrier.wait();
                    // The other node's thread waits for this one: no failing in here.
                    match connection.post("/hooks/demo", post.content_type, &post.body) {
                        Ok(answer) if answer.status == 200 => posted.acknowledge(&post, &answer),
                        Ok(answer) => posted.refuse(answer.status),
                        Err(_) => posted.refuse(0),
                    }
                }
            });
        }
    });
    books::drain(&site, nodes.node(0));
    books::check(&site, &posted);
    assert_eq!(site.sandbox.leads(), PAIRS);
    for daemon in nodes.both() {
        let accepted = daemon.metric("leadstream_events_accepted", "demo");
        assert_eq!(accepted, Some(PAIRS as f64));
    }
}
