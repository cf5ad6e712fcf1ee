//! Who runs what, by version; and which channel each device is on.

use farm::firmware::Running;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, Column, Row, Table, time_ago},
};

use super::View;
use crate::address::to;

pub(crate) mod t {
    ui::texts! {
        running = "Who runs what" / "কোন যন্ত্রে কী চলছে";
        nobody = "No device has told its firmware yet. Nodes tell it when they start." / "কোনো যন্ত্র এখনো ফার্মওয়্যার জানায়নি। চালু হলে জানায়।";
        device = "Device" / "যন্ত্র";
        version = "Version" / "সংস্করণ";
        hardware = "Hardware" / "ধরন";
        channel = "Channel" / "চ্যানেল";
        told = "Told" / "জানিয়েছে";
        change = "Change the channel" / "চ্যানেল বদলান";
    }
}

pub(super) fn section(lang: Lang, view: &View) -> Markup {
    let mut running: Vec<&Running> = view.running.iter().collect();
    running.sort_by(|a, b| (&a.hardware, &a.version).cmp(&(&b.hardware, &b.version)));
    let columns = vec![
        Column::new(t::device(lang)),
        Column::new(t::version(lang)),
        Column::new(t::hardware(lang)),
        Column::new(t::told(lang)),
        Column::new(t::channel(lang)),
    ];
    let rows = running.iter().map(|r| row(lang, r, view)).collect();
    html! {
        section.section #firmware-running {
            h2 { (t::running(lang)) }
            @if running.is_empty() { p.hint { (t::nobody(lang)) } }
            @else { (Table::new(lang, t::running(lang), columns).rows(rows)) }
        }
    }
}

fn row(lang: Lang, running: &Running, view: &View) -> Row {
    let text = |value: &Option<String>| html! { (value.as_deref().unwrap_or("–")) };
    let told = html! {
        @match running.greeted { Some(at) => (time_ago(lang, at.0, view.now.0)), None => "–" }
    };
    let id = running.device.id;
    let channel = html! {
        details.fold id={ "channel-" (id) } {
            summary { (running.channel) }
            form.cluster method="post" action=(to!("/devices/firmware/channel")) {
                input type="hidden" name="device" value=(id);
                input id={ "f-channel-" (id) } name="channel" value=(running.channel) aria-label=(t::channel(lang))
                    maxlength="32" required list="channels" autocomplete="off";
                (Button::secondary(t::change(lang)))
            }
        }
    };
    Row::new(vec![
        html! { (running.device.name) },
        text(&running.version),
        text(&running.hardware),
        told,
        channel,
    ])
    .href(to!("/devices/{id}"))
}
