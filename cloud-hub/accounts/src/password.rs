//! Passwords: what is taken for one, and their argon2id hashes.
//!
//! Hashing takes 19 MiB and a tenth of a second, so it is done on threads that may block and by few at once.

use std::time::Duration;

pub use slow_hash::SlowHash as PasswordHash;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::Email;

/// Fewest characters.
pub const SHORTEST: usize = 10;
/// Most characters.
pub const LONGEST: usize = 200;
/// Passwords that are hashed at once.
const PLACES: usize = 2;
/// How long to wait for a place before saying that there is too much to do.
const PATIENCE: Duration = Duration::from_secs(10);
static AT_ONCE: Semaphore = Semaphore::const_new(PLACES);

/// A password as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password that somebody types to log in; whatever it is, it is tried.
    pub fn tried(text: &str) -> Self {
        Self(text.nfkc().take(LONGEST + 1).collect())
    }

    /// A password that somebody chooses.
    ///
    /// # Errors
    /// When it is too short or long, or among the first that anybody would try.
    pub fn chosen(text: &str, email: &Email) -> Result<Self, BadPassword> {
        let text: String = text.nfkc().collect();
        match text.chars().count() {
            n if n < SHORTEST => return Err(BadPassword::TooShort),
            n if n > LONGEST => return Err(BadPassword::TooLong),
            _ => {}
        }
        let folded = text.to_lowercase();
        let local = email.as_str().split('@').next().unwrap_or_default();
        let letters: String = folded.chars().filter(|c| c.is_alphabetic()).collect();
        let mut kinds: Vec<char> = folded.chars().collect();
        kinds.sort_unstable();
        kinds.dedup();
        let common = COMMON.lines().any(|word| folded == word || letters == word);
        let own = local.len() >= 4 && folded.contains(local);
        if common || own || kinds.len() < 5 || is_run(&folded) {
            return Err(BadPassword::Guessable);
        }
        Ok(Self(text))
    }

    /// Its hash with a fresh salt.
    ///
    /// # Errors
    /// When too many are hashed already.
    pub async fn hash(self) -> Result<PasswordHash, Busy> {
        blocking(move || self.hash_now()).await
    }

    /// Whether this is the password of `hash`.
    ///
    /// # Errors
    /// When too many are tried already.
    pub async fn matches(self, hash: PasswordHash) -> Result<bool, Busy> {
        blocking(move || hash.fits(self.0.as_bytes())).await
    }

    /// [`Password::hash`] on this thread.
    pub fn hash_now(&self) -> PasswordHash {
        PasswordHash::of(self.0.as_bytes())
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The first words and rows of keys that are tried, with digits put to them or not; one a line, lower case.
const COMMON: &str = include_str!("common.txt");

/// Whether the characters only count up or down, as in `1234567890`.
fn is_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps = codes.windows(2).map(|w| w[1] - w[0]);
    let regular = steps.filter(|step| (-1..=1).contains(step)).count();
    regular * 10 >= codes.len() * 8
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
    let place = tokio::time::timeout(PATIENCE, AT_ONCE.acquire()).await;
    let place = place.map_err(|_| Busy)?.map_err(|_| Busy)?;
    // The place goes along: a request that is given up does not stop the thread that works for it.
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(place);
        result
    });
    done.await.map_err(|_| Busy)
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Too few characters.
    #[error("a password has at least {SHORTEST} characters: make it longer")]
    TooShort,
    /// Too many characters.
    #[error("a password has at most {LONGEST} characters: make it shorter")]
    TooLong,
    /// Among the first that are tried.
    #[error("this password is easily guessed: put several words together")]
    Guessable,
}

/// More passwords are tried at once than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people log in at this moment: try again in a minute")]
pub struct Busy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_easily_guessed_is_not_taken() {
        let email = Email::new("rahima@example.com").unwrap();
        let take = |text: &str| Password::chosen(text, &email).map(|_| ());
        assert_eq!(take("cow-milk-bell-9"), Ok(()));
        assert_eq!(take("লাল গাভীর ঘণ্টা"), Ok(()));
        assert_eq!(take("short"), Err(BadPassword::TooShort));
        assert_eq!(take(&"long word ".repeat(30)), Err(BadPassword::TooLong));
        for text in [
            "password123",
            "Password2026",
            "1234567890",
            "aaaaaaaaaaaa",
            "qwertyuiop",
            "rahima-rahima",
            "abcdefghijkl",
            "bangladesh1971",
        ] {
            assert_eq!(take(text), Err(BadPassword::Guessable), "{text}");
        }
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_only() {
        let hash = Password::tried("cow-milk-bell-9").hash().await.unwrap();
        for (text, right) in [("cow-milk-bell-9", true), ("cow-milk-bell-8", false)] {
            let matches = Password::tried(text).matches(hash.clone()).await.unwrap();
            assert_eq!(matches, right);
        }
    }
}
