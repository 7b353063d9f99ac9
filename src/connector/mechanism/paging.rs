//! From page to page: what is asked for next, and whether the vendor said that there is no more.
//!
//! Pure. Promises: a walk ends by the vendor's word, or by an error where it would go round for
//! ever; no record that was there all the time is skipped because others came or went between two
//! pages, as far as the vendor's way of paging allows.

use serde::{Deserialize, Serialize};

use super::cursor::{Mark, Walk};
use super::request::{Paged, PagedValue};
use crate::connector::manifest::{Paging, PagingStyle};

/// The most pages of a walk.
const MOST_PAGES: u64 = 100_000;

/// How often a walk goes back because the rows have moved under it.
const MOST_SHIFTS: u32 = 5;

/// How often a page may bring the same records as the one before it.
const MOST_SAME: u32 = 1;

const SECOND: i64 = 1_000;

/// Where a walk is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// Before its first page.
    #[default]
    First,
    /// Before a later one.
    Next(Box<Next>),
}

/// Before a page that is not the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What is asked for.
    place: Place,
    /// Against going round.
    guard: Guard,
}

/// What a page is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// Its number.
    Page(u64),
    /// How many come before it.
    Offset(Offset),
    /// A token, or a value of the last record.
    Token(String),
    /// Its address.
    Url(String),
    /// The cursor, and how many come before it from there.
    Keyed { from: Option<Mark>, offset: Offset },
}

/// How many come before a page. It begins with the last record of the page before it: if that is
/// not on it, the rows have moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Offset {
    from: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    edge: Option<i64>,
}

/// Notices a walk that goes round: places by Brent's way (one is remembered, and each that follows
/// compared with it, twice as long each time), pages by what is on them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Guard {
    place: i64,
    steps: u64,
    most: u64,
    page: i64,
    same: u32,
    shifts: u32,
}

/// What a page said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What its records are known by, in their order.
    pub ids: Vec<i64>,
    /// The last record's value for `after_last`.
    pub last_value: Option<String>,
    /// The last record's mark.
    pub last_mark: Option<Mark>,
    /// The token or address of the next page.
    pub next: Option<String>,
    /// The vendor's own word whether there is more.
    pub more: Option<bool>,
    /// How many there are in all.
    pub total: Option<u64>,
}

/// Why a walk cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PagingError {
    /// The same again and again.
    #[error("the vendor's pages go round: one was given again that was read before")]
    Loop,
    /// The limit of pages.
    #[error("the list has more than {MOST_PAGES} pages")]
    TooLong,
    /// The vendor says that there is more, but not how to ask for it.
    #[error("the vendor says that there are more pages, but not how to ask for the next")]
    NoNext,
}

/// The next page's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask<'a> {
    /// Values that go into the request.
    pub paged: Vec<Paged<'a>>,
    /// The whole address, in place of the request.
    pub url: Option<String>,
    /// The mark that is asked from, where that is not the walk's own.
    pub from: Option<Mark>,
    /// How many are asked for.
    pub size: Option<u32>,
}

/// What the page at `walk`'s position is asked for by.
pub fn ask<'a>(paging: &'a Paging, walk: &Walk) -> Ask<'a> {
    let size = walk.size.or(paging.size);
    let mut ask = Ask {
        paged: Vec::new(),
        url: None,
        from: None,
        size,
    };
    if let (Some(name), Some(size)) = (paging.size_query.as_deref(), size) {
        ask.paged.push(Paged {
            query: Some(name),
            body: None,
            value: PagedValue::Number(u64::from(size)),
        });
    }
    let value = match &walk.position {
        Position::First => match paging.style {
            PagingStyle::Page => Some(PagedValue::Number(paging.first.unwrap_or(1))),
            PagingStyle::Offset | PagingStyle::Cursor => Some(PagedValue::Number(0)),
            _ => None,
        },
        Position::Next(next) => match &next.place {
            Place::Page(number) => Some(PagedValue::Number(*number)),
            Place::Offset(offset) => Some(PagedValue::Number(offset.from)),
            Place::Token(token) => Some(PagedValue::Text(token.clone())),
            Place::Url(url) => {
                ask.url = Some(url.clone());
                None
            }
            Place::Keyed { from, offset } => {
                ask.from.clone_from(from);
                Some(PagedValue::Number(offset.from))
            }
        },
    };
    if let Some(value) = value {
        ask.paged.push(Paged {
            query: paging.query.as_deref(),
            body: paging.body.as_deref(),
            value,
        });
    }
    ask
}

