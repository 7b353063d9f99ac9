/// What a form holds: names and their values, in the order in which they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    /// Each name once, with all its values.
    pub fields: Vec<Field>,
    /// Files that are not blank. Their content stays in the event; their client-side names are
    /// not looked at.
    pub files: Vec<FilePart>,
}

/// One name and what was sent under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, as sent; for JSON the path: `answers.plan`.
    pub name: String,
    /// The values, blank ones too.
    pub values: Vec<String>,
}

/// A file that came with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// The name of the field.
    pub name: String,
    /// The content type that the sender says it has.
    pub kind: String,
    /// Its size.
    pub bytes: usize,
}

impl Form {
    /// Adds a value, to the name's others if it has some.
    pub fn add(&mut self, name: String, value: String) {
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => field.values.push(value),
            None => self.fields.push(Field {
                name,
                values: vec![value],
            }),
        }
    }

    /// The first value of the field so named, any case, that is not blank.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .find_map(Field::first)
    }
}

impl Field {
    /// The first value that is not blank, trimmed.
    pub fn first(&self) -> Option<&str> {
        self.values
            .iter()
            .map(|value| value.trim())
            .find(|value| !value.is_empty())
    }
}
