use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::sandbox::value::Value;

/// A field's place in its object.
pub type FieldIx = u16;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The record's own id.
    Id,
    /// One line of at most so many characters.
    Text(u32),
    /// Lines of at most so many characters in all.
    TextArea(u32),
    /// An e-mail address.
    Email,
    /// A phone number: free text.
    Phone,
    /// A web address: free text.
    Url,
    /// One of a list.
    Picklist {
        /// The list.
        values: Vec<Cow<'static, str>>,
        /// Whether other values are refused; if not, any text is stored.
        restricted: bool,
    },
    /// A checkbox.
    Boolean,
    /// A number: Salesforce's name of its type, digits in all, and digits behind the point.
    Number {
        /// `int`, `double`, `currency` or `percent`.
        kind: &'static str,
        /// Digits in all.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// A record of one of these objects.
    Reference {
        /// The objects.
        to: &'static [&'static str],
        /// How queries and bodies follow it, e.g. `Owner`.
        relationship: &'static str,
    },
    /// An address, made of parts.
    Address,
}

impl Kind {
    /// The type as describe names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text(_) => "string",
            Self::TextArea(_) => "textarea",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Picklist { .. } => "picklist",
            Self::Boolean => "boolean",
            Self::Number { kind, .. } => kind,
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Reference { .. } => "reference",
            Self::Address => "address",
        }
    }

    /// The most characters, 0 for what is not text.
    pub fn length(&self) -> u32 {
        match self {
            Self::Text(length) | Self::TextArea(length) => *length,
            Self::Email => 80,
            Self::Phone => 40,
            Self::Url | Self::Picklist { .. } => 255,
            Self::Id | Self::Reference { .. } => 18,
            Self::Boolean | Self::Number { .. } | Self::Date | Self::DateTime | Self::Address => 0,
        }
    }

    /// Long text areas cannot be filtered on.
    pub fn filterable(&self) -> bool {
        !matches!(self, Self::Address) && !matches!(self, Self::TextArea(length) if *length > 255)
    }
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The record's own values.
    Stored,
    /// As `Stored`, but shown to nobody: a key that the org keeps for itself.
    Hidden,
    /// The record's id.
    Id,
    /// When it was created.
    Created,
    /// When it was last changed.
    Modified,
    /// Who created it.
    CreatedBy,
    /// Who changed it last.
    ModifiedBy,
    /// Whether it is in the recycle bin.
    Deleted,
    /// First and last name together.
    PersonName,
    /// The parts of an address, whose names start with this prefix.
    Address(&'static str),
}

/// A field.
#[derive(Debug, Clone)]
pub struct Field {
    /// The API name.
    pub name: Cow<'static, str>,
    /// What people read, and what refusals say.
    pub label: Cow<'static, str>,
    /// What it holds.
    pub kind: Kind,
    /// Where the value comes from.
    pub place: Place,
    /// Whether it may be blank.
    pub nillable: bool,
    /// The value of a new record that brings none.
    pub default: Option<Value>,
    /// Whether the org fills it in on create, by `default` or otherwise.
    pub defaulted: bool,
    /// Whether it may be set on create.
    pub createable: bool,
    /// Whether it may be changed later.
    pub updateable: bool,
    /// Whether rows can be upserted by it.
    pub external_id: bool,
    /// Whether no two records may share a value.
    pub unique: bool,
    /// Whether `a` and `A` are two values to `unique`.
    pub case_sensitive: bool,
    /// Whether rows can be found by it, though it is no external id: `Email`.
    pub id_lookup: bool,
    /// The compound that it is a part of.
    pub compound: Option<&'static str>,
    /// What field-level security lets the API user do with it.
    pub access: Access,
    /// Whether a record's children are looked up by it.
    pub parent: bool,
    /// Those values of a picklist that are kept for old records only.
    pub inactive: Vec<Cow<'static, str>>,
}

/// What field-level security lets the API user do with a field. People may do everything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read and write, as far as the field itself can be written.
    #[default]
    Edit,
    /// Read only: a write is refused as that of a read-only field.
    Read,
    /// The field is absent from describe, queries and writes, like one that does not exist.
    None,
}

impl Field {
    /// A field that may be blank and may be written.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        label: impl Into<Cow<'static, str>>,
        kind: Kind,
    ) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            nillable: kind != Kind::Boolean,
            default: (kind == Kind::Boolean).then_some(Value::Bool(false)),
            defaulted: kind == Kind::Boolean,
            kind,
            place: Place::Stored,
            createable: true,
            updateable: true,
            external_id: false,
            unique: false,
            case_sensitive: false,
            id_lookup: false,
            compound: None,
            access: Access::Edit,
            parent: false,
            inactive: Vec::new(),
        }
    }

    /// May not be blank.
    pub fn required(mut self) -> Self {
        self.nillable = false;
        self
    }

    /// May not be blank, and is filled in on create.
    pub fn default_text(mut self, value: &'static str) -> Self {
        self.nillable = false;
        self.defaulted = true;
        self.default = Some(Value::text(value));
        self
    }

    /// May not be blank, and is filled in on create by a rule of its own.
    pub fn filled_in(mut self) -> Self {
        self.nillable = false;
        self.defaulted = true;
        self
    }

    /// May not be written.
    pub fn read_only(mut self) -> Self {
        self.createable = false;
        self.updateable = false;
        self
    }

    /// May be written on create only.
    pub fn create_only(mut self) -> Self {
        self.updateable = false;
        self
    }

    /// A system field: read-only, never blank, found at `place`.
    pub fn system(mut self, place: Place) -> Self {
        self.place = place;
        self.defaulted = true;
        self.nillable = false;
        self.read_only()
    }

    /// A part of a compound field.
    pub fn part_of(mut self, compound: &'static str) -> Self {
        self.compound = Some(compound);
        self
    }

    /// Leads to the record that this one belongs to, from where it is looked up.
    pub fn parent(mut self) -> Self {
        self.parent = true;
        self
    }

    /// Can be found by, though it is no external id.
    pub fn id_lookup(mut self) -> Self {
        self.id_lookup = true;
        self
    }

    /// External id and unique, without regard to case.
    pub fn external_key(mut self) -> Self {
        self.external_id = true;
        self.unique = true;
        self
    }

    /// Whether an admin made it.
    pub fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Whether the API user may set it on create.
    pub fn can_create(&self) -> bool {
        self.createable && self.access == Access::Edit
    }

    /// Whether the API user may change it.
    pub fn can_update(&self) -> bool {
        self.updateable && self.access == Access::Edit
    }

    /// Whether a restricted picklist takes the value: in any case, as Salesforce matches it, but
    /// none that is inactive.
    pub fn takes(&self, values: &[Cow<'static, str>], text: &str) -> bool {
        let is = |known: &Cow<'static, str>| known.eq_ignore_ascii_case(text);
        values.iter().any(is) && !self.inactive.iter().any(is)
    }

    /// Whether a create without it is refused.
    pub fn is_required_on_create(&self) -> bool {
        self.createable && !self.nillable && !self.defaulted
    }

    /// Whether records are found by it.
    pub fn is_indexed(&self) -> bool {
        self.external_id || self.unique || self.id_lookup
    }
}
