//! What the demo sends, and what must become of it. Pure: the same seed gives the same leads.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::dice::Dice;
use super::people::Person;
use crate::model::End;

/// The org id that the demo's Web-to-Lead form sends.
pub const ORG_ID: &str = "00D5g00000DEMO1";

/// What stands between the parts of a multipart body; no value of ours holds it.
const BOUNDARY: &str = "----leadstream-demo-7d1f3c";
const MULTIPART: &str = "multipart/form-data; boundary=----leadstream-demo-7d1f3c";

/// One post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Path and query.
    pub target: String,
    pub content_type: &'static str,
    pub body: String,
    pub expect: Expect,
}

impl Post {
    /// Whether both are of one lead; posts that lead to none are of nobody.
    pub fn is_of_the_person_of(&self, other: &Self) -> bool {
        matches!(self.expect, Expect::Lead(_)) && self.expect == other.expect
    }
}

/// What must become of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// It belongs to this one of [`Leads::wanted`], and its values are in Salesforce.
    Lead(usize),
    /// It is no lead.
    Filtered,
    /// It needs a person.
    DeadLetter,
}

impl Expect {
    /// Whether `end` is as it must be.
    pub fn allows(self, end: End) -> bool {
        match self {
            Self::Lead(_) => matches!(end, End::Synced | End::Merged),
            Self::Filtered => end == End::Filtered,
            Self::DeadLetter => end == End::DeadLetter,
        }
    }
}

/// Somebody who must be in Salesforce, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    /// All addresses that they gave, lower case.
    pub emails: Vec<String>,
    /// In E.164 form, if they gave one.
    pub phone: Option<String>,
}

/// What a post is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Somebody new.
    Fresh,
    /// Somebody known, with their e-mail in capitals.
    OtherCase,
    /// Somebody known, by phone and name, without their e-mail or with another one.
    SamePhone,
    /// Somebody known, who says more about themselves.
    MoreData,
    /// The last new one once more, letter by letter.
    DoubleClick,
    /// Sent to try the form out.
    Test,
    /// Sent by a machine that fills in every field.
    Spam,
    /// Nobody could reach them.
    NoContact,
    /// An e-mail that is none, and no phone.
    BadEmail,
    /// A plan that the org's picklist does not have.
    RefusedPlan,
}

/// 25 posts in a row, in any order, are of these kinds.
const MIX: [(Kind, usize); 10] = [
    (Kind::Fresh, 14),
    (Kind::OtherCase, 2),
    (Kind::SamePhone, 2),
    (Kind::MoreData, 1),
    (Kind::DoubleClick, 1),
    (Kind::Test, 1),
    (Kind::Spam, 1),
    (Kind::NoContact, 1),
    (Kind::BadEmail, 1),
    (Kind::RefusedPlan, 1),
];

const CAMPAIGNS: [[&str; 3]; 5] = [
    ["google", "cpc", "spring-launch"],
    ["linkedin", "paid-social", "ops-leaders"],
    ["newsletter", "email", "november"],
    ["partner", "referral", "acme-alliance"],
    ["bing", "cpc", "brand"],
];

/// Makes up one lead after another, without end.
#[derive(Debug)]
pub struct Leads {
    dice: Dice,
    /// What comes next, last first.
    planned: Vec<Kind>,
    /// How many people were made up.
    made_up: usize,
    wanted: Vec<Wanted>,
    /// Who they are, by the same index as `wanted`.
    known: Vec<Person>,
    last_fresh: Option<Post>,
}

