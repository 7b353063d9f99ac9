use super::lex::{Token, TokenKind, lex, unescape, unescape_pattern};
use super::syntax::{
    Column, FieldSet, Filter, Literal, Name, Operand, Operator, Order, Query, refuse_at,
};
use crate::sandbox::errors::Refusal;
use crate::sandbox::value::{parse_date, parse_moment};

/// Brackets in brackets; deeper ones are refused before they cost the stack.
const MAX_DEPTH: usize = 50;

/// Reads a query.
pub(super) fn parse(query: &str) -> Result<Query, Refusal> {
    let mut parser = Parser {
        query,
        tokens: lex(query)?,
        next: 0,
        depth: 0,
        is_inside: false,
    };
    let parsed = parser.query()?;
    match parser.kind() {
        TokenKind::End => Ok(parsed),
        TokenKind::Word(word)
            if ["GROUP", "HAVING", "FOR", "USING", "WITH", "ALL"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(word)) =>
        {
            Err(parser.refuse(&format!(
                "the sandbox does not know {}",
                word.to_uppercase()
            )))
        }
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'q> {
    query: &'q str,
    tokens: Vec<Token<'q>>,
    next: usize,
    depth: usize,
    is_inside: bool,
}

impl<'q> Parser<'q> {
    fn query(&mut self) -> Result<Query, Refusal> {
        self.expect_word("SELECT")?;
        let select = self.columns()?;
        self.expect_word("FROM")?;
        let from = self.name()?;
        let filter = if self.take_word("WHERE") {
            Some(self.filter()?)
        } else {
            None
        };
        let mut order = Vec::new();
        if self.take_word("ORDER") {
            self.expect_word("BY")?;
            order.push(self.order()?);
            while self.take_symbol(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.take_word("LIMIT") {
            Some(self.count()?)
        } else {
            None
        };
        let offset = if self.take_word("OFFSET") {
            self.count()?
        } else {
            0
        };
        if offset > 2_000 {
            return Err(Refusal::plain(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Maximum SOQL offset allowed is 2000",
            ));
        }
        Ok(Query {
            select,
            from,
            filter,
            order,
            limit,
            offset,
        })
    }

    /// `None` is `COUNT()`.
    fn columns(&mut self) -> Result<Option<Vec<Column>>, Refusal> {
        let mut columns = Vec::new();
        loop {
            if self.is_word("TYPEOF") {
                return Err(self.refuse("the sandbox does not know TYPEOF"));
            }
            if matches!(self.kind(), TokenKind::Symbol("(")) {
                columns.push(Column::Children(Box::new(self.subquery()?)));
                if !self.take_symbol(",") {
                    return Ok(Some(columns));
                }
                continue;
            }
            let name = self.name()?;
            if !self.take_symbol("(") {
                columns.push(Column::Field(name));
            } else if name.text.eq_ignore_ascii_case("COUNT") && columns.is_empty() {
                if !self.take_symbol(")") {
                    return Err(self.refuse("the sandbox does not know COUNT of a field"));
                }
                return Ok(None);
            } else if name.text.eq_ignore_ascii_case("FIELDS") {
                let set = self.name()?;
                let set = match set.text.to_ascii_uppercase().as_str() {
                    "ALL" => FieldSet::All,
                    "STANDARD" => FieldSet::Standard,
                    "CUSTOM" => FieldSet::Custom,
                    _ => return Err(self.unexpected()),
                };
                self.expect_symbol(")")?;
                columns.push(Column::Set(set));
            } else {
                let message = format!("the sandbox does not know {}()", name.text.to_uppercase());
                return Err(self.refuse(&message));
            }
            if !self.take_symbol(",") {
                return Ok(Some(columns));
            }
        }
    }

    fn order(&mut self) -> Result<Order, Refusal> {
        let field = self.name()?;
        let descending = self.take_word("DESC");
        if !descending {
            self.take_word("ASC");
        }
        let mut nulls_last = false;
        if self.take_word("NULLS") {
            nulls_last = self.take_word("LAST");
            if !nulls_last {
                self.expect_word("FIRST")?;
            }
        }
        Ok(Order {
            field,
            descending,
            nulls_last,
        })
    }

    /// `a AND b AND c` or `a OR b OR c`; the two are mixed only by brackets.
    fn filter(&mut self) -> Result<Filter, Refusal> {
        let first = self.term()?;
        let (word, other) = if self.is_word("AND") {
            ("AND", "OR")
        } else {
            ("OR", "AND")
        };
        let mut terms = vec![first];
        while self.take_word(word) {
            terms.push(self.term()?);
        }
        if self.is_word(other) {
            return Err(self.unexpected());
        }
        Ok(match (terms.len(), word) {
            (1, _) => terms.remove(0),
            (_, "AND") => Filter::And(terms),
            _ => Filter::Or(terms),
        })
    }

    fn term(&mut self) -> Result<Filter, Refusal> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Refusal::plain(
                "QUERY_TOO_COMPLICATED",
                "Query is too complicated",
            ));
        }
        let term = if self.take_word("NOT") {
            Filter::Not(Box::new(self.term()?))
        } else if self.take_symbol("(") {
            let inner = self.filter()?;
            self.expect_symbol(")")?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn comparison(&mut self) -> Result<Filter, Refusal> {
        let field = self.name()?;
        let operator = match self.kind() {
            TokenKind::Symbol("=") => Operator::Equal,
            TokenKind::Symbol("!=" | "<>") => Operator::NotEqual,
            TokenKind::Symbol("<") => Operator::Less,
            TokenKind::Symbol("<=") => Operator::LessOrEqual,
            TokenKind::Symbol(">") => Operator::Greater,
            TokenKind::Symbol(">=") => Operator::GreaterOrEqual,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("LIKE") => Operator::Like,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("IN") => Operator::In,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("NOT") => Operator::NotIn,
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        let value = match operator {
            Operator::Like => Operand::Pattern(self.pattern()?),
            Operator::In => self.list()?,
            Operator::NotIn => {
                self.expect_word("IN")?;
                self.list()?
            }
            _ => Operand::One(self.literal()?),
        };
        Ok(Filter::Compare {
            field,
            operator,
            value,
        })
    }

    fn list(&mut self) -> Result<Operand, Refusal> {
        let after = self.tokens.get(self.next + 1).map(|token| token.kind);
        if matches!(after, Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case("SELECT")) {
            return Ok(Operand::Rows(Box::new(self.subquery()?)));
        }
        self.expect_symbol("(")?;
        let mut literals = vec![self.literal()?];
        while self.take_symbol(",") {
            literals.push(self.literal()?);
        }
        self.expect_symbol(")")?;
        Ok(Operand::Many(literals))
    }

    /// A query in brackets. One in another is as deep as Salesforce goes.
    fn subquery(&mut self) -> Result<Query, Refusal> {
        if self.is_inside {
            return Err(self.refuse("a subquery cannot hold a subquery"));
        }
        self.is_inside = true;
        self.expect_symbol("(")?;
        let query = self.query()?;
        self.expect_symbol(")")?;
        self.is_inside = false;
        Ok(query)
    }

    fn pattern(&mut self) -> Result<Vec<super::syntax::Glob>, Refusal> {
        let TokenKind::Quoted(raw) = self.kind() else {
            return Err(self.unexpected());
        };
        let pattern = unescape_pattern(raw).ok_or_else(|| self.bad_escape())?;
        self.next += 1;
        Ok(pattern)
    }

    fn literal(&mut self) -> Result<Literal, Refusal> {
        let literal = match self.kind() {
            TokenKind::Quoted(raw) => {
                Literal::Text(unescape(raw).ok_or_else(|| self.bad_escape())?)
            }
            TokenKind::Word(word) if word.eq_ignore_ascii_case("null") => Literal::Null,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            TokenKind::Figure(figure) => parse_moment(figure)
                .map(Literal::Moment)
                .or_else(|| parse_date(figure).map(Literal::Date))
                .or_else(|| {
                    figure
                        .parse()
                        .ok()
                        .filter(|n: &f64| n.is_finite())
                        .map(Literal::Number)
                })
                .ok_or_else(|| self.unexpected())?,
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(literal)
    }

    fn count(&mut self) -> Result<usize, Refusal> {
        let TokenKind::Figure(figure) = self.kind() else {
            return Err(self.unexpected());
        };
        let count = figure.parse().map_err(|_| self.unexpected())?;
        self.next += 1;
        Ok(count)
    }

    fn name(&mut self) -> Result<Name, Refusal> {
        let keywords = [
            "SELECT", "FROM", "WHERE", "AND", "OR", "ORDER", "BY", "LIMIT", "OFFSET",
        ];
        match self.kind() {
            TokenKind::Word(word)
                if !keywords
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(word)) =>
            {
                let name = Name {
                    text: word.to_owned(),
                    at: self.tokens[self.next].at,
                };
                self.next += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn kind(&self) -> TokenKind<'q> {
        // `End` is never passed: every step over a token has looked at its kind first.
        self.tokens
            .get(self.next)
            .map_or(TokenKind::End, |token| token.kind)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.kind() == TokenKind::Symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<(), Refusal> {
        if self.take_word(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), Refusal> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn unexpected(&self) -> Refusal {
        let token = match self.kind() {
            TokenKind::Word(text) | TokenKind::Figure(text) | TokenKind::Symbol(text) => text,
            TokenKind::Quoted(_) => "'",
            TokenKind::End => "<EOF>",
        };
        self.refuse(&format!("unexpected token: '{token}'"))
    }

    fn bad_escape(&self) -> Refusal {
        self.refuse(
            "Invalid string literal. Illegal character sequence after \\ in string literal.",
        )
    }

    fn refuse(&self, message: &str) -> Refusal {
        let at = self
            .tokens
            .get(self.next)
            .map_or(self.query.len(), |token| token.at);
        refuse_at("MALFORMED_QUERY", self.query, at, message)
    }
}
