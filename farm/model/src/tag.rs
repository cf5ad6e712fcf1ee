//! What a reader reads: ISO 11784 identities, UHF EPCs and plain 125 kHz numbers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, de};

/// Largest national identification code: 38 bits (ISO 11784).
pub const MAX_NATIONAL_ID: u64 = (1 << 38) - 1;

/// A 15-digit ISO 11784 identity: three digits of country or manufacturer, twelve of national code.
///
/// Kept as text, because `050…` (Bangladesh, ISO 3166 numeric) begins with a zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rfid {
    country: u16,
    national: u64,
}

impl Rfid {
    /// An identity from its two parts.
    ///
    /// # Errors
    /// When `country` exceeds 999 or `national` exceeds [`MAX_NATIONAL_ID`].
    pub fn new(country: u16, national: u64) -> Result<Self, TagError> {
        if country > 999 {
            return Err(TagError::Country(country));
        }
        if national > MAX_NATIONAL_ID {
            return Err(TagError::National(national));
        }
        Ok(Self { country, national })
    }

    /// ISO 3166-1 numeric country, or 900 to 998 for a manufacturer, or 999 for a test transponder.
    pub fn country(self) -> u16 {
        self.country
    }

    /// The national identification code, 38 bits.
    pub fn national(self) -> u64 {
        self.national
    }
}

impl fmt::Display for Rfid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}{:012}", self.country, self.national)
    }
}

impl fmt::Debug for Rfid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rfid({self})")
    }
}

impl FromStr for Rfid {
    type Err = TagError;

    /// Accepts exactly fifteen ASCII digits.
    fn from_str(s: &str) -> Result<Self, TagError> {
        if s.len() != 15 || !s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TagError::NotFifteenDigits);
        }
        let country = s[..3].parse().map_err(|_| TagError::NotFifteenDigits)?;
        let national = s[3..].parse().map_err(|_| TagError::NotFifteenDigits)?;
        Self::new(country, national)
    }
}

/// A UHF electronic product code: 4 to 62 bytes (GS1 EPC Tag Data Standard; farm tags carry 12).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epc(Vec<u8>);

impl Epc {
    /// An EPC from its bytes.
    ///
    /// # Errors
    /// When there are fewer than 4 or more than 62 bytes, or an odd number of them (EPCs are 16-bit words).
    pub fn new(bytes: &[u8]) -> Result<Self, TagError> {
        if (4..=62).contains(&bytes.len()) && bytes.len().is_multiple_of(2) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(TagError::EpcLength(bytes.len()))
        }
    }

    /// The bytes as they are on the tag.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02X}"))
    }
}

impl fmt::Debug for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epc({self})")
    }
}

/// Whatever identifies an animal to a reader.
///
/// Its text form is what the store keeps and what people type: fifteen digits, `epc:` and hexadecimal, or
/// `em:` and the decimal number of a 125 kHz EM4100 tag.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tag {
    /// ISO 11784/11785 low-frequency transponder.
    Rfid(Rfid),
    /// UHF transponder.
    Epc(Epc),
    /// EM4100 125 kHz tag: version byte and 32-bit number, 40 bits together.
    Em4100(u64),
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rfid(rfid) => rfid.fmt(f),
            Self::Epc(epc) => write!(f, "epc:{epc}"),
            Self::Em4100(n) => write!(f, "em:{n}"),
        }
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(s: &str) -> Result<Self, TagError> {
        if let Some(hex) = s.strip_prefix("epc:") {
            return Epc::new(&from_hex(hex).ok_or(TagError::NotHex)?).map(Self::Epc);
        }
        if let Some(number) = s.strip_prefix("em:") {
            return match number.parse::<u64>() {
                Ok(n) if n < 1 << 40 => Ok(Self::Em4100(n)),
                _ => Err(TagError::Em4100),
            };
        }
        s.parse().map(Self::Rfid)
    }
}

impl Serialize for Tag {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl From<Rfid> for Tag {
    fn from(rfid: Rfid) -> Self {
        Self::Rfid(rfid)
    }
}

/// Why a text or a number is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The country part is above 999.
    #[error("country {0} is above 999")]
    Country(u16),
    /// The national part does not fit 38 bits.
    #[error("national code {0} is above 274877906943")]
    National(u64),
    /// An identity has exactly fifteen digits.
    #[error("an ISO 11784 identity has exactly fifteen digits")]
    NotFifteenDigits,
    /// An EPC is 4 to 62 bytes, in pairs.
    #[error("an EPC has 4 to 62 bytes in pairs, not {0}")]
    EpcLength(usize),
    /// Hexadecimal was expected.
    #[error("expected pairs of hexadecimal digits")]
    NotHex,
    /// An EM4100 number is below 2^40.
    #[error("an EM4100 number is a decimal below 2^40")]
    Em4100,
}

fn from_hex(s: &str) -> Option<Vec<u8>> {
    if !s.len().is_multiple_of(2) || !s.is_ascii() {
        return None;
    }
    (0..s.len())
        .step_by(2)
        .map(|i| {
            u8::from_str_radix(&s[i..i + 2], 16)
                .ok()
                .filter(|_| s.as_bytes()[i] != b'+')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bangladesh_keeps_its_leading_zero() {
        let rfid = Rfid::new(50, 123_456_789_012).unwrap();
        assert_eq!(rfid.to_string(), "050123456789012");
        assert_eq!("050123456789012".parse::<Rfid>(), Ok(rfid));
    }

    #[test]
    fn what_is_no_identity_says_why() {
        assert_eq!(
            "05012345678901".parse::<Rfid>(),
            Err(TagError::NotFifteenDigits)
        );
        assert_eq!(
            "+50123456789012".parse::<Rfid>(),
            Err(TagError::NotFifteenDigits)
        );
        assert_eq!(
            "050274877906944".parse::<Rfid>(),
            Err(TagError::National(274_877_906_944))
        );
        assert_eq!("epc:E2".parse::<Tag>(), Err(TagError::EpcLength(1)));
        assert_eq!("epc:+1+2+3+4".parse::<Tag>(), Err(TagError::NotHex));
        assert_eq!("em:1099511627776".parse::<Tag>(), Err(TagError::Em4100));
    }

    proptest::proptest! {
        #[test]
        fn every_tag_survives_its_text(country in 0u16..1000, national in 0..=MAX_NATIONAL_ID, em in 0u64..1 << 40, epc in proptest::collection::vec(0u8.., 2..31)) {
            let epc: Vec<u8> = epc.iter().flat_map(|b| [*b, !*b]).collect();
            for tag in [Tag::Rfid(Rfid::new(country, national).unwrap()), Tag::Em4100(em), Tag::Epc(Epc::new(&epc).unwrap())] {
                proptest::prop_assert_eq!(tag.to_string().parse::<Tag>(), Ok(tag));
            }
        }
    }
}
