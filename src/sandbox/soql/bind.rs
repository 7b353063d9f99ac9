use std::cmp::Ordering;

use jiff::civil::Date;

use super::syntax::{
    Column, FieldSet, Filter, Glob, Literal, Name, Operand, Operator, Query, refuse_at,
};
use crate::model::Millis;
use crate::sandbox::errors::Refusal;
use crate::sandbox::ids::RecordId;
use crate::sandbox::org::Org;
use crate::sandbox::schema::{Field, FieldIx, Kind, ObjectIx};
use crate::sandbox::value::Value;

/// What `Owner.Type` and `Who.Type` are: text that no field holds.
static TYPE: Kind = Kind::Text(40);

/// A query whose names are known.
#[derive(Debug)]
pub(in crate::sandbox) struct BoundQuery {
    pub(in crate::sandbox) object: ObjectIx,
    pub(in crate::sandbox) select: Select,
    /// What belongs to each record, if that was asked for.
    pub(in crate::sandbox) children: Vec<Children>,
    pub(super) filter: Option<Test>,
    pub(super) order: Vec<BoundOrder>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// A query of the records that belong to one.
#[derive(Debug)]
pub(in crate::sandbox) struct Children {
    /// The relationship's name, e.g. `CampaignMembers`.
    pub(super) name: String,
    /// The field by which they belong to it.
    pub(super) field: FieldIx,
    /// Which of them, and what of them.
    pub(super) query: BoundQuery,
}

#[derive(Debug)]
pub(in crate::sandbox) enum Select {
    Count,
    Fields(Vec<Path>),
}

#[derive(Debug)]
pub(super) struct BoundOrder {
    pub(super) path: Path,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

/// The way from a record to a field: references to follow, then the field.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Path {
    /// References and the names of their relationships.
    pub(super) steps: Vec<(FieldIx, &'static str)>,
    /// The field, in the object where the references lead. An owner may be a user or a queue,
    /// so past a step the field is found by name.
    pub(super) field: FieldIx,
    pub(super) name: String,
    /// Whether it is the `Type` behind a polymorphic reference: the name of the record's object.
    pub(super) is_type: bool,
}

#[derive(Debug)]
pub(super) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Equal(Path, Option<Key>),
    Compare(Path, Ordering, bool, Key),
    Like(Path, Vec<Glob>),
    /// Sorted; whether null is among the values.
    In(Path, Vec<Key>, bool),
}

/// A literal that a field's values are compared with.
#[derive(Debug, Clone)]
pub(super) enum Key {
    /// In lower case.
    Text(String),
    Bool(bool),
    Number(f64),
    Date(Date),
    Moment(Millis),
    Id(RecordId),
}

impl Key {
    /// How `value` compares with this.
    pub(super) fn order(&self, value: &Value) -> Option<Ordering> {
        match (value, self) {
            (Value::Text(text), Self::Text(key)) => {
                Some(text.chars().flat_map(char::to_lowercase).cmp(key.chars()))
            }
            (Value::Bool(value), Self::Bool(key)) => Some(value.cmp(key)),
            (Value::Number(value), Self::Number(key)) => value.partial_cmp(key),
            (Value::Date(value), Self::Date(key)) => Some(value.cmp(key)),
            (Value::Moment(value), Self::Moment(key)) => Some(value.cmp(key)),
            (Value::Id(value), Self::Id(key)) => Some(value.cmp(key)),
            _ => None,
        }
    }

