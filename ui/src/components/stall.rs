//! The card of a stall in the parlour, to be read at arm's length, and the grid that holds eight of them.
//!
//! A state is a word, an icon and a band; an alarm adds a pattern, a frame and a sentence, so that it is seen without
//! colour, in sunlight and by who cannot read the word.

use maud::{Markup, Render, html};

use crate::{components::Meter, icons::Icon};

/// What a stall is in, as far as looks go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StallState {
    /// Nobody there.
    Empty,
    /// A cow stands there.
    Waiting,
    /// Milk flows.
    Milking,
    /// Nearly done.
    Finishing,
    /// Look at it soon.
    Warning,
    /// Act now.
    Alarm,
}

impl StallState {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Empty,
        Self::Waiting,
        Self::Milking,
        Self::Finishing,
        Self::Warning,
        Self::Alarm,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Waiting => "waiting",
            Self::Milking => "milking",
            Self::Finishing => "finishing",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }

    fn icon(self) -> Icon {
        match self {
            Self::Empty => Icon::Minus,
            Self::Waiting => Icon::Clock,
            Self::Milking => Icon::Drop,
            Self::Finishing => Icon::Check,
            Self::Warning => Icon::Warning,
            Self::Alarm => Icon::Stop,
        }
    }
}

/// A stall, now. Texts are given in the page's language, numbers already written.
#[derive(Clone, Debug)]
pub struct StallCard {
    /// Element id; live fragments replace the card by it.
    pub id: String,
    /// The stall's number.
    pub number: String,
    /// What it is in.
    pub state: StallState,
    /// The state in a word or two.
    pub word: String,
    /// Number or tag of the cow.
    pub cow: Option<String>,
    /// Name of the cow.
    pub name: Option<String>,
    /// Milk so far and its unit.
    pub milk: Option<(String, String)>,
    /// Flow now: thousandths of the scale's end, and in words with unit.
    pub flow: Option<(u16, String)>,
    /// What is wrong and what to do: required to make sense of a warning or an alarm.
    pub message: Option<String>,
    /// Where a touch leads.
    pub href: Option<String>,
}

impl Render for StallCard {
    fn render(&self) -> Markup {
        let alarm = self.state == StallState::Alarm;
        html! {
            article.stall.(self.state.key()) id=(self.id) data-alarm=[alarm.then_some(&self.id)]
                role=[alarm.then_some("alert")] {
                header.stall-band {
                    span.stall-number { (self.number) }
                    span.stall-word { (self.state.icon()) (self.word) }
                }
                div.stall-body {
                    p.stall-cow {
                        @if let Some(cow) = &self.cow { strong { (cow) } }
                        @if let Some(name) = &self.name { " " span { (name) } }
                    }
                    @if let Some((number, unit)) = &self.milk { p.stall-milk { (number) small { (unit) } } }
                    @if let Some((of_1000, text)) = &self.flow {
                        p.stall-flow { (Meter(*of_1000)) span { (text) } }
                    }
                    @if let Some(message) = &self.message { p.stall-message { (message) } }
                }
                @if let Some(href) = &self.href { a.cover href=(href) aria-label={ (self.number) " " (self.word) } {} }
            }
        }
    }
}

/// The parlour: two stalls abreast on a phone, four on a desk.
pub fn parlour(label: &str, stalls: &[StallCard]) -> Markup {
    html! { section.parlour-grid aria-label=(label) { @for stall in stalls { (stall) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stall(state: StallState) -> StallCard {
        StallCard {
            id: "stall-3".into(),
            number: "৩".into(),
            state,
            word: "থামুন!".into(),
            cow: Some("১০৫".into()),
            name: None,
            milk: Some(("২.১".into(), "লি".into())),
            flow: Some((2_000, "১.৯ লি/মি".into())),
            message: Some("এই দুধ ট্যাংকে দেবেন না".into()),
            href: None,
        }
    }

    #[test]
    fn an_alarm_is_said_by_class_icon_word_and_sentence() {
        let html = stall(StallState::Alarm).render().into_string();
        for part in [
            "class=\"stall alarm\"",
            "data-alarm=\"stall-3\"",
            "#stop\"",
            "থামুন!",
            "এই দুধ ট্যাংকে দেবেন না",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert!(
            html.contains("width=\"100\""),
            "a flow beyond the scale fills the bar"
        );
    }

    #[test]
    fn only_an_alarm_sounds() {
        for state in StallState::ALL {
            let html = stall(*state).render().into_string();
            assert_eq!(
                html.contains("data-alarm"),
                *state == StallState::Alarm,
                "{state:?}"
            );
        }
    }
}
