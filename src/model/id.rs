use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Crockford's base 32: no I, L, O, U, so an id can be read out on the phone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Characters of an id's text form: 13 × 5 bits hold 64.
const TEXT_LENGTH: usize = 13;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: 13 characters of 0-9 and A-Z are expected")]
pub struct InvalidId(pub String);

fn encode(id: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = [0u8; TEXT_LENGTH];
    let mut rest = id as u64;
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn decode(text: &str) -> Result<i64, InvalidId> {
    let invalid = || InvalidId(text.to_owned());
    if text.len() != TEXT_LENGTH {
        return Err(invalid());
    }
    let mut id: u64 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET
            .iter()
            .position(|letter| letter.eq_ignore_ascii_case(&byte))
            .ok_or_else(invalid)?;
        if id >> 59 != 0 {
            return Err(invalid());
        }
        id = (id << 5) | digit as u64;
    }
    i64::try_from(id).map_err(|_| invalid())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// A positive 64-bit number that grows with time (see `edge::random::IdGenerator`); its
        /// text form is 13 characters of Crockford's base 32, which sort as the numbers do.
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode(self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                encode(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                decode(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One raw payload in the inbox; also the receipt that its sender gets.
    EventId
);
id!(
    /// The golden record of one person.
    LeadId
);
id!(
    /// One intended change at a destination.
    DeliveryId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        for id in [0, 1, 31, 32, 1_234_567_890_123, i64::MAX] {
            let text = EventId(id).to_string();
            assert_eq!(text.len(), TEXT_LENGTH);
            assert_eq!(text.parse(), Ok(EventId(id)));
            assert_eq!(text.to_lowercase().parse(), Ok(EventId(id)));
        }
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in [
            "",
            "0",
            "00000000000000",
            "000000000000U",
            "ZZZZZZZZZZZZZ",
            "ÄÄÄÄÄÄ0",
        ] {
            assert_eq!(
                text.parse::<EventId>(),
                Err(InvalidId(text.to_owned())),
                "{text}"
            );
        }
    }
}
