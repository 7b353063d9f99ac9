//! Record ids: 15 characters whose case matters, shown with 3 more that make the case recoverable.

use std::fmt;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id of a record; two texts that name the same record are equal here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 15]);

impl RecordId {
    /// The id of the record `number` (from 0) of the object with this key prefix.
    ///
    /// `5g0` stands where Salesforce has the pod; the number fills the rest, so that ids sort by
    /// age and lead back to the record without an index.
    pub(super) fn new(prefix: [u8; 3], number: u32) -> Self {
        let mut id = *b"0005g0000000000";
        id[..3].copy_from_slice(&prefix);
        // The first record is 1, not 0: an id of nothing but zeros reads like a placeholder.
        let mut rest = u64::from(number) + 1;
        for place in id[6..].iter_mut().rev() {
            *place = DIGITS[(rest % 62) as usize];
            rest /= 62;
        }
        Self(id)
    }

    /// Reads the 15 or 18 characters; with 18, wrong case is mended from the suffix.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut id: [u8; 15] = bytes.get(..15)?.try_into().ok()?;
        match &bytes[15..] {
            [] => Some(Self(id)),
            suffix @ [_, _, _] => {
                for (block, check) in id.chunks_exact_mut(5).zip(suffix) {
                    let check = check.to_ascii_uppercase();
                    let bits = SUFFIX.iter().position(|known| *known == check)?;
                    for (place, character) in block.iter_mut().enumerate() {
                        let upper = bits >> place & 1 == 1;
                        if upper && !character.is_ascii_alphabetic() {
                            return None;
                        }
                        if upper {
                            character.make_ascii_uppercase();
                        } else {
                            character.make_ascii_lowercase();
                        }
                    }
                }
                Some(Self(id))
            }
            _ => None,
        }
    }

    /// The three characters that tell the object.
    pub fn prefix(&self) -> [u8; 3] {
        [self.0[0], self.0[1], self.0[2]]
    }

    /// The 15 characters, as in `DUPLICATE_VALUE` messages.
    pub fn short(&self) -> String {
        self.0.iter().map(|byte| char::from(*byte)).collect()
    }

    /// The number that `new` was given, if this is an id that it can have made.
    pub(super) fn number(&self) -> Option<u32> {
        let number = self.0[6..].iter().try_fold(0_u64, |number, byte| {
            let digit = DIGITS.iter().position(|known| known == byte)?;
            number.checked_mul(62)?.checked_add(digit as u64)
        })?;
        let number = u32::try_from(number.checked_sub(1)?).ok()?;
        (Self::new(self.prefix(), number) == *self).then_some(number)
    }
}

impl fmt::Display for RecordId {
    /// The 18 characters, as the API answers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 18];
        text[..15].copy_from_slice(&self.0);
        for (check, block) in text[15..].iter_mut().zip(self.0.chunks_exact(5)) {
            let bits = block.iter().rev().fold(0, |bits, byte| {
                bits << 1 | usize::from(byte.is_ascii_uppercase())
            });
            *check = SUFFIX[bits];
        }
        text.iter()
            .try_for_each(|byte| fmt::Write::write_char(f, char::from(*byte)))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_that_of_real_ids() {
        // Ids of Salesforce's own documentation.
        for id in [
            "001D000000IqhSLIAZ",
            "001R00000064wdtIAA",
            "0011I00000aCPEAQA4",
        ] {
            assert_eq!(RecordId::parse(&id[..15]).unwrap().to_string(), id);
        }
    }

    #[test]
    fn the_suffix_mends_the_case_and_a_wrong_one_is_refused() {
        let id = RecordId::parse("001D000000IqhSL").unwrap();
        assert_eq!(RecordId::parse("001d000000iqhsliaz"), Some(id));
        assert_eq!(RecordId::parse("001D000000IqhSL555"), None);
        assert_eq!(RecordId::parse("001D000000IqhSLIA"), None);
        assert_eq!(RecordId::parse("001D000000Iqh-LIAZ"), None);
        assert_eq!(RecordId::parse(""), None);
        assert_eq!(RecordId::parse("äöü"), None);
    }

    #[test]
    fn an_id_leads_back_to_its_number_and_ids_sort_by_number() {
        let mut last = RecordId::new(*b"00Q", 0);
        for number in [1, 60, 61, 62, 4_000, u32::MAX] {
            let id = RecordId::new(*b"00Q", number);
            assert_eq!(RecordId::parse(&id.to_string()), Some(id));
            assert_eq!(id.number(), Some(number));
            assert!(last < id);
            last = id;
        }
        assert_eq!(RecordId::parse("00QD000000IqhSL").unwrap().number(), None);
        assert_eq!(RecordId::parse("00Q5g0000000000").unwrap().number(), None);
    }
}