impl Leads {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            planned: Vec::new(),
            made_up: 0,
            wanted: Vec::new(),
            known: Vec::new(),
            last_fresh: None,
        }
    }

    /// Who must be in Salesforce once all posts so far are at their end; nobody else may be.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// The next post.
    pub fn next_post(&mut self) -> Post {
        let kind = self.next_kind();
        self.made_up_post(kind).unwrap_or_else(|| self.fresh())
    }

    fn next_kind(&mut self) -> Kind {
        if self.planned.is_empty() {
            let kinds = MIX
                .iter()
                .flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
            self.planned = kinds.collect();
            self.dice.shuffle(&mut self.planned);
        }
        self.planned.pop().unwrap_or(Kind::Fresh)
    }

    /// None: it needs somebody known, and there is nobody yet.
    fn made_up_post(&mut self, kind: Kind) -> Option<Post> {
        Some(match kind {
            Kind::Fresh => self.fresh(),
            Kind::DoubleClick => self.last_fresh.clone()?,
            Kind::OtherCase => {
                let index = self.somebody(gave_their_email)?;
                let person = &self.known[index];
                let fields = vec![
                    ("email", person.email.to_ascii_uppercase()),
                    ("first_name", person.first_name.to_owned()),
                    ("last_name", person.last_name.to_owned()),
                ];
                urlencoded("newsletter", &fields, Expect::Lead(index))
            }
            Kind::SamePhone => {
                let index = self.somebody(|wanted, _| wanted.phone.is_some())?;
                let person = &self.known[index];
                let mut fields = vec![
                    ("first_name", person.first_name.to_owned()),
                    ("last_name", person.last_name.to_owned()),
                    ("phone", person.phone.clone()),
                    ("message", "Please call me back.".to_owned()),
                ];
                if self.dice.percent(50) {
                    let other = format!("private.{}", person.email);
                    fields.push(("email", other.clone()));
                    self.wanted[index].emails.push(other);
                }
                urlencoded("demo_request", &fields, Expect::Lead(index))
            }
            Kind::MoreData => {
                let index = self.somebody(gave_their_email)?;
                let title =
                    *self
                        .dice
                        .pick(&["Head of Operations", "CTO", "Einkauf", "Directrice"]);
                let person = &self.known[index];
                let body = json!({
                    "email": person.email,
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "title": title,
                    "plan": *self.dice.pick(&["Starter", "Pro"]),
                    "message": "We met at your booth.",
                });
                json_post("trade_show", &body, Expect::Lead(index))
            }
            Kind::Test => {
                let mut fields = self.form_of_somebody_new();
                fields.push(("test", "true".to_owned()));
                urlencoded("demo_request", &fields, Expect::Filtered)
            }
            Kind::Spam => {
                let mut fields = self.form_of_somebody_new();
                fields.retain(|(name, _)| *name != "website2");
                fields.push(("website2", "https://cheap-pills.example".to_owned()));
                urlencoded("demo_request", &fields, Expect::Filtered)
            }
            Kind::NoContact => {
                let person = self.person();
                let body = json!({
                    "first_name": person.first_name,
                    "last_name": person.last_name,
                    "company": person.company,
                    "message": "left a card without an address",
                });
                json_post("trade_show", &body, Expect::DeadLetter)
            }
            Kind::BadEmail => {
                let person = self.person();
                let fields = vec![
                    ("email", person.email.replace('@', " at the office ")),
                    ("first_name", person.first_name.to_owned()),
                    ("last_name", person.last_name.to_owned()),
                ];
                urlencoded("newsletter", &fields, Expect::DeadLetter)
            }
            Kind::RefusedPlan => {
                let person = self.person();
                let mut body = card(&person);
                body["plan"] = json!("Enterprise");
                json_post("trade_show", &body, Expect::DeadLetter)
            }
        })
    }

    /// Somebody new, by any source.
    fn fresh(&mut self) -> Post {
        let person = self.person();
        let index = self.wanted.len();
        let expect = Expect::Lead(index);
        let mut wanted = Wanted {
            name: format!("{} {}", person.first_name, person.last_name),
            emails: vec![person.email.clone()],
            phone: Some(person.phone.clone()),
        };
        let post = match self.dice.below(10) {
            0..=2 => {
                let fields = self.form_of(&person);
                urlencoded("demo_request", &fields, expect)
            }
            3 => {
                let fields = self.form_of(&person);
                multipart("demo_request", &fields, expect)
            }
            4..=5 => {
                wanted.phone = None;
                let fields = vec![
                    ("email", person.email.clone()),
                    ("first_name", person.first_name.to_owned()),
                    ("last_name", person.last_name.to_owned()),
                    ("newsletter", "yes".to_owned()),
                ];
                urlencoded("newsletter", &fields, expect)
            }
            6..=7 => {
                let mut fields = vec![
                    ("oid", ORG_ID.to_owned()),
                    ("first_name", person.first_name.to_owned()),
                    ("last_name", person.last_name.to_owned()),
                    ("company", person.company.to_owned()),
                    ("country", person.country.to_owned()),
                    ("phone", person.phone_as_typed.clone()),
                    ("description", person.message.to_owned()),
                ];
                if self.dice.percent(75) {
                    fields.push(("email", person.email.clone()));
                } else {
                    wanted.emails.clear();
                }
                form("/servlet/servlet.WebToLead?encoding=UTF-8", &fields, expect)
            }
            _ => {
                let mut body = card(&person);
                if self.dice.percent(50) {
                    body["plan"] = json!(*self.dice.pick(&["Starter", "Pro"]));
                }
                json_post("trade_show", &body, expect)
            }
        };
        self.wanted.push(wanted);
        self.known.push(person);
        self.last_fresh = Some(post.clone());
        post
    }

    fn person(&mut self) -> Person {
        self.made_up += 1;
        Person::new(self.made_up, &mut self.dice)
    }

    /// Somebody who was here before.
    fn somebody(&mut self, fits: impl Fn(&Wanted, &Person) -> bool) -> Option<usize> {
        let people = self.wanted.iter().zip(&self.known).enumerate();
        let fitting: Vec<usize> = people
            .filter(|(_, (wanted, person))| fits(wanted, person))
            .map(|(index, _)| index)
            .collect();
        let chosen = self.dice.below(fitting.len());
        fitting.get(chosen).copied()
    }

    fn form_of_somebody_new(&mut self) -> Vec<(&'static str, String)> {
        let person = self.person();
        self.form_of(&person)
    }

    /// The landing page's form as a browser sends it.
    fn form_of(&mut self, person: &Person) -> Vec<(&'static str, String)> {
        let [source, medium, campaign] = *self.dice.pick(&CAMPAIGNS);
        let click = format!("Cj0KCQ{:012x}", self.dice.below(1 << 40));
        let page = format!(
            "http://127.0.0.1/?utm_source={source}&utm_medium={medium}&utm_campaign={campaign}"
        );
        vec![
            ("first_name", person.first_name.to_owned()),
            ("last_name", person.last_name.to_owned()),
            ("email", person.email.clone()),
            ("company", person.company.to_owned()),
            ("phone", person.phone_as_typed.clone()),
            ("country", person.country.to_owned()),
            ("message", person.message.to_owned()),
            ("website2", String::new()),
            ("utm_source", source.to_owned()),
            ("utm_medium", medium.to_owned()),
            ("utm_campaign", campaign.to_owned()),
            (
                "gclid",
                if source == "google" {
                    click
                } else {
                    String::new()
                },
            ),
            ("page_url", page),
        ]
    }
}

