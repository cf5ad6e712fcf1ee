//! What was refused, with the bytes: a line on the list, a part of a device's page, and a page of its own.

use axum::response::{IntoResponse, Response};
use farm::{
    Farm,
    readings::{self, Quarantined, RejectCount},
};
use farm_model::UnixMillis;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Breadcrumb, Button, EmptyState, breadcrumbs, page_head, time_ago},
    icons::Icon,
    shell::Tone,
};

use super::Ctx;
use crate::{
    address::to,
    error::Error,
    words::{self, t as w},
};

pub(crate) mod t {
    ui::texts! {
        title = "Refused messages" / "বাতিল বার্তা";
        text = "What made no sense, newest first. The bytes are kept as they came." / "যেসব বার্তা বোঝা যায়নি, নতুনটি আগে। বাইটগুলো যেমন এসেছে তেমনই রাখা।";
        look = "Look at them" / "দেখুন";
        times(n, why) = "{n} × {why}" / "{n} × {why}";
        nothing = "Nothing was refused" / "কিছুই বাতিল হয়নি";
        nothing_text = "Whatever a device sends that makes no sense is kept here." / "কোনো যন্ত্রের বার্তা বোঝা না গেলে এখানে রাখা হবে।";
    }
}

/// Sources drawn on the list.
const SOURCES: usize = 5;

/// The newest messages refused and how many there were, of one device or of everybody: a topic of which nothing made
/// sense has no device.
pub(super) struct Refused {
    messages: Vec<Quarantined>,
    counts: Vec<RejectCount>,
}

impl Refused {
    /// Those of `source`, a device's short name or a topic; of everybody when there is none.
    pub(super) async fn load(farm: &Farm, source: Option<String>) -> Result<Self, Error> {
        let read = farm.read(move |conn| {
            let mut counts = readings::reject_counts(conn)?;
            counts.retain(|c| source.as_ref().is_none_or(|source| c.source == *source));
            Ok::<_, farm::StoreError>(Self {
                messages: readings::quarantined(conn, source.as_deref(), 50)?,
                counts,
            })
        });
        Ok(read.await?)
    }

    /// Who sends what cannot be read, the last one first; a few lines.
    pub(super) fn sources(&self, lang: Lang, now: UnixMillis) -> Markup {
        let mut newest: Vec<&RejectCount> = self.counts.iter().collect();
        newest.sort_by_key(|count| std::cmp::Reverse(count.last_at));
        html! {
            @if !newest.is_empty() {
                section.section {
                    div.page-head {
                        div { h2 { (t::title(lang)) } }
                        (Button::secondary(t::look(lang)).href(to!("/devices/refused")))
                    }
                    ul.readings {
                        @for count in newest.iter().take(SOURCES) {
                            li.device-row {
                                code { (count.source) }
                                span.sensor-state { small.hint { (time_ago(lang, count.last_at.0, now.0)) } }
                                p.hint { (said(lang, count)) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Everything, as a part of a page.
    pub(super) fn section(&self, lang: Lang, now: UnixMillis) -> Markup {
        html! {
            @if !self.counts.is_empty() {
                section.section {
                    h2 { (t::title(lang)) }
                    p.hint { (t::text(lang)) }
                    (self.list(lang, now))
                }
            }
        }
    }

    fn list(&self, lang: Lang, now: UnixMillis) -> Markup {
        html! {
            ul.cluster {
                @for count in &self.counts { li { (Badge::new(Tone::Warn, said(lang, count))) } }
            }
            ul.readings {
                @for one in &self.messages {
                    li.reading-row {
                        span { (time_ago(lang, one.at.0, now.0)) " · " (words::refusal(lang, &one.reason)) }
                        code.hex { (one.source) }
                        @if let Some(text) = printable(&one.raw) { code.hex tabindex="0" { (text) } }
                        code.hex tabindex="0" { (hex(&one.raw)) }
                    }
                }
            }
        }
    }
}

fn said(lang: Lang, count: &RejectCount) -> String {
    t::times(lang, count.n, words::refusal(lang, &count.reason))
}

pub(super) async fn page(ctx: Ctx) -> Result<Response, Error> {
    let lang = ctx.lang;
    let refused = Refused::load(&ctx.web.farm, None).await?;
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: to!("/devices") }]))
        (page_head(t::title(lang), t::text(lang), &html! {}))
        @if refused.counts.is_empty() {
            (EmptyState::new(Icon::Check, t::nothing(lang), t::nothing_text(lang)))
        } @else {
            div.section { (refused.list(lang, ctx.now.wall)) }
        }
    };
    let page = ctx.page(t::title(lang), &[]).wide().body(body);
    Ok(page.render().into_response())
}

/// Bytes as text, when all of it can be shown.
fn printable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

/// Bytes in pairs of hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{byte:02X}");
        text
    })
}
