use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::connector::mechanism::cursor::{Rules, State};
use crate::model::Millis;

const NOW: Millis = Millis(1_772_359_200_000);

fn paging(toml: &str) -> Paging {
    toml::from_str(toml).unwrap()
}

fn walk() -> Walk {
    let rules = Rules::new(None, jiff::tz::TimeZone::UTC);
    rules.begin(&State::default(), None, None, NOW)
}

fn facts(ids: &[i64]) -> Facts {
    Facts {
        ids: ids.to_vec(),
        ..Facts::default()
    }
}

/// The values that go into the requests of a walk, one a page.
fn asked(paging: &Paging, pages: &[Facts]) -> Vec<String> {
    let mut walk = walk();
    let mut asked = Vec::new();
    for page in pages {
        let ask = ask(paging, &walk);
        let values = ask.paged.iter().map(|paged| format!("{:?}", paged.value));
        asked.push(values.chain(ask.url).collect::<Vec<_>>().join(" "));
        if !advance(paging, &mut walk, page).unwrap() {
            asked.push("end".to_owned());
            break;
        }
        // What is stored between two pages is all that is known.
        let stored = serde_json::to_string(&walk).unwrap();
        walk = serde_json::from_str(&stored).unwrap();
    }
    asked
}

#[test]
fn each_style_asks_for_the_next_page_in_its_own_way_and_ends_by_the_vendors_word() {
    let next = |next: &str| Facts {
        next: Some(next.to_owned()),
        ..facts(&[1])
    };
    let empty = facts(&[]);
    let more = |ids: &[i64], more| Facts {
        more: Some(more),
        ..facts(ids)
    };
    let total = |ids: &[i64], total| Facts {
        total: Some(total),
        ..facts(ids)
    };
    let value = |ids: &[i64], value: &str| Facts {
        last_value: Some(value.to_owned()),
        ..facts(ids)
    };
    for (toml, pages, expect) in [
        ("", vec![facts(&[1])], vec!["", "end"]),
        (
            "style = \"page\"\nquery = \"page\"",
            vec![facts(&[1, 2]), facts(&[3]), empty.clone()],
            vec!["Number(1)", "Number(2)", "Number(3)", "end"],
        ),
        (
            "style = \"page\"\nquery = \"page\"\nfirst = 0",
            vec![more(&[1], true), more(&[], true), more(&[2], false)],
            vec!["Number(0)", "Number(1)", "Number(2)", "end"],
        ),
        (
            // A page begins with the last record of the one before.
            "style = \"offset\"\nquery = \"offset\"\nsize = 3\nsize_query = \"limit\"",
            vec![
                facts(&[1, 2, 3]),
                facts(&[3, 4, 5]),
                facts(&[5]),
                empty.clone(),
            ],
            vec![
                "Number(3) Number(0)",
                "Number(3) Number(2)",
                "Number(3) Number(4)",
                "Number(3) Number(5)",
                "end",
            ],
        ),
        (
            "style = \"offset\"\nquery = \"offset\"\ntotal = \"total\"",
            vec![total(&[1, 2], 3), total(&[2, 3], 3)],
            vec!["Number(0)", "Number(1)", "end"],
        ),
        (
            // The second record went, so the third moved up unseen: begun anew.
            "style = \"offset\"\nquery = \"offset\"",
            vec![facts(&[1, 2]), facts(&[4, 5]), facts(&[1, 3])],
            vec!["Number(0)", "Number(1)", "Number(0)"],
        ),
        (
            // One was put before: all moved down, and nothing is lost.
            "style = \"offset\"\nquery = \"offset\"",
            vec![facts(&[1, 2, 3]), facts(&[2, 3, 4]), facts(&[4, 5])],
            vec!["Number(0)", "Number(2)", "Number(4)"],
        ),
        (
            "style = \"token\"\nquery = \"after\"\nfrom = \"next\"",
            vec![
                next("a"),
                Facts {
                    ids: vec![],
                    ..next("b")
                },
                facts(&[1]),
            ],
            vec!["", "Text(\"a\")", "Text(\"b\")", "end"],
        ),
        (
            "style = \"next_url\"\nfrom = \"next\"",
            vec![next("https://x/2"), next(" ")],
            vec!["", "https://x/2", "end"],
        ),
        (
            "style = \"after_last\"\nquery = \"before\"\nfrom = \"token\"",
            vec![value(&[1], "t1"), value(&[2], "t2"), empty.clone()],
            vec!["", "Text(\"t1\")", "Text(\"t2\")", "end"],
        ),
    ] {
        assert_eq!(asked(&paging(toml), &pages), expect, "{toml}");
    }
}

#[test]
fn a_walk_that_goes_round_ends_with_an_error() {
    let token = paging("style = \"token\"\nquery = \"after\"\nfrom = \"next\"");
    for length in [1, 2, 3, 7, 50] {
        let mut walk = walk();
        let mut pages = 0;
        let error = loop {
            let page = Facts {
                next: Some(format!("t{}", pages % length)),
                ..facts(&[pages])
            };
            match advance(&token, &mut walk, &page) {
                Ok(_) => pages += 1,
                Err(error) => break error,
            }
            assert!(pages < 4 * length + 4, "{length}");
        };
        assert_eq!(error, PagingError::Loop);
    }
    // A vendor that does not know the parameter gives the first page for ever.
    for style in ["page", "offset"] {
        let paging = paging(&format!("style = \"{style}\"\nquery = \"nope\""));
        let mut walk = walk();
        let error = (0..10).find_map(|_| advance(&paging, &mut walk, &facts(&[1, 2])).err());
        assert_eq!(error, Some(PagingError::Loop), "{style}");
    }
}