/// Whether the person has given their own address before, not only another one: nothing else leads
/// from that address to them.
fn gave_their_email(wanted: &Wanted, person: &Person) -> bool {
    wanted.emails.contains(&person.email)
}

/// A badge that was scanned at a trade show.
fn card(person: &Person) -> Value {
    json!({
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "phone": person.phone,
        "company": person.company,
        "country": person.country,
        "message": person.message,
    })
}

fn urlencoded(source: &str, fields: &[(&str, String)], expect: Expect) -> Post {
    form(&format!("/hooks/{source}"), fields, expect)
}

fn form(target: &str, fields: &[(&str, String)], expect: Expect) -> Post {
    Post {
        target: target.to_owned(),
        content_type: "application/x-www-form-urlencoded",
        body: form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish(),
        expect,
    }
}

/// As a form with `enctype="multipart/form-data"` is sent. Source: RFC 7578.
fn multipart(source: &str, fields: &[(&str, String)], expect: Expect) -> Post {
    let mut body = String::new();
    for (name, value) in fields {
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
    }
    let _ = write!(body, "--{BOUNDARY}--\r\n");
    Post {
        target: format!("/hooks/{source}"),
        content_type: MULTIPART,
        body,
        expect,
    }
}

fn json_post(source: &str, body: &Value, expect: Expect) -> Post {
    Post {
        target: format!("/hooks/{source}"),
        content_type: "application/json",
        body: body.to_string(),
        expect,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn posts(seed: u64, count: usize) -> (Vec<Post>, Leads) {
        let mut leads = Leads::new(seed);
        let posts = (0..count).map(|_| leads.next_post()).collect();
        (posts, leads)
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(posts(7, 100).0, posts(7, 100).0);
        assert_ne!(posts(7, 100).0, posts(8, 100).0);
    }

    #[test]
    fn every_cycle_has_leads_doubles_noise_and_trouble() {
        for seed in 0..20 {
            let (posts, leads) = posts(seed, 50);
            let count = |wanted: fn(&Expect) -> bool| {
                posts.iter().filter(|post| wanted(&post.expect)).count()
            };
            assert_eq!(count(|expect| *expect == Expect::Filtered), 4);
            assert_eq!(count(|expect| *expect == Expect::DeadLetter), 6);
            let of_leads = count(|expect| matches!(expect, Expect::Lead(_)));
            assert_eq!(of_leads, 40);
            assert!((28..36).contains(&leads.wanted().len()), "seed {seed}");
        }
    }

    #[test]
    fn leads_come_in_every_encoding_and_by_every_source() {
        let (posts, _) = posts(5, 100);
        for (target, content_type) in [
            ("/hooks/demo_request", "application/x-www-form-urlencoded"),
            ("/hooks/demo_request", MULTIPART),
            ("/hooks/newsletter", "application/x-www-form-urlencoded"),
            ("/hooks/trade_show", "application/json"),
            (
                "/servlet/servlet.WebToLead?encoding=UTF-8",
                "application/x-www-form-urlencoded",
            ),
        ] {
            let sent = |post: &Post| post.target == target && post.content_type == content_type;
            assert!(posts.iter().any(sent), "{target} {content_type}");
        }
        assert!(MULTIPART.ends_with(BOUNDARY));
    }

    #[test]
    fn everybody_wanted_can_be_reached_and_is_nobody_else() {
        let (posts, leads) = posts(3, 1_000);
        let mut reached = BTreeSet::new();
        for wanted in leads.wanted() {
            assert!(
                wanted.phone.is_some() || !wanted.emails.is_empty(),
                "{wanted:?}"
            );
            for contact in wanted.emails.iter().chain(&wanted.phone) {
                // Somebody may give the same second address twice, but nobody else may.
                reached.insert((contact, &wanted.name));
            }
        }
        let contacts: BTreeSet<_> = reached.iter().map(|(contact, _)| contact).collect();
        assert_eq!(contacts.len(), reached.len());
        let named: BTreeSet<usize> = posts
            .iter()
            .filter_map(|post| match post.expect {
                Expect::Lead(index) => Some(index),
                _ => None,
            })
            .collect();
        assert!(named.into_iter().eq(0..leads.wanted().len()));
    }
}
