use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The longest text that is decoded; a SHA-512 in hex has 128 bytes, a secret seldom more.
const MOST_BYTES: usize = 1024;

/// Hex digits of any case.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() > MOST_BYTES || !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

/// Base 64 of either alphabet, padding optional.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.len() > MOST_BYTES {
        return None;
    }
    let standard = text.replace('-', "+").replace('_', "/");
    STANDARD_NO_PAD.decode(standard).ok()
}

/// Lower-case hex digits.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_in_any_case_and_base64_in_either_alphabet() {
        assert_eq!(hex("00fFAb"), Some(vec![0, 255, 171]));
        for text in ["0", "0g", "+1", " 1", "é0"] {
            assert_eq!(hex(text), None, "{text}");
        }
        for text in ["+/8=", "-_8", "-/8"] {
            assert_eq!(base64(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(base64("a b"), None);
        assert_eq!(to_hex(&[0, 255, 171]), "00ffab");
    }
}
