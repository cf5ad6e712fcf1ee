//! What the last action did, and how a message is to be taken.

use maud::{Markup, html};

use crate::icons::Icon;

/// What the last action did, said at the top of the next page.
#[derive(Clone, Debug)]
pub struct Flash {
    /// How to take it.
    pub tone: Tone,
    /// What happened and what to do next.
    pub text: String,
    /// A link or a form beside it: undo, show.
    pub action: Option<Markup>,
}

/// How a message is to be taken. Each has its own icon, so that colour is never alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Nothing special.
    Neutral,
    /// Worth knowing.
    Info,
    /// Done, all well.
    Good,
    /// Look at it soon.
    Warn,
    /// Act now.
    Bad,
}

impl Tone {
    /// Every tone.
    pub const ALL: &[Self] = &[Self::Neutral, Self::Info, Self::Good, Self::Warn, Self::Bad];

    /// The name in class attributes.
    pub fn key(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Info => "info",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    /// The icon that says the same as the colour.
    pub fn icon(self) -> Icon {
        match self {
            Self::Neutral | Self::Info => Icon::Info,
            Self::Good => Icon::CheckRing,
            Self::Warn => Icon::Warning,
            Self::Bad => Icon::Stop,
        }
    }
}

/// What the last action did, as a bar: also sent alone, in the element with id `flash`.
pub fn flash_bar(flash: &Flash) -> Markup {
    html! {
        div.flash.(flash.tone.key()) role=(if flash.tone == Tone::Bad { "alert" } else { "status" }) {
            (flash.tone.icon())
            p { (flash.text) }
            @if let Some(action) = &flash.action { (action) }
        }
    }
}
