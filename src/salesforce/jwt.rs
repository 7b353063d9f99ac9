//! The signed assertion of the JWT bearer flow (RFC 7523): RS256 and nothing else, as Salesforce
//! takes nothing else.

use crate::config::Secret;
use crate::model::Millis;
use crate::rs256::{KeyError, sign};

/// How long an assertion lives. Salesforce takes at most 180 seconds; the rest is for clocks that
/// do not agree.
const LIFE_SECONDS: i64 = 120;

/// What an assertion says.
pub(super) struct Claims<'a> {
    /// The consumer key.
    pub issuer: &'a str,
    /// The integration user's username.
    pub subject: &'a str,
    /// The login host, without a slash at its end.
    pub audience: &'a str,
}

/// The assertion, signed by `pem`, an RSA key in PKCS#1 or PKCS#8.
pub(super) fn assertion(claims: &Claims, pem: &Secret, now: Millis) -> Result<String, KeyError> {
    let claims = serde_json::json!({
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audience,
        "exp": now.0 / 1000 + LIFE_SECONDS,
    });
    sign(r#"{"alg":"RS256"}"#, &claims.to_string(), pem)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::rs256::read_key;

    /// Made for these tests by openssl; it opens nothing.
    const PKCS8: &str = include_str!("../../tests/fixtures/salesforce/jwt-test-only.pkcs8.pem");
    const PKCS1: &str = include_str!("../../tests/fixtures/salesforce/jwt-test-only.pkcs1.pem");

    const CLAIMS: Claims = Claims {
        issuer: "3MVG9",
        subject: "leadstream@acme.com",
        audience: "https://login.salesforce.com",
    };

    fn check(pem: &str) {
        let now = Millis(1_772_359_200_999);
        let token = assertion(&CLAIMS, &Secret::new(pem), now).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let key = read_key(PKCS8).unwrap();
        ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            key.public().as_ref(),
        )
        .verify(
            signed.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();

        let (header, claims) = signed.split_once('.').unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.decode(header).unwrap(),
            br#"{"alg":"RS256"}"#
        );
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": "3MVG9",
                "sub": "leadstream@acme.com",
                "aud": "https://login.salesforce.com",
                "exp": 1_772_359_320,
            })
        );
    }

    #[test]
    fn keys_of_both_forms_sign() {
        check(PKCS8);
        check(PKCS1);
    }

    #[test]
    fn a_key_on_one_line_signs() {
        check(&PKCS8.replace('\n', "\\n"));
    }

    #[test]
    fn a_key_that_cannot_sign_says_why() {
        let error = |pem: &str| assertion(&CLAIMS, &Secret::new(pem), Millis(0)).unwrap_err();
        assert_eq!(error(""), KeyError::NotPem);
        assert_eq!(error("secret"), KeyError::NotPem);
        let encrypted = PKCS8.replace("PRIVATE", "ENCRYPTED PRIVATE");
        assert_eq!(error(&encrypted), KeyError::Encrypted);
        let cut = PKCS8.replace("MII", "AAA");
        assert!(matches!(error(&cut), KeyError::NotRsa(_)));
    }
}
