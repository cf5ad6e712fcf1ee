//! A few sectors of NOR flash, and a supply that may fail in the middle of a write.
//!
//! As on the chip: erasing sets a sector to ones, programming can only clear bits, and whoever loses power meanwhile finds some
//! of it done. What is written is never undone; what a node knows besides is gone with the power.

use crate::rng::Rng;

/// Bytes that are erased together.
pub const SECTOR: usize = 4_096;

/// The supply failed; nothing works until the node starts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the supply failed")]
pub struct PowerLost;

/// Flash memory.
#[derive(Clone, Debug)]
pub struct Flash {
    bytes: Vec<u8>,
    energy: Option<u64>,
    rng: Rng,
}

impl Flash {
    /// Erased flash of so many sectors; `rng` decides what a failing supply leaves behind.
    pub fn blank(sectors: usize, rng: Rng) -> Self {
        Self {
            bytes: vec![0xff; sectors * SECTOR],
            energy: None,
            rng,
        }
    }

    /// How many sectors there are.
    pub fn sectors(&self) -> usize {
        self.bytes.len() / SECTOR
    }

    /// Lets the supply fail after so many bytes were programmed or erased.
    pub fn fail_after(&mut self, bytes: u64) {
        self.energy = Some(bytes);
    }

    /// Restores the supply.
    pub fn power_up(&mut self) {
        self.energy = None;
    }

    /// A sector's contents.
    pub fn sector(&self, sector: usize) -> &[u8] {
        &self.bytes[sector * SECTOR..(sector + 1) * SECTOR]
    }

    /// Whether a sector is erased.
    pub fn is_erased(&self, sector: usize) -> bool {
        self.sector(sector).iter().all(|&byte| byte == 0xff)
    }

    /// Programs `data` at `at` within a sector, in the order of its bytes.
    ///
    /// # Errors
    /// When the supply fails; the bytes before that moment are programmed, the one of that moment is anything in between.
    pub fn program(&mut self, sector: usize, at: usize, data: &[u8]) -> Result<(), PowerLost> {
        let start = sector * SECTOR + at;
        for (byte, &wanted) in self.bytes[start..start + data.len()].iter_mut().zip(data) {
            if spend(&mut self.energy).is_err() {
                *byte &= wanted | self.rng.bits() as u8;
                return Err(PowerLost);
            }
            *byte &= wanted;
        }
        Ok(())
    }

    /// Sets a sector to ones.
    ///
    /// # Errors
    /// When the supply fails; any of its bytes may be erased then, or not.
    pub fn erase(&mut self, sector: usize) -> Result<(), PowerLost> {
        let contents = &mut self.bytes[sector * SECTOR..(sector + 1) * SECTOR];
        if spend(&mut self.energy).is_err() {
            let share = self.rng.unit();
            for byte in contents {
                if self.rng.chance(share) {
                    *byte = 0xff;
                }
            }
            return Err(PowerLost);
        }
        contents.fill(0xff);
        Ok(())
    }
}

fn spend(energy: &mut Option<u64>) -> Result<(), PowerLost> {
    match energy {
        None => Ok(()),
        Some(0) => Err(PowerLost),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
    }
}

/// By which a node knows its own whole writes: a CRC-32 that erased flash never has, for that of four bytes of ones is all ones.
pub(super) fn checksum(parts: &[&[u8]]) -> [u8; 4] {
    (!crc32(parts)).to_be_bytes()
}

/// CRC-32 as of IEEE 802.3, reflected.
fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in parts.iter().copied().flatten() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
        assert_ne!(
            checksum(&[&[0xff; 4]]),
            [0xff; 4],
            "erased flash is no head"
        );
    }

    #[test]
    fn programming_clears_bits_and_only_erasing_sets_them() {
        let mut flash = Flash::blank(2, Rng::stream(1, "flash"));
        flash.program(1, 10, &[0x0f, 0xf0]).unwrap();
        flash.program(1, 10, &[0xf3, 0xff]).unwrap();
        assert_eq!(flash.sector(1)[10..12], [0x03, 0xf0]);
        assert!(flash.is_erased(0) && !flash.is_erased(1));
        flash.erase(1).unwrap();
        assert!(flash.is_erased(1));
    }

    #[test]
    fn a_failing_supply_leaves_the_beginning_of_a_write() {
        let mut flash = Flash::blank(1, Rng::stream(1, "flash"));
        flash.fail_after(3);
        assert_eq!(flash.program(0, 0, &[0; 8]), Err(PowerLost));
        assert_eq!(flash.sector(0)[..3], [0; 3]);
        assert!(flash.sector(0)[4..].iter().all(|&b| b == 0xff));
        assert_eq!(
            flash.erase(0),
            Err(PowerLost),
            "nothing works without power"
        );
    }
}
