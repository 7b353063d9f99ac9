//! Who posts, and what their forms send.

use super::dice::Dice;

/// One person; all of one number are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person(pub u64);

/// How a person shows up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guise {
    /// For the first time, or for the same time once more because no answer came.
    First,
    /// The same address in capitals, with another job title.
    SameEmail,
    /// The same number and last name, no address.
    SamePhone,
}

/// A post, ready to be sent.
#[derive(Debug, Clone)]
pub struct Post {
    pub person: Person,
    /// The job title in it, which no other post has.
    pub title: Option<String>,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

impl Person {
    pub fn email(self) -> String {
        format!("person-{}@people.example", self.0)
    }

    pub fn phone(self) -> String {
        format!("+4930901{:06}", self.0)
    }

    pub fn last_name(self) -> String {
        let letters = format!("{:05}", self.0);
        let letters = letters
            .bytes()
            .map(|digit| char::from(b'a' + (digit - b'0')));
        format!("Muster{}", letters.collect::<String>())
    }

    /// A post in an encoding that `dice` chooses; `number` is no other's.
    pub fn post(self, guise: Guise, number: u64, dice: &mut Dice) -> Post {
        let mut title = None;
        let mut fields = vec![
            ("last_name", self.last_name()),
            ("phone", self.phone()),
            ("company", format!("Company {}", self.0)),
        ];
        match guise {
            Guise::First => fields.push(("email", self.email())),
            Guise::SameEmail => {
                fields.push(("email", self.email().to_uppercase()));
                fields.push(("title", format!("Title {number}")));
                // It may be sent twice, and arrive the second time after a newer one.
                fields.push(("submission_id", format!("submission-{number}")));
                title = Some(format!("Title {number}"));
            }
            Guise::SamePhone => fields.push(("city", "Berlin".to_owned())),
        }
        let (content_type, body) = match dice.roll(3) {
            0 => ("application/x-www-form-urlencoded", urlencoded(&fields)),
            1 => ("application/json", json(&fields)),
            _ => (MULTIPART, multipart(&fields)),
        };
        Post {
            person: self,
            title,
            content_type,
            body,
        }
    }
}

const MULTIPART: &str = "multipart/form-data; boundary=part-of-a-form";

fn urlencoded(fields: &[(&str, String)]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
        .into_bytes()
}

fn json(fields: &[(&str, String)]) -> Vec<u8> {
    let fields: serde_json::Map<String, serde_json::Value> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
        .collect();
    serde_json::to_vec(&fields).unwrap()
}

fn multipart(fields: &[(&str, String)]) -> Vec<u8> {
    let part = |(name, value): &(&str, String)| {
        format!(
            "--part-of-a-form\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let parts: String = fields.iter().map(part).collect();
    (parts + "--part-of-a-form--\r\n").into_bytes()
}
