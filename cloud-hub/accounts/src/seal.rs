//! Secrets that the hub itself must read again, such as the keys of authenticator apps, lie sealed in the database.
//!
//! The key is a file of its own beside it: whoever has a copy of the database alone can open nothing. XChaCha20-Poly1305 with a
//! random nonce; what a secret is for and whose it is goes in as associated data, so that one that was moved to another row does
//! not open. Invariant: a database that was ever bound to a key is never given another in silence.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::{BASE64, HEXLOWER};
use hub_store::{Store, StoreError, Tx, args};
use rand::RngExt as _;

use crate::{AccountId, Actor, second_factor};

/// Before each sealed text: in which way it is sealed.
const SEALED: &str = "x1:";
const NONCE: usize = 24;
/// What is sealed to know the key again.
const CHECK: &str = "khamar hub";

/// The key of a hub's sealed secrets.
#[derive(Clone)]
pub struct SealKey(XChaCha20Poly1305);

/// Why the key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database has sealed secrets, the key is not there.
    #[error(
        "{0} is missing, and without it no second factor can be checked: put it back from its copy; if there is none, run \
         `cloud-hub accounts new-key`, after which everybody sets up their second factor again"
    )]
    Missing(PathBuf),
    /// The key is another database's.
    #[error(
        "{0} is not the key of this database: put the one back that belongs to it; if it is lost, move this file away and run \
         `cloud-hub accounts new-key`, after which everybody sets up their second factor again"
    )]
    Other(PathBuf),
    /// There is a key, and it fits.
    #[error("{0} is there and fits: nothing has to be done")]
    Fits(PathBuf),
    /// The file holds something else.
    #[error("{0} is no key: put it back from its copy")]
    Broken(PathBuf),
    /// The file cannot be read or made.
    #[error(
        "{path} cannot be read or made: see whether this user may, and whether the disk is full"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The key of a database, from the file beside it; made when neither has one yet.
///
/// Waits for the database's writer: not to be called where one may not block.
///
/// # Errors
/// [`KeyError`]; it says what to do.
pub fn open(path: &Path, store: &Store) -> Result<SealKey, KeyError> {
    let bound = store.read_blocking(|tx| tx.exists("SELECT 1 FROM seal_check", &[]))?;
    let key = match SealKey::load(path)? {
        Some(key) => key,
        None if bound => return Err(KeyError::Missing(path.to_owned())),
        None => SealKey::make(path)?,
    };
    let mine = key.clone();
    if store.write_blocking(move |tx| bind(tx, &mine))? {
        Ok(key)
    } else {
        Err(KeyError::Other(path.to_owned()))
    }
}

/// Makes another key after the old one was lost; what was sealed with it is gone, so everybody's second factor is.
///
/// # Errors
/// [`KeyError::Fits`] when nothing is lost, [`KeyError::Other`] when a file is in the way.
pub fn replace(path: &Path, store: &Store, by: Actor) -> Result<SealKey, KeyError> {
    match open(path, store) {
        Ok(_) => return Err(KeyError::Fits(path.to_owned())),
        Err(KeyError::Missing(_)) => {}
        Err(error) => return Err(error),
    }
    store.write_blocking(move |tx| {
        let with: Vec<AccountId> = tx.all(
            "SELECT id FROM account WHERE totp IS NOT NULL",
            &[],
            |row| row.get(0),
        )?;
        for id in with {
            second_factor::remove(tx, by, id)?;
        }
        tx.execute("DELETE FROM seal_check", &[])
    })?;
    open(path, store)
}

/// Whether this is the database's key. One that had none is bound to it, and what an older program left in the open is sealed; later
/// nothing is, so that nobody who can write the database has a key of theirs sealed into another's row.
fn bind(tx: &mut Tx<'_>, key: &SealKey) -> Result<bool, StoreError> {
    let check: Option<String> = tx.first("SELECT sealed FROM seal_check", &[], |row| row.get(0))?;
    if let Some(sealed) = check {
        return Ok(key.unseal("check", "", &sealed).as_deref() == Some(CHECK));
    }
    let sealed = key.seal("check", "", CHECK);
    tx.execute("INSERT INTO seal_check (sealed) VALUES ($1)", args![sealed])?;
    let open: Vec<(AccountId, String)> = tx.all(
        "SELECT id, totp FROM account WHERE totp IS NOT NULL",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, secret) in open {
        let sealed = key.seal(second_factor::SEALED_FOR, &id.to_string(), &secret);
        tx.execute(
            "UPDATE account SET totp = $2 WHERE id = $1",
            args![id, sealed],
        )?;
    }
    Ok(true)
}