    /// For sorting a list of keys of one kind.
    fn order_keys(a: &Self, b: &Self) -> Ordering {
        match (a, b) {
            (Self::Text(a), Self::Text(b)) => a.chars().cmp(b.chars()),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Moment(a), Self::Moment(b)) => a.cmp(b),
            (Self::Id(a), Self::Id(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// Checks a query against the org.
pub(super) fn bind(org: &Org, text: &str, query: Query) -> Result<BoundQuery, Refusal> {
    let object = org.schema.shown(&query.from.text).ok_or_else(|| {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be \
             sure to append the '__c' after the entity name. Please reference your WSDL or the \
             describe call for the appropriate names.",
            query.from.text
        );
        refuse_at("INVALID_TYPE", text, query.from.at, &message)
    })?;
    bind_to(org, text, object, query)
}

/// The same, where the object is known from elsewhere.
fn bind_to(org: &Org, text: &str, object: ObjectIx, query: Query) -> Result<BoundQuery, Refusal> {
    let binder = Binder { org, text, object };
    let mut children = Vec::new();
    let select = match query.select {
        None => Select::Count,
        Some(columns) => {
            let mut fields = Vec::new();
            for column in columns {
                match column {
                    Column::Children(query) => children.push(binder.children(*query)?),
                    column => fields.push(column),
                }
            }
            Select::Fields(binder.columns(&fields, query.limit)?)
        }
    };
    let order = query.order.iter().map(|order| {
        Ok(BoundOrder {
            path: binder.path(&order.field)?.0,
            descending: order.descending,
            nulls_last: order.nulls_last,
        })
    });
    Ok(BoundQuery {
        object,
        select,
        children,
        order: order.collect::<Result<_, Refusal>>()?,
        filter: query.filter.map(|filter| binder.test(filter)).transpose()?,
        limit: query.limit.unwrap_or(usize::MAX),
        offset: query.offset,
    })
}

struct Binder<'a> {
    org: &'a Org,
    text: &'a str,
    object: ObjectIx,
}

impl Binder<'_> {
    fn columns(&self, columns: &[Column], limit: Option<usize>) -> Result<Vec<Path>, Refusal> {
        let mut paths: Vec<Path> = Vec::new();
        for column in columns {
            match column {
                Column::Field(name) => {
                    let (path, _) = self.path(name)?;
                    let is_same =
                        |known: &Path| known.steps == path.steps && known.name == path.name;
                    if paths.iter().any(is_same) {
                        let message = format!("duplicate field selected: {}", name.text);
                        return Err(refuse_at("INVALID_FIELD", self.text, name.at, &message));
                    }
                    paths.push(path);
                }
                // Bound by itself.
                Column::Children(_) => {}
                Column::Set(set) => {
                    if *set != FieldSet::Standard && limit.is_none_or(|limit| limit > 200) {
                        return Err(Refusal::plain(
                            "MALFORMED_QUERY",
                            "The SOQL FIELDS function must have a LIMIT of at most 200",
                        ));
                    }
                    let fields = self.org.object(self.object).shown_fields();
                    paths.extend(
                        fields
                            .filter(|(_, field)| match set {
                                FieldSet::All => true,
                                FieldSet::Standard => !field.is_custom(),
                                FieldSet::Custom => field.is_custom(),
                            })
                            .map(|(ix, field)| Path {
                                steps: Vec::new(),
                                field: ix,
                                name: field.name.clone().into_owned(),
                                is_type: false,
                            }),
                    );
                }
            }
        }
        Ok(paths)
    }

    /// A query of what belongs to a record, by the relationship's name.
    fn children(&self, query: Query) -> Result<Children, Refusal> {
        let own = self.org.object(self.object).name;
        let wanted = &query.from;
        let objects = self.org.schema.objects.iter().enumerate();
        let found = objects.filter_map(|(ix, child)| {
            let is_named = child.relation().eq_ignore_ascii_case(&wanted.text);
            let leads_here = |(field, known): (FieldIx, &Field)| {
                matches!(&known.kind, Kind::Reference { to, .. } if known.parent && to.contains(&own))
                    .then_some(field)
            };
            let field = child.visible().find_map(leads_here);
            is_named.then_some(ix).zip(field)
        });
        let Some((object, field)) = found.into_iter().next() else {
            let message = format!(
                "Didn't understand relationship '{}' in FROM part of query call. If you are \
                 attempting to use a custom relationship, be sure to append the '__r' after the \
                 custom relationship name. Please reference your WSDL or the describe call for the \
                 appropriate names.",
                wanted.text
            );
            return Err(refuse_at("INVALID_TYPE", self.text, wanted.at, &message));
        };
        let name = self.org.object(object).relation();
        let query = bind_to(self.org, self.text, object, query)?;
        if matches!(query.select, Select::Count) {
            return Err(Refusal::plain(
                "MALFORMED_QUERY",
                "COUNT() cannot be used in a subquery",
            ));
        }
        Ok(Children { name, field, query })
    }

    /// The ids that a semi-join compares with: those that are there when the query begins.
    fn joined(&self, name: &Name, kind: &Kind, query: Query) -> Result<Vec<Key>, Refusal> {
        let refuse = |message: &str| Err(refuse_at("MALFORMED_QUERY", self.text, name.at, message));
        if !matches!(kind, Kind::Id | Kind::Reference { .. }) {
            return refuse(
                "The left operand field in the where expression for outer query must be an id or a \
                 reference",
            );
        }
        let query = bind(self.org, self.text, query)?;
        let path = match &query.select {
            Select::Fields(paths) if paths.len() == 1 && query.children.is_empty() => &paths[0],
            _ => return refuse("the inner query of a semi-join selects one field"),
        };
        let table = self.org.table(query.object);
        let ids = query
            .find(self.org, false)
            .into_iter()
            .filter_map(|number| {
                let value = path.value(self.org, query.object, table.at(number))?;
                value.as_id().map(Key::Id)
            });
        Ok(ids.collect())
    }

    fn path(&self, name: &Name) -> Result<(Path, &Kind), Refusal> {
        let mut parts: Vec<&str> = name.text.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        // `Lead.Email` in a query of leads is `Email`.
        if parts
            .first()
            .is_some_and(|first| first.eq_ignore_ascii_case(self.org.object(self.object).name))
        {
            parts.remove(0);
        }
        let mut object = self.object;
        let mut steps = Vec::new();
        let mut is_polymorphic = false;
        for part in parts {
            let reference = self.org.object(object).relationship(part);
            let kind = reference.map(|ix| (ix, &self.org.object(object).at(ix).kind));
            let Some((ix, Kind::Reference { to, relationship })) = kind else {
                let message = format!(
                    "Didn't understand relationship '{part}' in field path. If you are attempting \
                     to use a custom relationship, be sure to append the '__r' after the custom \
                     relationship name. Please reference your WSDL or the describe call for the \
                     appropriate names."
                );
                return Err(refuse_at("INVALID_FIELD", self.text, name.at, &message));
            };
            steps.push((ix, *relationship));
            is_polymorphic = to.len() > 1;
            // Where several objects can be meant, the field may be that of any of them.
            let mut targets = to.iter().filter_map(|target| self.org.schema.find(target));
            let first = targets.next().unwrap_or(object);
            let has_it = |target: &ObjectIx| self.org.object(*target).shown(last).is_some();
            object = if has_it(&first) {
                first
            } else {
                targets.find(has_it).unwrap_or(first)
            };
        }
        let known = self.org.object(object);
        if is_polymorphic && last.eq_ignore_ascii_case("Type") {
            let path = Path {
                steps,
                field: 0,
                name: "Type".to_owned(),
                is_type: true,
            };
            return Ok((path, &TYPE));
        }
        let Some(field) = known.shown(last) else {
            let message = format!(
                "No such column '{last}' on entity '{}'. If you are attempting to use a custom \
                 field, be sure to append the '__c' after the custom field name. Please reference \
                 your WSDL or the describe call for the appropriate names.",
                known.name
            );
            return Err(refuse_at("INVALID_FIELD", self.text, name.at, &message));
        };
        let name = known.at(field).name.clone().into_owned();
        let path = Path {
            steps,
            field,
            name,
            is_type: false,
        };
        Ok((path, &known.at(field).kind))
    }

    fn test(&self, filter: Filter) -> Result<Test, Refusal> {
        let tests = |filters: Vec<Filter>| -> Result<Vec<Test>, Refusal> {
            filters
                .into_iter()
                .map(|filter| self.test(filter))
                .collect()
        };
        match filter {
            Filter::And(filters) => Ok(Test::And(tests(filters)?)),
            Filter::Or(filters) => Ok(Test::Or(tests(filters)?)),
            Filter::Not(filter) => Ok(Test::Not(Box::new(self.test(*filter)?))),
            Filter::Compare {
                field,
                operator,
                value,
            } => self.comparison(&field, operator, value),
        }
    }

    fn comparison(&self, name: &Name, operator: Operator, value: Operand) -> Result<Test, Refusal> {
        let (path, kind) = self.path(name)?;
        if !kind.filterable() {
            let message = format!("field '{}' can not be filtered in a query call", path.name);
            return Err(refuse_at("INVALID_FIELD", self.text, name.at, &message));
        }
        let invalid_operator = || {
            let message = format!("invalid operator on {} field", kind.name());
            Err(refuse_at(
                "INVALID_QUERY_FILTER_OPERATOR",
                self.text,
                name.at,
                &message,
            ))
        };
        let is_text = Key::is_text(kind);
        // Ids have an order: paging by key relies on it.
        let is_sorted = *kind != Kind::Boolean;
        match (operator, value) {
            (Operator::Like, Operand::Pattern(pattern)) if is_text => Ok(Test::Like(path, pattern)),
            (Operator::In | Operator::NotIn, Operand::Rows(query)) => {
                let mut keys = self.joined(name, kind, *query)?;
                keys.sort_unstable_by(Key::order_keys);
                let test = Test::In(path, keys, false);
                Ok(if operator == Operator::NotIn {
                    Test::Not(Box::new(test))
                } else {
                    test
                })
            }
            (Operator::In | Operator::NotIn, Operand::Many(literals)) => {
                let has_null = literals.contains(&Literal::Null);
                let mut keys = literals
                    .into_iter()
                    .filter(|literal| *literal != Literal::Null)
                    .map(|literal| self.key(name, kind, literal))
                    .collect::<Result<Vec<_>, _>>()?;
                keys.sort_unstable_by(Key::order_keys);
                let test = Test::In(path, keys, has_null);
                Ok(if operator == Operator::NotIn {
                    Test::Not(Box::new(test))
                } else {
                    test
                })
            }
            (Operator::Equal | Operator::NotEqual, Operand::One(literal)) => {
                let key = match literal {
                    Literal::Null => None,
                    // The empty string is stored as null.
                    Literal::Text(text) if is_text && text.is_empty() => None,
                    literal => Some(self.key(name, kind, literal)?),
                };
                let test = Test::Equal(path, key);
                Ok(if operator == Operator::NotEqual {
                    Test::Not(Box::new(test))
                } else {
                    test
                })
            }
            (_, Operand::One(literal)) if is_sorted && literal != Literal::Null => {
                let key = self.key(name, kind, literal)?;
                let (order, or_equal) = match operator {
                    Operator::Less => (Ordering::Less, false),
                    Operator::LessOrEqual => (Ordering::Less, true),
                    Operator::Greater => (Ordering::Greater, false),
                    _ => (Ordering::Greater, true),
                };
                Ok(Test::Compare(path, order, or_equal, key))
            }
            _ => invalid_operator(),
        }
    }

    fn key(&self, name: &Name, kind: &Kind, literal: Literal) -> Result<Key, Refusal> {
        match (kind, literal) {
            (Kind::Id | Kind::Reference { .. }, Literal::Text(text)) => {
                RecordId::parse(&text).map(Key::Id).ok_or_else(|| {
                    let message = format!("invalid ID field: {text}");
                    refuse_at(
                        "INVALID_QUERY_FILTER_OPERATOR",
                        self.text,
                        name.at,
                        &message,
                    )
                })
            }
            (kind, Literal::Text(text)) if Key::is_text(kind) => Ok(Key::Text(text.to_lowercase())),
            (Kind::Boolean, Literal::Bool(value)) => Ok(Key::Bool(value)),
            (Kind::Number { .. }, Literal::Number(number)) => Ok(Key::Number(number)),
            (Kind::Date, Literal::Date(date)) => Ok(Key::Date(date)),
            (Kind::DateTime, Literal::Moment(moment)) => Ok(Key::Moment(moment)),
            (kind, _) => {
                let quotes =
                    if Key::is_text(kind) || matches!(kind, Kind::Id | Kind::Reference { .. }) {
                        "should be"
                    } else {
                        "should not be"
                    };
                let kind = match kind {
                    Kind::DateTime => "dateTime",
                    kind if Key::is_text(kind) => "string",
                    kind => kind.name(),
                };
                let message = format!(
                    "value of filter criterion for field '{}' must be of type {kind} and {quotes} \
                     enclosed in quotes",
                    name.text
                );
                Err(refuse_at("INVALID_FIELD", self.text, name.at, &message))
            }
        }
    }
}

impl Key {
    fn is_text(kind: &Kind) -> bool {
        matches!(
            kind,
            Kind::Text(_)
                | Kind::TextArea(_)
                | Kind::Email
                | Kind::Phone
                | Kind::Url
                | Kind::Picklist { .. }
        )
    }
}
