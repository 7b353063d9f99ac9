//! The person's language as a BCP 47 tag.

use super::draft::Draft;

/// Languages by the names that forms offer, lower case.
const NAMES: &[(&str, &str)] = &[
    ("english", "en"),
    ("englisch", "en"),
    ("anglais", "en"),
    ("german", "de"),
    ("deutsch", "de"),
    ("allemand", "de"),
    ("french", "fr"),
    ("français", "fr"),
    ("francais", "fr"),
    ("französisch", "fr"),
    ("spanish", "es"),
    ("español", "es"),
    ("espanol", "es"),
    ("spanisch", "es"),
    ("italian", "it"),
    ("italiano", "it"),
    ("italienisch", "it"),
    ("dutch", "nl"),
    ("nederlands", "nl"),
    ("portuguese", "pt"),
    ("português", "pt"),
    ("polish", "pl"),
    ("polski", "pl"),
    ("swedish", "sv"),
    ("svenska", "sv"),
    ("danish", "da"),
    ("dansk", "da"),
    ("norwegian", "nb"),
    ("norsk", "nb"),
    ("finnish", "fi"),
    ("suomi", "fi"),
    ("czech", "cs"),
    ("čeština", "cs"),
    ("hungarian", "hu"),
    ("magyar", "hu"),
    ("turkish", "tr"),
    ("türkçe", "tr"),
    ("russian", "ru"),
    ("русский", "ru"),
    ("ukrainian", "uk"),
    ("українська", "uk"),
    ("japanese", "ja"),
    ("日本語", "ja"),
    ("chinese", "zh"),
    ("中文", "zh"),
    ("korean", "ko"),
    ("한국어", "ko"),
    ("arabic", "ar"),
    ("العربية", "ar"),
    ("hebrew", "he"),
    ("עברית", "he"),
    ("greek", "el"),
    ("ελληνικά", "el"),
];

/// Normalises `language`: the form's own field, else the browser's first choice.
pub(super) fn normalise(draft: &mut Draft, accept_language: Option<&str>) {
    if let Some(typed) = draft.take("language") {
        if let Some(tag) = read(&typed) {
            draft.set("language", &tag);
        } else {
            draft.set("language", &typed);
            draft.note(
                "language.unknown",
                "language",
                "language is no tag such as de or pt-BR; kept as typed",
            );
        }
    } else if let Some(tag) = accept_language.and_then(preferred) {
        draft.set("language", &tag);
    }
}

/// `de`, `de_AT` or `Deutsch` as a tag.
fn read(typed: &str) -> Option<String> {
    let lower = typed.to_lowercase();
    NAMES
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, tag)| (*tag).to_owned())
        .or_else(|| tag(&lower))
}

/// The tag that an `Accept-Language` header prefers. Source: RFC 9110, 12.5.4.
fn preferred(header: &str) -> Option<String> {
    const MAX_CHOICES: usize = 20;
    let mut best: Option<(String, f32)> = None;
    for choice in header.split(',').take(MAX_CHOICES) {
        let mut parts = choice.split(';').map(str::trim);
        let Some(tag) = parts.next().and_then(|text| tag(&text.to_lowercase())) else {
            continue;
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        if quality > best.as_ref().map_or(0.0, |(_, best)| *best) {
            best = Some((tag, quality));
        }
    }
    best.map(|(tag, _)| tag)
}

/// Language, optionally script and region, in the case that BCP 47 recommends.
fn tag(lower: &str) -> Option<String> {
    let mut parts = lower.split(['-', '_']);
    let language = parts.next()?;
    if !(2..=3).contains(&language.len()) || !language.bytes().all(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    let mut tag = language.to_owned();
    for part in parts {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        tag.push('-');
        match part.len() {
            2 => tag.push_str(&part.to_uppercase()),
            4 if part.bytes().all(|b| b.is_ascii_alphabetic()) => {
                tag.push_str(&part[..1].to_uppercase());
                tag.push_str(&part[1..]);
            }
            1..=8 => tag.push_str(part),
            _ => return None,
        }
    }
    const MAX_BYTES: usize = 35; // RFC 5646, 4.4.1
    (tag.len() <= MAX_BYTES).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: Option<&str>, header: Option<&str>, expect: Option<&str>) {
        let mut draft = Draft::default();
        draft.set("language", field.unwrap_or_default());
        normalise(&mut draft, header);
        assert_eq!(draft.get("language"), expect, "{field:?} {header:?}");
    }

    #[test]
    fn the_field_comes_before_the_browser() {
        check(Some("de_at"), Some("fr"), Some("de-AT"));
        check(Some("Deutsch"), None, Some("de"));
        check(Some("zh-hant-tw"), None, Some("zh-Hant-TW"));
        check(
            Some("Klingonese language"),
            Some("fr"),
            Some("Klingonese language"),
        );
        check(
            None,
            Some("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5"),
            Some("fr-CH"),
        );
        check(None, Some("en;q=0.5, pt-br;q=0.9"), Some("pt-BR"));
        check(None, Some("*"), None);
        check(None, Some(""), None);
        check(None, None, None);
    }
}
