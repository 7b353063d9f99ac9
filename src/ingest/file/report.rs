//! What people read beside a file: what became of it, and which rows are theirs to mend.

use std::fmt::Write as _;

use crate::connector::custom::file_drop::{FileError, Role, RowFault, Table};

/// The most faults that a report lists; the file of errors has them all.
const MOST_FAULTS: usize = 20;

/// What a list holds and how it is read.
pub(super) fn reading(table: &Table) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let Some(sheet) = &table.sheet {
        let _ = writeln!(text, "sheet: {sheet}");
    }
    let _ = writeln!(text, "header: row {}", table.header_row);
    let _ = writeln!(text, "rows: {}", table.rows.len());
    let _ = writeln!(text, "rows with errors: {}", table.faults.len());
    let _ = writeln!(text, "\ncolumns:");
    for (name, role) in table.columns() {
        let shown = if role == Role::Other {
            "kept under its own name"
        } else {
            role.shown()
        };
        let _ = writeln!(text, "  {name}: {shown}");
    }
    if !table.warnings.is_empty() {
        let _ = writeln!(text, "\nwarnings:");
        for warning in &table.warnings {
            let _ = writeln!(text, "  {} [{}]", warning.message, warning.code);
        }
    }
    if !table.faults.is_empty() {
        let _ = writeln!(text, "\nerrors:");
        for fault in table.faults.iter().take(MOST_FAULTS) {
            let _ = writeln!(
                text,
                "  row {}: {} [{}]",
                fault.number, fault.message, fault.code
            );
        }
        if table.faults.len() > MOST_FAULTS {
            let _ = writeln!(text, "  and {} more", table.faults.len() - MOST_FAULTS);
        }
    }
    text
}

/// Why a file was not taken.
pub(super) fn refusal(error: &FileError) -> String {
    format!(
        "not taken: {} [{}]\nwhat to do: {}\nThen put it into the folder once more.\n",
        error.message, error.code, error.hint
    )
}

/// The rows that could not be taken, as a CSV file that can be mended and put into the folder: row,
/// code, problem, then the row's own cells.
pub(super) fn errors(header: &[String], faults: &[RowFault]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    let names = ["row", "code", "problem"].into_iter();
    writer.write_record(names.chain(header.iter().map(String::as_str)))?;
    for fault in faults {
        let number = fault.number.to_string();
        let words = [number, fault.code.to_owned(), fault.message.clone()];
        let cells = fault.cells.iter().map(|cell| harmless(cell));
        writer.write_record(words.into_iter().chain(cells))?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

/// A sheet must not take a text for a formula. Source: OWASP, CSV injection. Phone numbers stay.
fn harmless(cell: &str) -> String {
    let is_number = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_digit() || " +-()/.,".contains(letter))
    };
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(cell) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_errors_can_be_opened_in_a_sheet_without_harm() {
        let fault = RowFault {
            number: 4,
            code: "row.too_many_cells",
            message: "too many".to_owned(),
            cells: ["=1+1", "+49 30 1", "a,b", "@x"]
                .map(str::to_owned)
                .to_vec(),
        };
        let bytes = errors(&["Email".to_owned()], &[fault]).unwrap();
        let expect =
            "row,code,problem,Email\n4,row.too_many_cells,too many,'=1+1,+49 30 1,\"a,b\",'@x\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expect);
    }
}
