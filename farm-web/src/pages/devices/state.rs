//! How a device fares: the driver's word if there is a driver, else what was heard; and what to do about it.

use farm::{Origin, devices::DeviceRow};
use farm_model::{Link, UnixMillis};
use ui::{Lang, components::Badge, shell::Tone};

use crate::border::{DriverHealth, DriverState};

pub(crate) mod t {
    ui::texts! {
        working = "Working" / "চলছে";
        starting = "Starting" / "চালু হচ্ছে";
        no_answer = "No answer" / "সাড়া নেই";
        no_port = "Port is gone" / "পোর্ট নেই";
        off = "Switched off" / "বন্ধ করা";
        silent = "Silent" / "চুপ";
        unheard = "Never heard" / "কখনো সাড়া দেয়নি";

        no_answer_do = "Check its power, its cable and its address." / "এর বিদ্যুৎ, তার আর ঠিকানা দেখুন।";
        no_port_do = "Plug its adapter in again, or choose another port." / "অ্যাডাপ্টার আবার লাগান, বা অন্য পোর্ট বেছে নিন।";
        silent_do = "Check its power or battery, then the network." / "বিদ্যুৎ বা ব্যাটারি দেখুন, তারপর নেটওয়ার্ক।";
        unheard_do = "Switch it on; its first message makes this right." / "যন্ত্রটি চালু করুন; প্রথম বার্তা এলেই ঠিক হয়ে যাবে।";

        working_n(n) = "{n} working" / "{n}টি চলছে";
        starting_n(n) = "{n} starting" / "{n}টি চালু হচ্ছে";
        no_answer_n(n) = "{n} without an answer" / "{n}টির সাড়া নেই";
        no_port_n(n) = "{n} without a port" / "{n}টির পোর্ট নেই";
        off_n(n) = "{n} switched off" / "{n}টি বন্ধ করা";
        silent_n(n) = "{n} silent" / "{n}টি চুপ";
        unheard_n(n) = "{n} never heard" / "{n}টি কখনো সাড়া দেয়নি";
    }
}

/// How a device fares, worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum State {
    /// Its port is gone.
    NoPort,
    /// It does not answer its driver.
    NoAnswer,
    /// It was heard once, and not when it should have been since.
    Silent,
    /// Nothing of it was heard yet.
    Unheard,
    /// Its driver starts.
    Starting,
    /// It is heard.
    Working,
    /// Someone switched it off.
    Off,
}

impl State {
    pub(super) const ALL: [Self; 7] = [
        Self::NoPort,
        Self::NoAnswer,
        Self::Silent,
        Self::Unheard,
        Self::Starting,
        Self::Working,
        Self::Off,
    ];

    pub(super) fn of(row: &DeviceRow, driver: Option<&DriverState>, now: UnixMillis) -> Self {
        if !row.device.enabled {
            return Self::Off;
        }
        match driver.map(|d| d.health) {
            // The network has no adapter to plug in again.
            Some(DriverHealth::NoPort) if matches!(row.device.link, Link::ModbusTcp { .. }) => {
                return Self::NoAnswer;
            }
            Some(DriverHealth::NoPort) => return Self::NoPort,
            Some(DriverHealth::BackingOff) => return Self::NoAnswer,
            Some(DriverHealth::Starting) => return Self::Starting,
            Some(DriverHealth::Running) | None => {}
        }
        let Some(at) = row.heard_at else {
            return Self::Unheard;
        };
        // Whether it is silent elsewhere, its own appliance knows, and says so by its alarm.
        if row.origin == Origin::Elsewhere {
            return if row.is_missed {
                Self::Silent
            } else {
                Self::Working
            };
        }
        let patience = row.every_s().map(|s| i64::from(s) * 3000);
        if patience.is_some_and(|ms| now.since(at) > ms) {
            Self::Silent
        } else {
            Self::Working
        }
    }

    /// Whether someone has to go and look.
    pub(super) fn is_trouble(self) -> bool {
        matches!(self, Self::NoPort | Self::NoAnswer | Self::Silent)
    }

    fn tone(self) -> Tone {
        match self {
            Self::NoPort | Self::NoAnswer => Tone::Bad,
            Self::Silent => Tone::Warn,
            Self::Starting => Tone::Info,
            Self::Working => Tone::Good,
            Self::Unheard | Self::Off => Tone::Neutral,
        }
    }

    pub(super) fn badge(self, lang: Lang) -> Badge {
        let text = match self {
            Self::NoPort => t::no_port(lang),
            Self::NoAnswer => t::no_answer(lang),
            Self::Silent => t::silent(lang),
            Self::Unheard => t::unheard(lang),
            Self::Starting => t::starting(lang),
            Self::Working => t::working(lang),
            Self::Off => t::off(lang),
        };
        Badge::new(self.tone(), text)
    }

    /// How many are so.
    pub(super) fn count(self, lang: Lang, n: usize) -> Badge {
        let text = match self {
            Self::NoPort => t::no_port_n(lang, n),
            Self::NoAnswer => t::no_answer_n(lang, n),
            Self::Silent => t::silent_n(lang, n),
            Self::Unheard => t::unheard_n(lang, n),
            Self::Starting => t::starting_n(lang, n),
            Self::Working => t::working_n(lang, n),
            Self::Off => t::off_n(lang, n),
        };
        Badge::new(self.tone(), text)
    }

    /// What to do about it, if there is something to do.
    pub(super) fn advice(self, lang: Lang) -> Option<&'static str> {
        match self {
            Self::NoPort => Some(t::no_port_do(lang)),
            Self::NoAnswer => Some(t::no_answer_do(lang)),
            Self::Silent => Some(t::silent_do(lang)),
            Self::Unheard => Some(t::unheard_do(lang)),
            Self::Starting | Self::Working | Self::Off => None,
        }
    }
}
