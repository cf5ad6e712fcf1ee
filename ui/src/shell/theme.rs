//! How bright the screens are: as the device asks, or as somebody chose.

use crate::{Lang, icons::Icon, t};

/// How bright the screens are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Theme {
    /// As the device asks.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Every theme.
    pub const ALL: &[Self] = &[Self::Auto, Self::Light, Self::Dark];

    /// The name in cookies, forms and `data-theme`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme called `key`.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.key() == key)
    }

    pub(super) fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Auto => t::theme_auto(lang),
            Self::Light => t::theme_light(lang),
            Self::Dark => t::theme_dark(lang),
        }
    }

    pub(super) fn icon(self) -> Icon {
        match self {
            Self::Auto => Icon::Contrast,
            Self::Light => Icon::Sun,
            Self::Dark => Icon::Moon,
        }
    }
}