/// Moves `walk` behind a page that was read. Says whether there is one more to ask for.
pub fn advance(paging: &Paging, walk: &mut Walk, facts: &Facts) -> Result<bool, PagingError> {
    walk.pages += 1;
    let mut guard = match &walk.position {
        Position::First => Guard::default(),
        Position::Next(next) => next.guard,
    };
    let Some(place) = next_place(paging, walk, facts, &mut guard)? else {
        return Ok(false);
    };
    if walk.pages >= MOST_PAGES {
        return Err(PagingError::TooLong);
    }
    guard.note_page(&facts.ids)?;
    guard.note_place(&place)?;
    walk.position = Position::Next(Box::new(Next { place, guard }));
    Ok(true)
}

/// Asks for half as many from here on; none if there is nothing to halve.
pub fn shrink(paging: &Paging, walk: &mut Walk) -> Option<u32> {
    let before = walk.size.or(paging.size).filter(|size| *size > 1)?;
    let size = before / 2;
    walk.size = Some(size);
    if let Position::Next(next) = &mut walk.position
        && let Place::Page(number) = &mut next.place
    {
        // Pages are counted anew; what was read of this one comes again.
        let first = paging.first.unwrap_or(1);
        let read = number.saturating_sub(first) * u64::from(before);
        *number = first + read / u64::from(size);
        next.guard = Guard::default();
    }
    Some(size)
}

/// Whether a half-done walk that has rested cannot go on where it was: numbers of pages and rows
/// mean something else by then.
pub fn is_stale(walk: &Walk, rested: std::time::Duration) -> bool {
    const MOST: std::time::Duration = std::time::Duration::from_secs(15 * 60);
    let Position::Next(next) = &walk.position else {
        return false;
    };
    rested > MOST && matches!(next.place, Place::Page(_) | Place::Offset(_))
}

fn next_place(
    paging: &Paging,
    walk: &Walk,
    facts: &Facts,
    guard: &mut Guard,
) -> Result<Option<Place>, PagingError> {
    let at = match &walk.position {
        Position::First => None,
        Position::Next(next) => Some(&next.place),
    };
    let goes_by_offset = matches!(paging.style, PagingStyle::Offset | PagingStyle::Cursor);
    if facts.more == Some(false) && !goes_by_offset {
        return Ok(None);
    }
    let says_more = facts.more == Some(true);
    let is_empty = facts.ids.is_empty();
    let given = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
    Ok(match paging.style {
        PagingStyle::None => None,
        PagingStyle::Page if is_empty && !says_more => None,
        PagingStyle::Page => {
            let number = match at {
                Some(Place::Page(number)) => *number,
                _ => paging.first.unwrap_or(1),
            };
            Some(Place::Page(number + 1))
        }
        PagingStyle::Token | PagingStyle::NextUrl => match given(&facts.next) {
            Some(next) if paging.style == PagingStyle::Token => Some(Place::Token(next)),
            Some(next) => Some(Place::Url(next)),
            None if says_more => return Err(PagingError::NoNext),
            None => None,
        },
        PagingStyle::AfterLast => match given(&facts.last_value) {
            Some(value) => Some(Place::Token(value)),
            None if is_empty && !says_more => None,
            None => return Err(PagingError::NoNext),
        },
        PagingStyle::Offset => {
            let offset = match at {
                Some(Place::Offset(offset)) => *offset,
                _ => Offset::default(),
            };
            offset.after(facts, guard)?.map(Place::Offset)
        }
        PagingStyle::Cursor => {
            let (from, offset) = match at {
                Some(Place::Keyed { from, offset }) => (from.clone(), *offset),
                _ => (walk.asked.clone(), Offset::default()),
            };
            keyed(from, offset, facts, guard)?
        }
    })
}

