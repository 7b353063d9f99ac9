use std::fmt;

/// What became of a submission. Every accepted event comes to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Its values are in Salesforce.
    Synced,
    /// It told us nothing that Salesforce does not hold already.
    Merged,
    /// Not a lead: test, spam, or filtered by rule.
    Filtered,
    /// A person has to look at it.
    Review,
    /// It stopped, with a reason and a hint; it can be replayed.
    DeadLetter,
    /// The person was erased.
    Erased,
}

impl End {
    /// All ends, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Synced,
        Self::Merged,
        Self::Filtered,
        Self::Review,
        Self::DeadLetter,
        Self::Erased,
    ];

    /// The name in the store, in metrics and in `audit`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Merged => "merged",
            Self::Filtered => "filtered",
            Self::Review => "in_review",
            Self::DeadLetter => "dead_letter",
            Self::Erased => "erased",
        }
    }

    /// The end of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.name() == name)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
