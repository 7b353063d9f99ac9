//! JSON lines: one object a line.

use std::collections::HashMap;

use serde_json::Value;

use super::encoding::decode;
use super::error::{FileError, RowFault};
use super::limits::MAX_COLUMNS;
use super::options::FileDropOptions;
use super::raw::{Raw, RawRow};

/// Reads JSON lines as rows below a header of all names that occur. Nested objects have dots in
/// their names (`answers.plan`), lists of values are joined by `;`.
pub(super) fn read(bytes: &[u8], options: &FileDropOptions) -> Result<Raw, FileError> {
    let mut raw = Raw {
        is_sheet: true,
        ..Raw::default()
    };
    let text = decode(bytes, options.encoding.as_deref(), &mut raw.warnings)?;
    let mut names: Vec<String> = Vec::new();
    let mut columns: HashMap<String, usize> = HashMap::new();
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let Ok(Value::Object(object)) = serde_json::from_str(line) else {
            raw.faults.push(RowFault {
                number,
                code: "row.no_json_object",
                message: "the line is no JSON object".to_owned(),
                cells: vec![line.to_owned()],
            });
            continue;
        };
        let mut row = RawRow {
            number,
            cells: Vec::new(),
            numbers: Vec::new(),
        };
        for (name, value) in object {
            flatten(&name, &value, &mut |name, text| {
                let column = *columns.entry(name.to_owned()).or_insert_with(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                });
                if column >= MAX_COLUMNS {
                    return;
                }
                if row.cells.len() <= column {
                    row.cells.resize(column + 1, String::new());
                }
                text.trim().clone_into(&mut row.cells[column]);
            });
        }
        if names.len() > MAX_COLUMNS {
            return Err(FileError::new(
                "file.too_many_columns",
                format!("the objects have more than {MAX_COLUMNS} different names"),
                "take out the names that nobody needs",
            ));
        }
        rows.push(row);
    }
    if names.is_empty() {
        return Ok(raw);
    }
    raw.push(RawRow {
        number: 0,
        cells: names,
        numbers: Vec::new(),
    })?;
    for row in rows {
        raw.push(row)?;
    }
    Ok(raw)
}

fn flatten(name: &str, value: &Value, visit: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Null => visit(name, String::new()),
        Value::String(text) => visit(name, text.clone()),
        Value::Bool(_) | Value::Number(_) => visit(name, value.to_string()),
        Value::Array(items)
            if items
                .iter()
                .all(|item| !item.is_array() && !item.is_object()) =>
        {
            let texts: Vec<String> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect();
            visit(name, texts.join(";"));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{name}.{index}"), item, visit);
            }
        }
        Value::Object(object) => {
            for (inner, value) in object {
                flatten(&format!("{name}.{inner}"), value, visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::options;
    use super::*;

    #[test]
    fn each_object_is_a_row_below_all_names() {
        let text = r#"{"email":"a@b.example","n":12345678901234567890}

{"answers":{"plan":["a","b"],"q":[{"x":true}]},"email":null}
["no object"]
{"email":"#;
        let raw = read(text.as_bytes(), &options("")).unwrap();
        let rows: Vec<(u32, String)> = raw
            .rows
            .iter()
            .map(|row| (row.number, row.cells.join("|")))
            .collect();
        let expect = [
            (0, "email|n|answers.plan|answers.q.0.x"),
            (1, "a@b.example|12345678901234567890"),
            (3, "||a;b|true"),
        ];
        assert_eq!(
            rows,
            expect.map(|(number, cells)| (number, cells.to_owned()))
        );
        let faults: Vec<u32> = raw.faults.iter().map(|fault| fault.number).collect();
        assert_eq!(faults, [4, 5]);
    }
}