/// By the last record's time, one second back; within one second by offset.
fn keyed(
    from: Option<Mark>,
    offset: Offset,
    facts: &Facts,
    guard: &mut Guard,
) -> Result<Option<Place>, PagingError> {
    let Some(after) = offset.after(facts, guard)? else {
        return Ok(None);
    };
    let has_moved = after.from < offset.from;
    let last = facts.last_mark.as_ref().and_then(Mark::number);
    let asked = from.as_ref().and_then(Mark::number);
    if has_moved {
        return Ok(Some(Place::Keyed {
            from,
            offset: after,
        }));
    }
    let next = last.ok_or(PagingError::NoNext)?.saturating_sub(SECOND);
    // Requests by the second lose what is below it.
    let next = next.div_euclid(SECOND) * SECOND;
    if asked.is_none_or(|asked| next > asked) {
        return Ok(Some(Place::Keyed {
            from: Some(Mark::Number(next)),
            offset: Offset::default(),
        }));
    }
    Ok(Some(Place::Keyed {
        from,
        offset: after,
    }))
}

impl Offset {
    /// The next page's; none at the end.
    fn after(self, facts: &Facts, guard: &mut Guard) -> Result<Option<Self>, PagingError> {
        let has_moved = self.edge.is_some_and(|edge| !facts.ids.contains(&edge));
        if has_moved && guard.shifts < MOST_SHIFTS {
            guard.shifts += 1;
            return Ok(Some(Self::default()));
        }
        let read = facts.ids.len() as u64;
        let end = self.from + read;
        if facts.more == Some(false) || facts.total.is_some_and(|total| end >= total) {
            return Ok(None);
        }
        if read == 0 {
            // There is no telling where an empty page would be followed by another.
            return if facts.more == Some(true) {
                Err(PagingError::NoNext)
            } else {
                Ok(None)
            };
        }
        // A page of one record cannot begin with the last one's.
        let overlap = read > 1 && guard.shifts < MOST_SHIFTS;
        Ok(Some(Self {
            from: end - u64::from(overlap),
            edge: facts.ids.last().copied().filter(|_| overlap),
        }))
    }
}

impl Guard {
    fn note_page(&mut self, ids: &[i64]) -> Result<(), PagingError> {
        let page = ids.iter().fold(ids.len() as i64, |hash, id| mix(hash, *id));
        if !ids.is_empty() && page == self.page {
            self.same += 1;
        } else {
            self.same = 0;
        }
        self.page = page;
        if self.same > MOST_SAME {
            return Err(PagingError::Loop);
        }
        Ok(())
    }

    fn note_place(&mut self, place: &Place) -> Result<(), PagingError> {
        let (Place::Token(text) | Place::Url(text)) = place else {
            // Numbers only grow, but for the few times that the rows have moved.
            return Ok(());
        };
        let place = text
            .bytes()
            .fold(text.len() as i64, |hash, byte| mix(hash, i64::from(byte)));
        if self.most > 0 && place == self.place {
            return Err(PagingError::Loop);
        }
        self.steps += 1;
        if self.steps >= self.most {
            self.place = place;
            self.steps = 0;
            self.most = (self.most * 2).max(1);
        }
        Ok(())
    }
}

/// A 64-bit mix (splitmix64's steps): the same in every version of the program, as it is stored.
fn mix(hash: i64, value: i64) -> i64 {
    let mut mixed = (hash ^ value)
        .cast_unsigned()
        .wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)).cast_signed()
}

#[cfg(test)]
mod tests;
