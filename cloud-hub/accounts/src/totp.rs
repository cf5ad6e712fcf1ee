//! Codes of an authenticator app: RFC 6238 with HMAC-SHA-1, six digits, steps of 30 seconds, which is all that the usual apps
//! speak. Pure; what was used is remembered by [`crate::second_factor`].

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// Seconds that a code stands for.
pub const STEP_S: i64 = 30;
/// Steps before and after the present one whose codes are taken: clocks of phones are not exact.
const SLACK: i64 = 1;

/// What app and hub share.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpKey(Vec<u8>);

impl TotpKey {
    /// A new one, of 160 bits as RFC 4226 asks.
    pub fn fresh() -> Self {
        Self(rand::rng().random::<[u8; 20]>().to_vec())
    }

    /// The form in which it is typed and stored.
    pub fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0)
    }

    /// The key of that form.
    pub fn typed(text: &str) -> Option<Self> {
        let bytes = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).ok()?;
        Some(Self(bytes))
    }

    /// What an app reads from a QR code.
    pub fn address(&self, issuer: &str, account: &str) -> String {
        let (issuer, account) = (encode(issuer), encode(account));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}",
            self.base32()
        )
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> String {
        format!("{:06}", self.number(step) % 1_000_000)
    }

    fn number(&self, step: i64) -> u32 {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let at = usize::from(digest[19] & 0xf);
        let four = [digest[at], digest[at + 1], digest[at + 2], digest[at + 3]];
        u32::from_be_bytes(four) & 0x7fff_ffff
    }

    /// The step after `used` whose code this is, around `seconds` since 1970; nothing when it is none. Takes as long for each.
    pub fn step_of(&self, code: &str, seconds: i64, used: i64) -> Option<i64> {
        let now = seconds.div_euclid(STEP_S);
        let mut found = None;
        for step in now - SLACK..=now + SLACK {
            let right = bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes()));
            if right && step > used {
                found = Some(step);
            }
        }
        found
    }
}

impl std::fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpKey(…)")
    }
}

/// Percent-encodes what may not stand in an address.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last six digits of RFC 6238's appendix B.
    #[test]
    fn codes_are_those_of_the_standard() {
        let key = TotpKey(b"12345678901234567890".to_vec());
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(key.code(seconds / STEP_S), code);
        }
        assert_eq!(key.base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(TotpKey::typed(&key.base32()), Some(key));
    }

    #[test]
    fn a_code_is_taken_around_its_time_and_never_again() {
        let key = TotpKey::fresh();
        let now = 1_800_000_000;
        let step = now / STEP_S;
        for (near, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = key.code(step + near);
            assert_eq!(key.step_of(&code, now, 0).is_some(), taken, "{near}");
        }
        assert_eq!(key.step_of(&key.code(step), now, step), None);
        assert_eq!(key.step_of("", now, 0), None);
    }

    #[test]
    fn an_app_reads_the_address() {
        let key = TotpKey(b"12345678901234567890".to_vec());
        assert_eq!(
            key.address("Khamar", "a b@example.com"),
            "otpauth://totp/Khamar:a%20b%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Khamar"
        );
    }
}
