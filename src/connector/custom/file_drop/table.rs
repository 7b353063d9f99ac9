//! Where the header is, which rows are people, and which are titles, totals or broken.

use std::collections::{HashMap, HashSet};

use super::column::Role;
use super::error::{FileError, RowFault, Warning};
use super::limits::{MAX_CELL_CHARS, MAX_HEADER_BYTES, MAX_ROW_BYTES};
use super::raw::{Raw, RawRow};

/// How many rows are looked at for the header.
const MOST_TITLES: usize = 50;

/// How the last rows of an export begin that hold no person, folded.
const TOTALS: &[&str] = &[
    "total",
    "totals",
    "grandtotal",
    "totalleads",
    "totalscans",
    "totalrecords",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "anzahl",
    "count",
    "totale",
    "totaal",
    "somme",
    "suma",
];

/// A list: a header, and rows of people below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The sheet's name, if the file has sheets.
    pub sheet: Option<String>,
    /// Where the header is, counted from 1; 0 for a file without one (JSON lines).
    pub header_row: u32,
    /// The columns' names, each once: `Notes`, `Notes (2)`.
    pub header: Vec<String>,
    /// The people, in the order of the file.
    pub rows: Vec<Row>,
    /// Rows that cannot be taken, in the order of the file.
    pub faults: Vec<RowFault>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is in the file, counted from 1.
    pub number: u32,
    /// As many as the header has, blank ones too.
    pub cells: Vec<String>,
}

impl Table {
    /// Makes a list of rows. `wanted` are names that the configuration asks for.
    pub(super) fn of(
        raw: Raw,
        header_row: Option<u32>,
        wanted: &[&str],
    ) -> Result<Self, FileError> {
        let at = find_header(&raw.rows, header_row, wanted)?;
        let mut rows = raw.rows.into_iter().skip(at);
        let Some(first) = rows.next() else {
            return Err(no_header());
        };
        let header = header(&first.cells)?;
        let mut table = Self {
            sheet: raw.sheet,
            header_row: first.number,
            header,
            rows: Vec::new(),
            faults: raw.faults,
            warnings: raw.warnings,
        };
        let mut numbers = HashSet::new();
        for row in rows {
            numbers.extend(row.numbers.iter().copied());
            table.add(row, raw.is_sheet);
        }
        table.warn_of_numbers(&numbers);
        table.faults.sort_by_key(|fault| fault.number);
        Ok(table)
    }

    /// Column names and what each is for.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Role)> {
        self.header
            .iter()
            .map(|name| (name.as_str(), Role::of(name)))
    }

    /// Whether there is a column of that name, in any spelling.
    pub fn has_column(&self, name: &str) -> bool {
        let wanted = super::reading::fold(name);
        self.header
            .iter()
            .any(|column| column == name || super::reading::fold(column) == wanted)
    }

    fn add(&mut self, row: RawRow, is_sheet: bool) {
        if is_total(&row) || self.repeats_header(&row) {
            return;
        }
        let width = self.header.len();
        let beyond = row.filled().any(|(index, _)| index >= width);
        let problem = if beyond {
            let code = "row.too_many_cells";
            Some((
                code,
                "the row has more cells than the header: a text with the delimiter in it must stand in quotes",
            ))
        } else if row.cells.len() < width && !is_sheet {
            let code = "row.too_few_cells";
            Some((code, "the row has fewer cells than the header"))
        } else if row
            .filled()
            .any(|(_, cell)| cell.chars().count() > MAX_CELL_CHARS)
        {
            Some((
                "row.cell_too_long",
                "a cell is longer than Excel could hold: a quote may never have been closed",
            ))
        } else if row.cells.iter().map(String::len).sum::<usize>() > MAX_ROW_BYTES {
            Some(("row.too_long", "the row is longer than 256 KiB"))
        } else {
            None
        };
        let RawRow {
            number, mut cells, ..
        } = row;
        if let Some((code, message)) = problem {
            self.faults.push(RowFault {
                number,
                code,
                message: message.to_owned(),
                cells,
            });
            return;
        }
        cells.resize(width, String::new());
        self.rows.push(Row { number, cells });
    }

    /// Exports that were pasted together have their header in the middle, too.
    fn repeats_header(&self, row: &RawRow) -> bool {
        let header = self.header.iter().map(|name| super::column::plain(name));
        row.filled().count() > 1 && header.eq(row.cells.iter().map(String::as_str))
    }

    fn warn_of_numbers(&mut self, numbers: &HashSet<usize>) {
        let spoiled: Vec<&str> = self
            .columns()
            .enumerate()
            .filter(|(index, _)| numbers.contains(index))
            .filter(|(_, (_, role))| {
                matches!(
                    role,
                    Role::Field("phone" | "mobile" | "fax" | "postal_code")
                )
            })
            .map(|(_, (name, _))| name)
            .collect();
        if !spoiled.is_empty() {
            let columns = spoiled.join("`, `");
            self.warnings.push(Warning::new(
                "file.numbers",
                format!("the sheet holds `{columns}` as numbers: leading zeros and `+` are lost. Format the column as text before it is filled"),
            ));
        }
    }
}

fn no_header() -> FileError {
    FileError::new(
        "file.no_header",
        "no row looks like a header with the names of columns",
        "put a row with names (`Email`, `First name`, …) above the people, or say where it is: `header_row = 3`",
    )
}

