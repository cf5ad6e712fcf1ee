//! Published register maps, kept as JSON beside the code.
//!
//! Addresses and layouts come from the makers' manuals (Eastron SDM630, Vaisala MGP260 M212504EN, Sierra 780S) except
//! `rki-channel`, which shows the layout of one channel of an RKI monitor (status, then a floating-point value) and wants
//! its address set, and `parlour-meter`, the milk meter of the virtual parlour.

use farm_model::device::RegisterMap;

/// A map that is ready to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preset {
    /// The name kept in [`RegisterMap::preset`].
    pub name: &'static str,
    /// What people call the device.
    pub title: &'static str,
    json: &'static str,
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "parlour-meter",
        title: "Khamar virtual parlour meter",
        json: include_str!("../../presets/parlour-meter.json"),
    },
    Preset {
        name: "eastron-sdm630",
        title: "Eastron SDM630 (electricity)",
        json: include_str!("../../presets/eastron-sdm630.json"),
    },
    Preset {
        name: "vaisala-mgp260",
        title: "Vaisala MGP260 (biogas)",
        json: include_str!("../../presets/vaisala-mgp260.json"),
    },
    Preset {
        name: "sierra-780s",
        title: "Sierra 780S (gas flow)",
        json: include_str!("../../presets/sierra-780s.json"),
    },
    Preset {
        name: "rki-channel",
        title: "RKI digester monitor, one channel",
        json: include_str!("../../presets/rki-channel.json"),
    },
];

impl Preset {
    /// The preset called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The map.
    pub fn map(&self) -> RegisterMap {
        serde_json::from_str(self.json).expect("a test parses every preset")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::check;

    #[test]
    fn every_preset_is_sound_and_knows_its_name() {
        for preset in PRESETS {
            let map = preset.map();
            assert_eq!(map.preset.as_deref(), Some(preset.name));
            assert_eq!(check(&map), Ok(()), "{}", preset.name);
            assert_eq!(Preset::find(preset.name), Some(preset));
        }
        assert_eq!(Preset::find("none"), None);
    }
}