#[test]
fn more_without_a_way_on_is_an_error() {
    let page = Facts {
        more: Some(true),
        ..facts(&[])
    };
    for style in ["token", "next_url", "after_last", "offset"] {
        let paging = paging(&format!("style = \"{style}\"\nquery = \"q\"\nfrom = \"f\""));
        let error = advance(&paging, &mut walk(), &page).unwrap_err();
        assert_eq!(error, PagingError::NoNext, "{style}");
    }
}

#[test]
fn a_page_that_is_too_large_is_asked_for_by_halves_until_it_is_one() {
    let paging = paging("style = \"page\"\nquery = \"page\"\nsize = 5\nsize_query = \"limit\"");
    let mut walk = walk();
    advance(&paging, &mut walk, &facts(&[1, 2, 3, 4, 5])).unwrap();
    assert_eq!(shrink(&paging, &mut walk), Some(2));
    let ask = ask(&paging, &walk);
    // Of the ten records of five pages of two, five were read: the third page holds the sixth.
    let numbers: Vec<_> = ask.paged.iter().map(|paged| paged.value.clone()).collect();
    assert_eq!(numbers, [PagedValue::Number(2), PagedValue::Number(3)]);
    assert_eq!(shrink(&paging, &mut walk), Some(1));
    assert_eq!(shrink(&paging, &mut walk), None);
}

/// Rows by time; what a vendor like Mailchimp does with them.
#[derive(Debug, Clone)]
struct Rows {
    /// Id and time in milliseconds.
    rows: Vec<(i64, i64)>,
    is_inclusive: bool,
}

impl Rows {
    fn page(&self, since: Option<i64>, offset: usize, size: usize) -> (Vec<(i64, i64)>, usize) {
        let since = since.map(|since| since.div_euclid(1000) * 1000);
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .copied()
            .filter(|(_, at)| {
                let at = at.div_euclid(1000) * 1000;
                since.is_none_or(|since| at > since || (self.is_inclusive && at == since))
            })
            .collect();
        rows.sort_by_key(|(id, at)| (*at, *id));
        let total = rows.len();
        (rows.into_iter().skip(offset).take(size).collect(), total)
    }
}

fn read_keyed(
    mut rows: Rows,
    size: usize,
    says_total: bool,
    mut between: impl FnMut(&mut Rows, u64),
) -> BTreeSet<i64> {
    let paging = paging("style = \"cursor\"\nquery = \"offset\"\nsize = 1");
    let mut walk = walk();
    let mut read = BTreeSet::new();
    loop {
        let ask = ask(&paging, &walk);
        let since = ask.from.as_ref().and_then(Mark::number);
        let offset = match &ask.paged[0].value {
            PagedValue::Number(offset) => *offset as usize,
            PagedValue::Text(text) => panic!("{text}"),
        };
        let (page, total) = rows.page(since, offset, size);
        read.extend(page.iter().map(|(id, _)| *id));
        let facts = Facts {
            ids: page.iter().map(|(id, _)| *id).collect(),
            last_mark: page.last().map(|(_, at)| Mark::Number(*at)),
            total: says_total.then_some(total as u64),
            ..Facts::default()
        };
        if !advance(&paging, &mut walk, &facts).unwrap() {
            return read;
        }
        assert!(walk.pages < 3_000, "for ever");
        between(&mut rows, walk.pages);
    }
}

proptest! {
    #[test]
    fn paging_by_the_cursor_reads_all_whatever_the_ties_and_the_pages_size(
        steps in prop::collection::vec((0_i64..4, 1_usize..12), 1..40),
        size in 1_usize..15,
        is_inclusive: bool,
        says_total: bool,
    ) {
        let mut rows = Vec::new();
        let mut at = 1_700_000_000_000;
        for (step, ties) in steps {
            at += step * 700;
            for _ in 0..ties {
                rows.push((rows.len() as i64, at));
            }
        }
        let all: BTreeSet<i64> = rows.iter().map(|(id, _)| *id).collect();
        let read = read_keyed(Rows { rows, is_inclusive }, size, says_total, |_, _| {});
        prop_assert_eq!(read, all);
    }

    #[test]
    fn records_that_are_edited_meanwhile_hide_no_others(
        seconds in prop::collection::vec(1_usize..6, 5..30),
        edits in prop::collection::vec(0_usize..100, 0..4),
        size in 2_usize..8,
    ) {
        let mut rows = Vec::new();
        for (second, ties) in seconds.iter().enumerate() {
            for _ in 0..*ties {
                rows.push((rows.len() as i64, 1_700_000_000_000 + second as i64 * 1_000));
            }
        }
        let all: BTreeSet<i64> = rows.iter().map(|(id, _)| *id).collect();
        let rows = Rows { rows, is_inclusive: true };
        let mut edits = edits.into_iter();
        let read = read_keyed(rows, size, true, |rows, page| {
            if page % 3 == 0 && let Some(edited) = edits.next() {
                let edited = edited % rows.rows.len();
                // An edit moves a row to the end.
                rows.rows[edited].1 = 1_800_000_000_000 + page as i64 * 1_000;
            }
        });
        prop_assert_eq!(read, all);
    }
}
