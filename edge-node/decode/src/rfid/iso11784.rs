//! The 64-bit code of ISO 11784 and the checksum of ISO 11785.
//!
//! Bits, least significant first on air: 0 to 37 national code, 38 to 47 country, 48 additional data follow, 49 to 62
//! reserved (newer editions: user information and a re-tag counter), 63 animal. The checksum is CRC-16/KERMIT over the
//! eight bytes, least significant first.

use farm_model::tag::{MAX_NATIONAL_ID, Rfid};

use super::RejectReason;

/// A transponder's 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Code(pub u64);

impl Code {
    /// The code of an animal's transponder without additional data.
    pub fn of_animal(rfid: Rfid) -> Self {
        Self(1 << 63 | u64::from(rfid.country()) << 38 | rfid.national())
    }

    /// The code from its bytes in the order of the air, least significant first.
    pub fn from_air(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// The bytes in the order of the air.
    pub fn to_air(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// The checksum sent after the code.
    pub fn crc(self) -> u16 {
        crc16_kermit(&self.to_air())
    }

    /// Whether the transponder says that it is on an animal.
    pub fn is_animal(self) -> bool {
        self.0 >> 63 == 1
    }

    /// Whether additional data follow the code, such as a temperature.
    pub fn has_data(self) -> bool {
        self.0 >> 48 & 1 == 1
    }

    /// The identity.
    ///
    /// # Errors
    /// [`RejectReason::AnimalZero`] when the animal flag is clear or the national code is 0,
    /// [`RejectReason::OutOfRange`] when the country exceeds 999.
    pub fn identity(self) -> Result<Rfid, RejectReason> {
        let national = self.0 & MAX_NATIONAL_ID;
        if !self.is_animal() || national == 0 {
            return Err(RejectReason::AnimalZero);
        }
        let country = (self.0 >> 38 & 0x3FF) as u16;
        Rfid::new(country, national).map_err(|_| RejectReason::OutOfRange)
    }
}

/// CRC-16/KERMIT: polynomial 0x1021 reflected, initial value 0, no final inversion.
pub fn crc16_kermit(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x8408 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_value_of_kermit() {
        assert_eq!(crc16_kermit(b"123456789"), 0x2189);
    }

    #[test]
    fn codes_and_checksums_agree_with_transmitted_ones() {
        for (country, national, air, crc) in [
            (985, 113_007_399_202, 0x2211_C44F_5AF6_0080_u64, 0xFCDF),
            (50, 123_456_789_012, 0x141A_99BE_9C0C_0080, 0x1435),
            (50, 1, 0x0100_0000_800C_0080, 0x8D7A),
            (982, 1_088_420, 0xA49B_1000_80F5_0080, 0x70C5),
            (999, 112_233_445_566, 0xBE78_A221_DAF9_0080, 0x8A72),
        ] {
            let rfid = Rfid::new(country, national).unwrap();
            let code = Code::of_animal(rfid);
            assert_eq!(code.to_air(), air.to_be_bytes());
            assert_eq!(code.crc(), crc);
            assert_eq!(Code::from_air(air.to_be_bytes()).identity(), Ok(rfid));
            assert!(code.is_animal() && !code.has_data());
        }
    }

    #[test]
    fn what_is_no_animal_says_so() {
        assert_eq!(
            Code(1 << 38 | 5).identity(),
            Err(RejectReason::AnimalZero),
            "flag clear"
        );
        assert_eq!(
            Code(1 << 63 | 50 << 38).identity(),
            Err(RejectReason::AnimalZero),
            "number 0"
        );
        assert_eq!(
            Code(1 << 63 | 1000 << 38 | 5).identity(),
            Err(RejectReason::OutOfRange)
        );
    }
}
