//! Rollouts: how far each device is, and what can be done about it.

use farm::firmware::{Phase, Progress, Rollout};
use farm_firmware::Update;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Button, Confirm, progress, time_ago},
    fmt,
    shell::Tone,
};

use super::{View, say};
use crate::address::to;

pub(crate) mod t {
    ui::texts! {
        rollouts = "Being offered" / "যা দেওয়া হচ্ছে";
        nothing = "Nothing is offered now." / "এখন কিছু দেওয়া হচ্ছে না।";
        before = "Before" / "আগের";
        running = "Runs" / "চলছে";
        paused = "Paused" / "থেমে আছে";
        withdrawn = "Withdrawn" / "ফিরিয়ে নেওয়া";
        over = "Over" / "শেষ";
        stopped(name) = "Stopped by itself, because of {name}. Nothing more is sent until you decide." / "{name}-এর জন্য নিজে থেমে গেছে। আপনি না বলা পর্যন্ত আর কিছু যাবে না।";
        share(percent) = "{percent}% of the devices" / "যন্ত্রের {percent}%";
        named = "Named devices" / "বাছাই করা যন্ত্র";
        done(n, all) = "{n} of {all} devices run it" / "{all}টির মধ্যে {n}টি যন্ত্রে চলছে";
        pause = "Pause" / "থামান";
        go_on = "Go on" / "চালিয়ে যান";
        withdraw = "Withdraw" / "ফিরিয়ে নিন";
        pause_ask(version) = "Pause {version}?" / "{version} থামাবেন?";
        pause_text = "No more of it is sent. Devices that try it already bring that to an end. You can go on later." / "আর পাঠানো হবে না। যে যন্ত্র চালিয়ে দেখছে সে শেষ করবে। পরে আবার চালাতে পারবেন।";
        withdraw_ask(version) = "Withdraw {version}?" / "{version} ফিরিয়ে নেবেন?";
        withdraw_text = "Devices that do not run it yet forget it. Those that run it keep it. To offer it again, start anew." / "যেগুলোয় এখনো চলছে না সেগুলো ভুলে যাবে, যেগুলোয় চলছে সেগুলোয় থাকবে। আবার দিতে নতুন করে শুরু করুন।";
    }
}

pub(super) fn section(lang: Lang, view: &View) -> Markup {
    let (open, over): (Vec<_>, Vec<_>) = view.rollouts.iter().partition(|r| is_open(r));
    html! {
        div #firmware-rollouts.flow {
            h2 { (t::rollouts(lang)) }
            @if open.is_empty() { p.hint { (t::nothing(lang)) } }
            @for rollout in open { (card(lang, rollout, view)) }
            @if !over.is_empty() {
                details.fold #firmware-before {
                    summary { (t::before(lang)) }
                    @for rollout in over { (card(lang, rollout, view)) }
                }
            }
        }
    }
}

fn card(lang: Lang, rollout: &Rollout, view: &View) -> Markup {
    let header = &rollout.header;
    let all = rollout.devices.len();
    let runs = |p: &&Progress| p.update.is_some_and(|u| u.key() == "confirmed");
    let done = rollout.devices.iter().filter(runs).count();
    let (tone, phase) = phase(lang, rollout.phase);
    let share = rollout
        .percent
        .map_or_else(|| t::named(lang).to_owned(), |p| t::share(lang, p));
    html! {
        section.card {
            header {
                h3 { (header.version) " · " (header.hardware) }
                span.cluster.tight { (Badge::new(tone, phase)) }
            }
            div.flow {
                p.hint { (header.channel) " · " (share) " · " (time_ago(lang, rollout.started.0, view.now.0)) }
                (progress(&t::done(lang, done, all), permille(done, all), ""))
                @if let Some(device) = rollout.stopped_by {
                    div.flash.bad { (ui::icons::Icon::Warning) p { (t::stopped(lang, view.name(device))) } }
                }
                @if let Some(wait) = rollout.wait { p { (say::wait(lang, wait, view)) } }
                ul.readings { @for device in &rollout.devices { (line(lang, rollout, device, view)) } }
                (deeds(lang, rollout))
            }
        }
    }
}

fn permille(part: usize, whole: usize) -> u16 {
    (part * 1000 / whole.max(1)) as u16
}

fn line(lang: Lang, rollout: &Rollout, device: &Progress, view: &View) -> Markup {
    let (tone, state) = say::state(lang, device.update);
    html! {
        li.reading-row {
            a href=(to!("/devices/{}", device.device)) { (view.name(device.device)) }
            @if let Some(Update::Downloading { have }) = device.update {
                span.num { (fmt::int(lang, i64::from(have) * 100 / i64::from(rollout.header.size))) "%" }
            }
            (Badge::new(tone, state))
            @if device.update.is_some() { small.hint { (time_ago(lang, device.changed.0, view.now.0)) } }
            @if let Some(why) = say::why(lang, device.update) { p.advice { (why) } }
        }
    }
}

fn phase(lang: Lang, phase: Phase) -> (Tone, &'static str) {
    match phase {
        Phase::Running => (Tone::Info, t::running(lang)),
        Phase::Paused => (Tone::Warn, t::paused(lang)),
        Phase::Withdrawn => (Tone::Neutral, t::withdrawn(lang)),
        Phase::Over => (Tone::Neutral, t::over(lang)),
    }
}

fn deeds(lang: Lang, rollout: &Rollout) -> Markup {
    let id = rollout.id;
    html! {
        @if is_open(rollout) {
            div.actions {
                @if rollout.phase == Phase::Running {
                    (Button::secondary(t::pause(lang)).opens(format!("pause-{id}")))
                } @else {
                    form method="post" action=(to!("/devices/firmware/rollouts/{id}/resume")) { (Button::primary(t::go_on(lang))) }
                }
                (Button::quiet(t::withdraw(lang)).opens(format!("withdraw-{id}")))
            }
        }
    }
}

/// The questions that are asked first; outside the part that changes by itself, so that none goes while it is read.
pub(super) fn questions(lang: Lang, view: &View) -> Markup {
    let ask = |rollout: &Rollout, action: &str, title, text: &str, deed: &str| Confirm {
        lang,
        id: format!("{action}-{}", rollout.id),
        title,
        text: text.to_owned(),
        deed: deed.to_owned(),
        action: to!("/devices/firmware/rollouts/{}/{action}", rollout.id),
        fields: Vec::new(),
    };
    html! {
        @for rollout in view.rollouts.iter().filter(|r| is_open(r)) {
            @let version = rollout.header.version.as_str();
            (ask(rollout, "pause", t::pause_ask(lang, version), t::pause_text(lang), t::pause(lang)))
            (ask(rollout, "withdraw", t::withdraw_ask(lang, version), t::withdraw_text(lang), t::withdraw(lang)))
        }
    }
}

fn is_open(rollout: &Rollout) -> bool {
    matches!(rollout.phase, Phase::Running | Phase::Paused)
}
