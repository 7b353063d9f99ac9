//! What makes two rows one submission: the same person, met at the same moment of the same show. A
//! list that is exported once more, mended or not, brings nobody twice; a second scan is a second
//! touch.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::reading::fold;

/// What is known of a row.
pub(super) struct Known<'a> {
    /// The badge's or registration's id, or what `id_column` names.
    pub id: Option<&'a str>,
    /// When the person was met: the moment, or else the text that could not be read as one.
    pub when: Option<String>,
    /// Lead fields.
    pub fields: &'a BTreeMap<String, String>,
    /// The row, as it is.
    pub cells: &'a [(String, String)],
    /// The code of the show or list.
    pub show: &'a str,
}

/// The row's own id: by the badge, else the e-mail address, else phone and name, each at this show;
/// else by all that the row says. Addresses and numbers are not in it.
pub(super) fn vendor_id(known: &Known<'_>) -> String {
    let field = |name: &str| {
        known
            .fields
            .get(name)
            .map(String::as_str)
            .unwrap_or_default()
    };
    let email = field("email").trim().to_lowercase();
    let phone: String = [field("mobile"), field("phone")]
        .into_iter()
        .find(|number| !number.is_empty())
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let name = fold(
        &["first_name", "last_name", "full_name"]
            .map(field)
            .join(" "),
    );
    let who = match known.id {
        Some(id) => format!("id:{}", short(id.trim())),
        None if !email.is_empty() => format!("email:{}", hash([email.as_str()])),
        None if !phone.is_empty() && !name.is_empty() => {
            format!("phone:{}", hash([phone.as_str(), &name]))
        }
        None => return format!("row:{}@{}", row_hash(known.cells), short(known.show)),
    };
    let when = match &known.when {
        Some(when) => short(when),
        // Without a time only what was said tells one meeting from another.
        None => row_hash(known.cells),
    };
    format!("{who}@{}@{when}", short(known.show))
}

/// The same for the same cells in any order of the columns, with blanks and case set aside.
fn row_hash(cells: &[(String, String)]) -> String {
    let sorted: BTreeMap<String, String> = cells
        .iter()
        .map(|(name, cell)| {
            let words: Vec<&str> = cell.split_whitespace().collect();
            (fold(name), words.join(" ").to_lowercase())
        })
        .collect();
    hash(
        sorted
            .iter()
            .flat_map(|(name, cell)| [name.as_str(), cell.as_str()]),
    )
}

/// A text that may stand in an id as it is, or its hash.
fn short(text: &str) -> String {
    if text.len() <= 64
        && !text
            .chars()
            .any(|letter| letter.is_control() || letter == '@')
    {
        text.to_owned()
    } else {
        hash([text])
    }
}

fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut hex = String::new();
    for byte in &context.finish().as_ref()[..16] {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: Option<&str>, when: Option<&str>, fields: &[(&str, &str)], note: &str) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let fields: BTreeMap<String, String> = fields.iter().map(owned).collect();
        vendor_id(&Known {
            id,
            when: when.map(str::to_owned),
            fields: &fields,
            cells: &[("Notes".to_owned(), note.to_owned())],
            show: "expo",
        })
    }

    #[test]
    fn the_surest_of_what_a_row_has_identifies_it() {
        assert_eq!(
            id(Some("TX-1"), Some("9:00"), &[], "a"),
            "id:TX-1@expo@9:00"
        );
        let email = [("email", "A@b.example"), ("phone", "1")];
        assert!(id(None, Some("9:00"), &email, "a").starts_with("email:"));
        let phone = [("phone", "+49 30 1"), ("last_name", "Berg")];
        assert!(id(None, Some("9:00"), &phone, "a").starts_with("phone:"));
        assert!(id(None, Some("9:00"), &phone[..1], "a").starts_with("row:"));
    }

    #[test]
    fn another_moment_is_another_touch_and_a_mended_note_is_not() {
        let of = |when, note| id(Some("TX-1"), when, &[], note);
        assert_eq!(of(Some("9:00"), "a"), of(Some("9:00"), "b"));
        assert_ne!(of(Some("9:00"), "a"), of(Some("9:01"), "a"));
        assert_ne!(of(None, "a"), of(None, "b"));
        assert_eq!(of(None, "A  b"), of(None, "a b"));
        assert!(of(Some(&"9".repeat(500)), "a").len() < 255);
    }
}