/// The index of the header's row: the configured one; else the first in which two columns (or its
/// only one) have names that mean something.
fn find_header(
    rows: &[RawRow],
    configured: Option<u32>,
    wanted: &[&str],
) -> Result<usize, FileError> {
    if let Some(number) = configured {
        return rows
            .iter()
            .position(|row| row.number == number || row.number == 0)
            .ok_or_else(|| {
                FileError::new(
                    "file.no_header",
                    format!("row {number}, in which the header should be, is blank or not there"),
                    "correct `header_row`, or take the line out: it is found out then",
                )
            });
    }
    let is_named = |name: &str| Role::of(name) != Role::Other || wanted.contains(&name);
    let mut rows = rows.iter().take(MOST_TITLES);
    rows.position(|row| {
        let filled = row.filled().count();
        let named = row.filled().filter(|(_, cell)| is_named(cell)).count();
        row.number == 0 || named >= 2 || (named == 1 && filled == 1 && row.cells.len() == 1)
    })
    .ok_or_else(no_header)
}

/// Each name once; a column without one by its number.
fn header(cells: &[String]) -> Result<Vec<String>, FileError> {
    let width = cells.iter().rposition(|cell| !cell.is_empty());
    let mut names: Vec<String> = Vec::new();
    let mut times: HashMap<String, usize> = HashMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    for (index, cell) in cells
        .iter()
        .take(width.map_or(0, |last| last + 1))
        .enumerate()
    {
        let name = if cell.is_empty() {
            format!("Column {}", index + 1)
        } else {
            cell.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        if name.len() > MAX_HEADER_BYTES {
            return Err(FileError::new(
                "file.long_header",
                format!(
                    "the name of column {} is longer than {MAX_HEADER_BYTES} bytes",
                    index + 1
                ),
                "give it a shorter one; if this row is no header, say which is: `header_row = 3`",
            ));
        }
        let times = times.entry(name.clone()).or_default();
        let mut unique = name.clone();
        loop {
            *times += 1;
            if *times > 1 {
                unique = format!("{name} ({times})");
            }
            if taken.insert(unique.clone()) {
                break;
            }
        }
        names.push(unique);
    }
    Ok(names)
}

/// `Total: 3`, and rows that count something below that word.
fn is_total(row: &RawRow) -> bool {
    let mut filled = row.filled().map(|(_, cell)| cell);
    let Some(first) = filled.next() else {
        return false;
    };
    let word: String = super::reading::fold(first)
        .trim_end_matches(|letter: char| letter.is_ascii_digit())
        .to_owned();
    TOTALS.contains(&word.as_str())
        && filled.all(|cell| {
            cell.chars()
                .all(|letter| letter.is_ascii_digit() || " .,%".contains(letter))
        })
}

#[cfg(test)]
mod tests {
    use super::super::csv;
    use super::super::options::options;
    use super::*;

    fn table(text: &str) -> Result<Table, FileError> {
        let raw = csv::read(text.as_bytes(), &options("")).unwrap();
        Table::of(raw, None, &[])
    }

    fn numbers(table: &Table) -> Vec<u32> {
        table.rows.iter().map(|row| row.number).collect()
    }

    #[test]
    fn titles_above_and_totals_below_are_no_people() {
        let table = table(
            "TechExpo 2026;;\nExported: 14.03.2026;;\n\nE-mail;First Name;Notes\na@b.example;A;x\n;;\nE-mail;First Name;Notes\nc@d.example;C;Total rubbish\nTotal: 2;;\n",
        )
        .unwrap();
        assert_eq!(table.header_row, 4);
        assert_eq!(table.header, ["E-mail", "First Name", "Notes"]);
        assert_eq!(numbers(&table), [5, 8]);
        assert!(table.faults.is_empty());
    }

    #[test]
    fn repeated_and_missing_names_get_a_number() {
        let table = table("Email,Notes,,Notes,Notes (2)\na@b.example,1,2,3,4\n").unwrap();
        assert_eq!(
            table.header,
            ["Email", "Notes", "Column 3", "Notes (2)", "Notes (2) (2)"]
        );
    }

    #[test]
    fn a_ragged_row_is_its_own_fault() {
        let table =
            table("Email,Name\na@b.example,A\nb@b.example\nc@b.example,C,\nd@b.example,D,d\n")
                .unwrap();
        assert_eq!(numbers(&table), [2, 4]);
        let faults: Vec<(u32, &str)> = table
            .faults
            .iter()
            .map(|fault| (fault.number, fault.code))
            .collect();
        assert_eq!(
            faults,
            [(3, "row.too_few_cells"), (5, "row.too_many_cells")]
        );
    }

    #[test]
    fn a_header_is_never_made_up() {
        for text in ["", "a@b.example,Anna\nc@d.example,Carl\n", "x\ny\n"] {
            assert_eq!(table(text).unwrap_err().code, "file.no_header", "{text}");
        }
        assert_eq!(table("Email\na@b.example\n").unwrap().rows.len(), 1);
    }

    #[test]
    fn the_configured_row_is_the_header() {
        let raw = || csv::read(b"x,y\nu,v\n1,2\n", &options("")).unwrap();
        assert_eq!(Table::of(raw(), Some(2), &[]).unwrap().header, ["u", "v"]);
        assert!(Table::of(raw(), Some(9), &[]).is_err());
        assert_eq!(
            Table::of(raw(), None, &["u", "v"]).unwrap().header,
            ["u", "v"]
        );
    }
}
