//! RS256 (RFC 7518, 3.3): what Salesforce and Google take assertions by. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::Secret;

/// Why a private key cannot be used. Shows nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the private key is not in PEM form")]
    NotPem,
    #[error("the private key is protected by a passphrase")]
    Encrypted,
    #[error("the private key is not an RSA key of at least 2048 bits ({0})")]
    NotRsa(String),
    #[error("the private key cannot sign")]
    CannotSign,
}

/// `header` and `claims`, both JSON, as a token signed by `pem`, an RSA key in PKCS#1 or PKCS#8.
pub(crate) fn sign(header: &str, claims: &str, pem: &Secret) -> Result<String, KeyError> {
    let key = read_key(pem.expose())?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);

    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        token.as_bytes(),
        &mut signature,
    )
    .map_err(|_| KeyError::CannotSign)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// The key in a PEM text.
pub(crate) fn read_key(pem: &str) -> Result<RsaKeyPair, KeyError> {
    if pem.contains("ENCRYPTED") {
        return Err(KeyError::Encrypted);
    }
    // Environment variables of many platforms cannot hold newlines, and people write \n.
    let pem = if pem.contains('\n') {
        std::borrow::Cow::Borrowed(pem)
    } else {
        pem.replace("\\n", "\n").into()
    };
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPem)?;
    match der {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(KeyError::NotRsa("not an RSA key".to_owned())),
    }
    .map_err(|why| KeyError::NotRsa(why.to_string()))
}
