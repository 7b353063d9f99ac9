//! Excel files. Cells are taken one by one as they stand in the file: a range of the whole sheet
//! would be as large as its last cell is far.

use std::io::Cursor;

use calamine::{DataRef, ExcelDateTime, Reader as _, Xlsx};

use super::error::FileError;
use super::options::FileDropOptions;
use super::raw::{Raw, RawRow};
use super::unpack;

/// Old `.xls`, and `.xlsx` under a password, begin like this. Source: MS-CFB, 2.2.
const COMPOUND_FILE: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// Reads a sheet: the one that the options name, else the first.
pub(super) fn read(bytes: &[u8], options: &FileDropOptions) -> Result<Raw, FileError> {
    if bytes.starts_with(&COMPOUND_FILE) {
        return Err(FileError::new(
            "file.old_or_locked_excel",
            "this is an old Excel file (.xls), or one with a password",
            "save it as .xlsx without a password, or as CSV (UTF-8)",
        ));
    }
    unpack::check(bytes)?;
    let mut workbook: Xlsx<_> =
        calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(|_| malformed())?;
    let sheets = workbook.sheet_names();
    let found = match &options.sheet {
        None => sheets.first(),
        Some(wanted) => sheets
            .iter()
            .find(|sheet| sheet.trim().to_lowercase() == wanted.trim().to_lowercase()),
    };
    let Some(sheet) = found.cloned() else {
        return Err(FileError::new(
            "file.no_sheet",
            match &options.sheet {
                Some(wanted) => format!("there is no sheet `{wanted}`"),
                None => "the file has no sheet".to_owned(),
            },
            format!("the file has: {}", sheets.join(", ")),
        ));
    };
    let mut cells = workbook
        .worksheet_cells_reader(&sheet)
        .map_err(|_| malformed())?;
    let mut raw = Raw {
        sheet: Some(sheet.clone()),
        is_sheet: true,
        ..Raw::default()
    };
    let mut row: Option<RawRow> = None;
    while let Some(cell) = cells.next_cell().map_err(|_| malformed())? {
        let (at, column) = cell.get_position();
        let number = at.saturating_add(1);
        if row.as_ref().is_some_and(|row| row.number != number)
            && let Some(whole) = row.take()
        {
            raw.push(whole)?;
        }
        let (text, is_number) = text(cell.get_value());
        if text.is_empty() {
            continue;
        }
        let row = row.get_or_insert_with(|| RawRow {
            number,
            cells: Vec::new(),
            numbers: Vec::new(),
        });
        // Excel's last column is number 16,384, so this stays small.
        let column = column.min(16_384) as usize;
        if row.cells.len() <= column {
            row.cells.resize(column + 1, String::new());
        }
        row.cells[column] = text;
        if is_number {
            row.numbers.push(column);
        }
    }
    if let Some(row) = row {
        raw.push(row)?;
    }
    Ok(raw)
}

fn malformed() -> FileError {
    FileError::new(
        "file.malformed",
        "the file is no Excel sheet that can be read",
        "open it in Excel and save it anew as .xlsx, or as CSV (UTF-8)",
    )
}

/// A cell's text, and whether the sheet holds it as a number.
fn text(value: &DataRef<'_>) -> (String, bool) {
    match value {
        DataRef::Int(number) => (number.to_string(), true),
        DataRef::Float(number) => (digits(*number), true),
        DataRef::String(text) => (text.trim().to_owned(), false),
        DataRef::SharedString(text) => (text.trim().to_owned(), false),
        DataRef::Bool(yes) => (yes.to_string(), false),
        DataRef::DateTime(moment) => (moment_text(*moment), false),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => (text.clone(), false),
        // `#N/A` says that there is nothing.
        DataRef::Error(_) | DataRef::Empty => (String::new(), false),
    }
}

/// All digits and no exponent: a phone number that Excel holds as a number stays one.
fn digits(number: f64) -> String {
    // Whole numbers are exact up to here.
    if number.fract() == 0.0 && number.abs() < 9e15 {
        format!("{number:.0}")
    } else {
        format!("{number}")
    }
}

