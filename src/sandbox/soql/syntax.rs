//! A query as written, before anyone asks whether its names exist.

use jiff::civil::Date;

use crate::model::Millis;
use crate::sandbox::errors::Refusal;

/// A name and where it stands (a byte of the query).
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Column {
    Field(Name),
    /// `FIELDS(ALL)` and so on.
    Set(FieldSet),
    /// `(SELECT Id FROM CampaignMembers)`: what belongs to the record.
    Children(Box<Query>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldSet {
    All,
    Standard,
    Custom,
}

#[derive(Debug)]
pub(super) struct Query {
    /// `None` is `COUNT()`.
    pub(super) select: Option<Vec<Column>>,
    pub(super) from: Name,
    pub(super) filter: Option<Filter>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) field: Name,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

#[derive(Debug)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        field: Name,
        operator: Operator,
        value: Operand,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    In,
    NotIn,
}

#[derive(Debug)]
pub(super) enum Operand {
    One(Literal),
    Many(Vec<Literal>),
    /// What a query of other records gives: a semi-join.
    Rows(Box<Query>),
    Pattern(Vec<Glob>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Date(Date),
    Moment(Millis),
}

/// A piece of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glob {
    /// `%`
    Any,
    /// `_`
    One,
    /// In lower case.
    Character(char),
}

/// A refusal in Salesforce's form: the place underlined, its row and column, then the message.
pub(super) fn refuse_at(code: &'static str, query: &str, at: usize, message: &str) -> Refusal {
    let at = if query.is_char_boundary(at) {
        at
    } else {
        query.len()
    };
    let before = &query[..at];
    let row = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() + 1;
    let line_end = query[at..]
        .find('\n')
        .map_or(query.len(), |newline| at + newline);
    // A long query is shown around the place only.
    let from = before[line_start..]
        .char_indices()
        .rev()
        .nth(39)
        .map_or(line_start, |(offset, _)| line_start + offset);
    let to = query[at..line_end]
        .char_indices()
        .nth(40)
        .map_or(line_end, |(offset, _)| at + offset);
    let indent = " ".repeat(query[from..at].chars().count());
    Refusal::plain(
        code,
        format!(
            "\n{}\n{indent}^\nERROR at Row:{row}:Column:{column}\n{message}",
            &query[from..to]
        ),
    )
}
