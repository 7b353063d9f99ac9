//! What vendors gave us, at rest: encrypted, and bound to its name.
//!
//! AES-256-GCM with a random nonce; the name is authenticated along, so that a row that was put in
//! another's place does not open. Layout: one byte of version, 12 of nonce, the ciphertext, 16 of tag.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::config::{SecretError, StoreConfig, secret_key_bytes};
use crate::edge::random;

const VERSION: u8 = 1;

/// The largest text that is sealed: tokens have a few KB.
const MOST_BYTES: usize = 256 * 1024;

/// A key file has 45 bytes.
const MOST_KEY_BYTES: u64 = 4096;

/// Seals and opens.
pub struct Sealer(LessSafeKey);

/// Shows nothing of the key.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(***)")
    }
}

/// Why nothing can be sealed or opened. Shows nothing of what is.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// PostgreSQL without `secret_key`.
    #[error(
        "[store] has no `secret_key`, and tokens are not kept in PostgreSQL without it; set `secret_key = {{ env = \"LEADSTREAM_SECRET_KEY\" }}` to what `openssl rand -base64 32` prints, the same on all nodes"
    )]
    NoKey,
    /// `secret_key` cannot be read.
    #[error("`secret_key` of [store] cannot be read: {0}")]
    Secret(#[from] SecretError),
    /// What is kept there is no key.
    #[error(
        "the key in {0} is not 32 bytes as base64 or as 64 hex digits; `openssl rand -base64 32` makes one"
    )]
    BadKey(String),
    /// The key file cannot be read or made.
    #[error("cannot use the key file {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Sealed with another key or under another name, or damaged.
    #[error(
        "the credential {0} was kept with another key than that of [store] now, or is damaged; put the key back, or sign in anew"
    )]
    Unreadable(String),
    /// Larger than any token.
    #[error("more than {MOST_BYTES} bytes are no credential")]
    TooLarge,
}

impl Sealer {
    /// A sealer with this key.
    pub fn new(key: [u8; 32]) -> Result<Self, SealError> {
        // Only a key of another length is refused.
        UnboundKey::new(&AES_256_GCM, &key)
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| SealError::BadKey("memory".to_owned()))
    }

    /// The sealer of a store: by its `secret_key`, or for SQLite by the key file beside it, which is
    /// made now if it is not there.
    pub fn of(store: &StoreConfig) -> Result<Self, SealError> {
        if let Some(kept) = &store.secret_key {
            let key = secret_key_bytes(kept.read()?.expose());
            return Self::new(key.ok_or_else(|| SealError::BadKey("`secret_key`".to_owned()))?);
        }
        let file = store.url.strip_prefix("sqlite:").ok_or(SealError::NoKey)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        let path = PathBuf::from(format!("{file}-key"));
        let key = read_or_make(&path).map_err(|source| SealError::File {
            path: path.clone(),
            source,
        })?;
        Self::new(key.ok_or_else(|| SealError::BadKey(path.display().to_string()))?)
    }

    /// Encrypts `plain`, to be opened under `name` only.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > MOST_BYTES {
            return Err(SealError::TooLarge);
        }
        let nonce: [u8; NONCE_LEN] = random::bytes();
        let mut text = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(name)),
                &mut text,
            )
            .map_err(|_| SealError::TooLarge)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// What was sealed under `name`.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let unreadable = || SealError::Unreadable(name.to_owned());
        let (&version, rest) = sealed.split_first().ok_or_else(unreadable)?;
        let (nonce, text) = rest
            .split_at_checked(NONCE_LEN)
            .filter(|_| version == VERSION)
            .ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut text = text.to_vec();
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(associated(name)), &mut text)
            .map_err(|_| unreadable())?
            .len();
        text.truncate(plain);
        Ok(text)
    }
}

/// The version is authenticated, too.
fn associated(name: &str) -> Vec<u8> {
    let mut data = vec![VERSION];
    data.extend_from_slice(name.as_bytes());
    data
}

/// The key in the file; none if what is there is no key. A file that is not there is made.
fn read_or_make(path: &Path) -> io::Result<Option<[u8; 32]>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(path)?;
            read(path)
        }
        read => read,
    }
}

fn read(path: &Path) -> io::Result<Option<[u8; 32]>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path)?;
    warn_of_readers(&file, path)?;
    let mut text = String::new();
    file.take(MOST_KEY_BYTES).read_to_string(&mut text)?;
    Ok(secret_key_bytes(&text))
}

#[cfg(unix)]
fn warn_of_readers(file: &std::fs::File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "other users of this machine may read the key that tokens are encrypted with: chmod 600 it"
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn warn_of_readers(_: &std::fs::File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a key file, whole or not at all, and never over another: of two who make one at once, both
/// end with the same.
fn make(path: &Path) -> io::Result<()> {
    let suffix = u64::from_le_bytes(random::bytes());
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{suffix:x}"));
    let half = PathBuf::from(half);
    let written = write_new(&half).and_then(|()| match std::fs::hard_link(&half, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    let removed = std::fs::remove_file(&half);
    written?;
    removed?;
    // The name must survive a loss of power as well: what is sealed next is lost without it.
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let key: [u8; 32] = random::bytes();
    writeln!(file, "{}", STANDARD.encode(key))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretRef;

    #[test]
    fn what_was_sealed_opens_under_its_name_and_key_only() {
        let sealer = Sealer::new([7; 32]).unwrap();
        let sealed = sealer.seal("zoom/one", b"refresh-1").unwrap();
        assert_eq!(sealer.open("zoom/one", &sealed).unwrap(), b"refresh-1");
        assert!(!sealed.windows(7).any(|part| part == b"refresh"));
        assert_ne!(sealed, sealer.seal("zoom/one", b"refresh-1").unwrap());
        for (name, sealer) in [
            ("zoom/two", &sealer),
            ("zoom/one", &Sealer::new([8; 32]).unwrap()),
        ] {
            let error = sealer.open(name, &sealed).unwrap_err();
            assert!(matches!(error, SealError::Unreadable(_)), "{error}");
        }
        assert_eq!(format!("{sealer:?}"), "Sealer(***)");
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let sealer = Sealer::new([7; 32]).unwrap();
        let sealed = sealer.seal("a", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open("a", &changed).is_err(), "byte {at}");
            assert!(sealer.open("a", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn sqlite_makes_a_key_that_only_its_user_reads_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/l.db", folder.path().display());
        let config = StoreConfig::at(&url);
        let sealed = Sealer::of(&config).unwrap().seal("a", b"t").unwrap();
        let sealers: Vec<_> = std::thread::scope(|scope| {
            let open = || Sealer::of(&config).unwrap().open("a", &sealed).unwrap();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(sealers.iter().all(|plain| plain == b"t"));
        let path = folder.path().join("l.db-key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing half made is left");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(Sealer::of(&config), Err(SealError::BadKey(_))));
    }

    #[test]
    fn postgresql_needs_a_key_and_takes_the_configured_one() {
        let mut config = StoreConfig::at("postgres://db/leads");
        let error = Sealer::of(&config).unwrap_err();
        assert!(error.to_string().contains("secret_key"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
        config.secret_key = Some(SecretRef {
            env: None,
            file: Some(file),
        });
        let sealed = Sealer::of(&config).unwrap().seal("a", b"t").unwrap();
        let same = Sealer::new([0xab; 32]).unwrap();
        assert_eq!(same.open("a", &sealed).unwrap(), b"t");
    }
}
