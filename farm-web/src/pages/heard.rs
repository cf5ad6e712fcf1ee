//! The line that a host shows above a farm's pages: when the farm was last heard, so that nobody takes old numbers for new.

use farm::Farm;
use farm_model::{Clock as _, UnixMillis};
use maud::{Markup, html};
use ui::{Lang, components::time_ago, icons::Icon};

use crate::{live::Fragment, mount::Mount};

pub(crate) mod t {
    ui::texts! {
        all_farms = "All my farms" / "আমার সব খামার";
        up_to_date = "Up to date with the farm" / "খামারের সঙ্গে মিল আছে";
        last_heard = "The farm was last heard" / "খামারের শেষ খবর";
        as_of_then = "Numbers are as of then." / "সংখ্যাগুলো তখনকার।";
        never_heard = "The farm was never heard yet. Connect its appliance to the hub." / "খামারের কোনো খবর এখনো আসেনি। যন্ত্রটি হাবের সঙ্গে যুক্ত করুন।";
        only_look = "You may look at this farm, not change it." / "এই খামার আপনি শুধু দেখতে পারেন, বদলাতে পারেন না।";
    }
}

/// A farm that was heard within this time is said to be up to date.
const FRESH_MS: i64 = 120_000;

/// The line, for whoever looks at a host; nothing at the farm itself.
pub(crate) fn fragments(farm: &Farm, mount: Option<&Mount>, lang: Lang) -> Vec<Fragment> {
    let line = mount.map(|mount| {
        let now = farm.clock().now().wall;
        Fragment::new("heard", line(lang, mount.host.heard(), now))
    });
    line.into_iter().collect()
}

/// When the farm was last heard, in words.
pub(crate) fn line(lang: Lang, heard: Option<UnixMillis>, now: UnixMillis) -> Markup {
    html! {
        p #heard role="status" {
            @match heard {
                Some(at) if now.since(at) < FRESH_MS => { (Icon::CheckRing) span { (t::up_to_date(lang)) } },
                Some(at) => {
                    (Icon::Clock)
                    span { (t::last_heard(lang)) " " (time_ago(lang, at.0, now.0)) (full_stop(lang)) " " (t::as_of_then(lang)) }
                },
                None => { (Icon::WifiOff) span { (t::never_heard(lang)) } },
            }
        }
    }
}

fn full_stop(lang: Lang) -> &'static str {
    match lang {
        Lang::En => ".",
        Lang::Bn => "।",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_numbers_say_how_old_they_are() {
        let now = UnixMillis(1_795_135_200_000);
        let said = |ago: i64| line(Lang::En, Some(UnixMillis(now.0 - ago)), now).into_string();
        assert!(said(5_000).contains("Up to date"));
        assert!(said(2 * 3_600_000).contains("2 hours ago</time>. Numbers are as of then."));
        assert!(
            line(Lang::Bn, None, now)
                .into_string()
                .contains("খবর এখনো আসেনি")
        );
    }
}
