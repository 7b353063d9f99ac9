use super::error::{FileError, RowFault, Warning};
use super::limits::{MAX_COLUMNS, MAX_ROWS};

/// What a reader makes of a file: rows of text, before anyone knows which of them is the header.
#[derive(Debug, Default)]
pub(super) struct Raw {
    /// The sheet's name, if the file has sheets.
    pub sheet: Option<String>,
    /// Rows, those without any text left out.
    pub rows: Vec<RawRow>,
    /// Rows that could not be read.
    pub faults: Vec<RowFault>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// Whether a row has all its cells, or ends with its last text (a sheet).
    pub is_sheet: bool,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawRow {
    /// Where it is in the file, counted from 1.
    pub number: u32,
    /// Trimmed.
    pub cells: Vec<String>,
    /// Which of them the sheet holds as numbers.
    pub numbers: Vec<usize>,
}

impl RawRow {
    /// The index and text of each cell that is not blank.
    pub fn filled(&self) -> impl Iterator<Item = (usize, &str)> {
        let cells = self.cells.iter().map(String::as_str).enumerate();
        cells.filter(|(_, cell)| !cell.is_empty())
    }
}

impl Raw {
    /// Adds a row, unless it is blank.
    pub fn push(&mut self, row: RawRow) -> Result<(), FileError> {
        let Some((last, _)) = row.filled().last() else {
            return Ok(());
        };
        if last >= MAX_COLUMNS {
            return Err(FileError::new(
                "file.too_many_columns",
                format!("row {} has more than {MAX_COLUMNS} columns", row.number),
                "take out the columns that nobody needs; if it is a text file, see whether `delimiter` is right",
            ));
        }
        if self.rows.len() >= MAX_ROWS {
            return Err(FileError::new(
                "file.too_many_rows",
                format!("the file has more than {MAX_ROWS} rows"),
                "split it into several files",
            ));
        }
        self.rows.push(row);
        Ok(())
    }
}