/// A date without a time has none, and a time without a date is one of the day.
fn moment_text(moment: ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
    let serial = moment.as_f64();
    let time = format!("{hour:02}:{minute:02}:{second:02}");
    if moment.is_duration() || (0.0..1.0).contains(&serial) {
        time
    } else if serial.fract() == 0.0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Write as _;

    use super::super::options::options;
    use super::super::unpack::tests::zipped;
    use super::*;

    /// A workbook with these sheets of rows, as Excel packs it.
    pub fn workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
        const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
        let (mut list, mut links, mut parts) = (String::new(), String::new(), Vec::new());
        for (index, (name, rows)) in (1..).zip(sheets) {
            write!(
                list,
                r#"<sheet name="{name}" sheetId="{index}" r:id="rId{index}"/>"#
            )
            .unwrap();
            write!(links,
                r#"<Relationship Id="rId{index}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{index}.xml"/>"#).unwrap();
            let sheet =
                format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>"#);
            parts.push((format!("xl/worksheets/sheet{index}.xml"), sheet));
        }
        write!(
            links,
            r#"<Relationship Id="rId90" Type="{OFFICE}/styles" Target="styles.xml"/>"#
        )
        .unwrap();
        for (name, content) in [
            (
                "xl/workbook.xml",
                format!(
                    r#"<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{list}</sheets></workbook>"#
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(r#"<Relationships xmlns="{PACKAGE}">{links}</Relationships>"#),
            ),
            (
                "_rels/.rels",
                format!(
                    r#"<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
                ),
            ),
            (
                "xl/styles.xml",
                format!(
                    r#"<styleSheet xmlns="{MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>"#
                ),
            ),
            (
                "[Content_Types].xml",
                r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#
                    .to_owned(),
            ),
        ] {
            parts.push((name.to_owned(), content));
        }
        let parts: Vec<(&str, &[u8])> = parts
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_bytes()))
            .collect();
        zipped(&parts)
    }

    const ROWS: &str = r#"
        <row r="1"><c r="A1" t="inlineStr"><is><t>Email</t></is></c><c r="B1" t="inlineStr"><is><t>Phone</t></is></c><c r="C1" t="inlineStr"><is><t>When</t></is></c></row>
        <row r="2"/>
        <row r="3" hidden="1"><c r="A3" t="inlineStr"><is><r><t>a@b</t></r><r><t>.example</t></r></is></c><c r="B3"><v>49891234567</v></c><c r="C3" s="1"><v>46095.445833333331</v></c></row>
        <row r="4"><c r="A4" t="b"><v>1</v></c><c r="B4"><v>1.5</v></c><c r="C4" t="e"><v>#N/A</v></c></row>
        <row r="9"><c r="A9" s="1"/></row>"#;

    #[test]
    fn cells_become_text_as_people_see_them() {
        let raw = read(&workbook(&[("Leads", ROWS)]), &options("")).unwrap();
        assert_eq!(raw.sheet.as_deref(), Some("Leads"));
        let rows: Vec<(u32, Vec<String>)> = raw
            .rows
            .into_iter()
            .map(|row| (row.number, row.cells))
            .collect();
        let row = |number, cells: &[&str]| {
            let cells = cells.iter().map(|cell| (*cell).to_owned()).collect();
            (number, cells)
        };
        assert_eq!(
            rows,
            [
                row(1, &["Email", "Phone", "When"]),
                row(3, &["a@b.example", "49891234567", "2026-03-14 10:42:00"]),
                row(4, &["true", "1.5"]),
            ]
        );
    }

    #[test]
    fn a_sheet_is_found_by_its_name() {
        let bytes = workbook(&[("Info", ""), ("Leads", ROWS)]);
        let raw = read(&bytes, &options("sheet = 'leads'")).unwrap();
        assert_eq!(raw.rows.len(), 3);
        assert!(read(&bytes, &options("")).unwrap().rows.is_empty());
        let problem = read(&bytes, &options("sheet = 'Scans'")).unwrap_err();
        assert_eq!(problem.hint, "the file has: Info, Leads");
    }

    #[test]
    fn a_cell_far_away_takes_no_room_and_too_many_columns_are_refused() {
        let far = r#"<row r="1048576"><c r="B1048576"><v>1</v></c></row>"#;
        assert_eq!(
            read(&workbook(&[("S", far)]), &options(""))
                .unwrap()
                .rows
                .len(),
            1
        );
        let wide = r#"<row r="1"><c r="XFD1"><v>1</v></c></row>"#;
        let problem = read(&workbook(&[("S", wide)]), &options("")).unwrap_err();
        assert_eq!(problem.code, "file.too_many_columns");
    }

    #[test]
    fn old_and_locked_files_are_told_as_such() {
        let problem = read(&COMPOUND_FILE, &options("")).unwrap_err();
        assert_eq!(problem.code, "file.old_or_locked_excel");
    }
}
