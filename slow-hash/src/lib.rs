//! Hashes of what people type to prove who they are: argon2id, slow by intent, in PHC form.
//!
//! One takes 19 MiB and a tenth of a second, so whoever makes or tries it does so on a thread that may block, and bounds how many do
//! at once. Invariants: the memory goes back to the system; hashes are compared in constant time; what cannot be read fits nothing.

use std::{
    fmt,
    sync::{LazyLock, OnceLock},
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

/// OWASP's smallest argon2id setting: 19 MiB, two passes, one lane; a Pi has memory for a few of these at once.
static HASHER: LazyLock<Argon2<'static>> = LazyLock::new(|| {
    Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(19 * 1024, 2, 1, None).expect("parameters within argon2's bounds"),
    )
});

static NOBODY: OnceLock<SlowHash> = OnceLock::new();

/// Blocks of 1 KiB from which on the allocator asks the system for room of its own, and gives it back at once: half of 64 MiB on
/// every 64-bit Linux, and some. What is asked for and not touched takes none.
const OWN_ROOM: usize = 34 * 1024;

/// The hash of a PIN or password, in PHC form.
#[derive(Clone, PartialEq, Eq)]
pub struct SlowHash(String);

impl SlowHash {
    /// The hash of `typed`, with a fresh salt. Slow by intent.
    pub fn of(typed: &[u8]) -> Self {
        let salt: [u8; 16] = rand::random();
        let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
        let hash = derive(&HASHER, typed, &salt, &mut out).and_then(|()| {
            Some(PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(HASHER.params()).ok()?,
                salt: Some(Salt::new(&salt).ok()?),
                hash: Some(Output::new(&out).ok()?),
            })
        });
        let hash = hash.expect("the salt is fresh and the parameters are fixed");
        Self(hash.to_string())
    }

    /// A hash that nothing fits and that takes as long to try.
    pub fn nobody() -> Self {
        NOBODY
            .get_or_init(|| Self::of(&rand::random::<[u8; 32]>()))
            .clone()
    }

    /// Whether this is [`nobody`](Self::nobody)'s.
    pub fn is_nobody(&self) -> bool {
        NOBODY.get() == Some(self)
    }

    /// Whether it is the hash of `typed`. Slow by intent.
    pub fn fits(&self, typed: &[u8]) -> bool {
        self.is_of(typed).unwrap_or(false)
    }

    /// The hash that was stored in this form.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The form to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Nothing when the hash cannot be read.
    fn is_of(&self, typed: &[u8]) -> Option<bool> {
        let stored = PasswordHash::new(&self.0).ok()?;
        let (salt, wanted) = (stored.salt?, stored.hash?);
        let argon2 = Argon2::new(
            Algorithm::new(stored.algorithm.as_str()).ok()?,
            Version::try_from(stored.version?).ok()?,
            Params::try_from(&stored).ok()?,
        );
        let mut out = vec![0; wanted.as_bytes().len()];
        derive(&argon2, typed, &salt, &mut out)?;
        // Compares in constant time.
        Some(Output::new(&out).ok()? == wanted)
    }
}

impl fmt::Debug for SlowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowHash(…)")
    }
}

/// Derives `out`; nothing when argon2 refuses. Its memory goes back to the system: smaller pieces would stay with each of the threads
/// that ever tried one, 19 MiB apiece.
fn derive(argon2: &Argon2<'_>, typed: &[u8], salt: &[u8], out: &mut [u8]) -> Option<()> {
    let blocks = argon2.params().block_count();
    let mut room = Vec::with_capacity(blocks.max(OWN_ROOM));
    room.resize(blocks, Block::default());
    argon2
        .hash_password_into_with_memory(typed, salt, out, room.as_mut_slice())
        .ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    fn resident_mb() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            / 1024
    }

    #[test]
    fn what_was_typed_fits_its_own_hash_only() {
        let hash = SlowHash::of(b"2580");
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hash.fits(b"2580") && !hash.fits(b"2581"));
        assert!(!SlowHash::stored("nonsense".into()).fits(b"2580"));
        // As argon2's own hasher wrote it.
        let old = SlowHash::stored("$argon2id$v=19$m=19456,t=2,p=1$adbK2fN1KylIPwIvpcreWg$ksIM/+mylLRmvOUKe9VMhppLCBsF6zYSQa6I60qvZSs".into());
        assert!(old.fits(b"1470") && !old.fits(b"2580"));
    }

    #[test]
    fn nobody_is_told_from_somebody_and_fits_nothing() {
        assert!(SlowHash::nobody().is_nobody());
        assert!(!SlowHash::nobody().fits(b""));
        assert!(!SlowHash::of(b"2580").is_nobody());
    }

    #[test]
    fn threads_that_tried_keep_no_memory() {
        let hash = SlowHash::of(b"2580");
        let before = resident_mb();
        let together = Arc::new(Barrier::new(9));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (hash, together) = (hash.clone(), Arc::clone(&together));
                std::thread::spawn(move || {
                    together.wait();
                    for _ in 0..2 {
                        assert!(hash.fits(b"2580"));
                    }
                    together.wait();
                    together.wait();
                })
            })
            .collect();
        together.wait();
        together.wait();
        let grown = resident_mb().saturating_sub(before);
        together.wait();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(grown < 24, "{grown} MB stayed with eight threads");
    }
}