impl SealKey {
    /// One that is kept nowhere.
    pub fn fresh() -> Self {
        Self::of(&rand::rng().random())
    }

    fn of(bytes: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(bytes.into()))
    }

    /// The key in a file, which is its owner's alone afterwards; nothing when there is none.
    fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file(path, source)),
        };
        let bytes = HEXLOWER.decode(text.trim_ascii()).ok();
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.ok_or_else(|| KeyError::Broken(path.to_owned()))?;
        let own = Permissions::from_mode(0o600);
        fs::set_permissions(path, own).map_err(|e| file(path, e))?;
        Ok(Some(Self::of(&bytes)))
    }

    /// Makes the file, whole and on disk before it has its name; another process that was first wins.
    fn make(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| file(path, source);
        let bytes: [u8; 32] = rand::rng().random();
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let written = (|| {
            let mut out = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            writeln!(out, "{}", HEXLOWER.encode(&bytes))?;
            out.sync_all()?;
            match fs::hard_link(&draft, path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                done => done,
            }
        })();
        // What is left of a failed try is no key.
        let _ = fs::remove_file(&draft);
        written.map_err(failed)?;
        if let Some(folder) = path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
        }
        Self::load(path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    /// Seals a secret of `whose`, for what it is.
    pub(crate) fn seal(&self, what: &str, whose: &str, secret: &str) -> String {
        let nonce: [u8; NONCE] = rand::rng().random();
        let aad = aad(what, whose);
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: aad.as_bytes(),
        };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a short text is never too long to seal");
        format!("{SEALED}{}", BASE64.encode(&[&nonce[..], &sealed].concat()))
    }

    /// Opens what [`SealKey::seal`] made; nothing when it is another's, for something else, altered, or of another key.
    pub(crate) fn unseal(&self, what: &str, whose: &str, sealed: &str) -> Option<String> {
        let bytes = sealed.strip_prefix(SEALED)?;
        let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
        let (nonce, msg) = bytes.split_first_chunk::<NONCE>()?;
        let aad = aad(what, whose);
        let payload = Payload {
            msg,
            aad: aad.as_bytes(),
        };
        let secret = self.0.decrypt(&XNonce::from(*nonce), payload).ok()?;
        String::from_utf8(secret).ok()
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}

/// No zero byte is in either part, so that no two pairs make the same.
fn aad(what: &str, whose: &str) -> String {
    format!("{what}\0{whose}")
}

fn file(path: &Path, source: io::Error) -> KeyError {
    KeyError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_own_row_and_key_alone() {
        let key = SealKey::fresh();
        let sealed = key.seal("totp", "rahima", "GEZDGNBVGY3TQOJQ");
        assert!(!sealed.contains("GEZDGNBVGY3TQOJQ"));
        let open = |key: &SealKey, what, whose, text: &str| key.unseal(what, whose, text);
        let right = open(&key, "totp", "rahima", &sealed);
        assert_eq!(right.as_deref(), Some("GEZDGNBVGY3TQOJQ"));
        assert_eq!(open(&key, "totp", "karim", &sealed), None, "another's row");
        assert_eq!(open(&key, "mail", "rahima", &sealed), None, "another use");
        assert_eq!(open(&SealKey::fresh(), "totp", "rahima", &sealed), None);
        for at in SEALED.len()..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert_eq!(open(&key, "totp", "rahima", &altered), None, "byte {at}");
        }
        for text in ["", "x1:", "x1:AAAA", "GEZDGNBVGY3TQOJQ"] {
            assert_eq!(open(&key, "totp", "rahima", text), None, "{text}");
        }
    }
}
