//! Company names: as typed, unless they say that there is none.

use super::draft::Draft;
use super::fold;

/// What people without a company write, folded by [`fold::letters`].
const NO_COMPANY: &[&str] = &[
    "privat",
    "private",
    "privatperson",
    "privatpersonen",
    "privatkunde",
    "particulier",
    "particular",
    "privato",
    "individual",
    "individuel",
    "personal",
    "person",
    "selfemployed",
    "selfemployment",
    "freelance",
    "freelancer",
    "freiberufler",
    "freiberuflich",
    "selbstandig",
    "selbststandig",
    "selbstaendig",
    "selbststaendig",
    "independant",
    "autonomo",
    "zzp",
    "student",
    "studentin",
    "etudiant",
    "estudiante",
    "retired",
    "rentner",
    "pensionar",
    "retraite",
    "jubilado",
    "unemployed",
    "arbeitslos",
    "nocompany",
    "keinefirma",
    "me",
    "myself",
    "self",
    "home",
    "ohne",
];

/// Blanks a company that is none (`private`, `self-employed`, `student`).
pub(super) fn normalise(draft: &mut Draft) {
    let is_none = draft
        .get("company")
        .is_some_and(|company| NO_COMPANY.contains(&fold::letters(company).as_str()));
    if is_none {
        draft.take("company");
        draft.note(
            "company.none",
            "company",
            "company says that there is none (such as private); taken as blank",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_that_says_there_is_none_is_blank() {
        for (company, expect) in [
            ("Self-Employed", None),
            ("privat", None),
            ("Selbständig", None),
            ("Autónomo", None),
            ("Private Equity Partners", Some("Private Equity Partners")),
            ("Limited", Some("Limited")),
            ("株式会社アクメ", Some("株式会社アクメ")),
            (
                "O'Reilly & Söhne GmbH & Co. KG",
                Some("O'Reilly & Söhne GmbH & Co. KG"),
            ),
        ] {
            let mut draft = Draft::default();
            draft.set("company", company);
            normalise(&mut draft);
            assert_eq!(draft.get("company"), expect, "{company}");
        }
    }
}
