//! Where the code that a phone scanned leads: to what has to be done with it at the farm.
//!
//! The code stands behind the `#` of the address, which no browser sends: whoever scans it needs no log-in, and no log has it.

use axum::http::HeaderMap;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, copyable_here},
};

use super::frame;
use crate::web::{Needs, Routes};

pub(crate) mod t {
    ui::texts! {
        title = "Connect the farm's machine" / "খামারের যন্ত্র যুক্ত করুন";
        text = "This link holds the code that connects the machine on the farm with this hub. It works once." / "এই লিংকে খামারের যন্ত্রকে এই হাবের সঙ্গে যুক্ত করার কোড আছে। একবারই চলে।";
        copy = "Copy the link: this page's whole address." / "লিংকটি কপি করুন: এই পাতার পুরো ঠিকানা।";
        open = "In the farm's own network, open the machine's pages: the address at which the farm is recorded every day." / "খামারের নিজের নেটওয়ার্কে যন্ত্রের পাতা খুলুন: যে ঠিকানায় রোজ খামারের হিসাব লেখা হয়।";
        paste = "There the owner opens Hub, pastes the link and connects." / "সেখানে মালিক হাব পাতায় লিংকটি বসিয়ে যুক্ত করবেন।";
        to_hub = "To the hub" / "হাবে যান";
    }
}

/// The path of this page.
const PATH: &str = "/connect";

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get(Needs::Nothing, PATH, page)
}

/// What is scanned.
pub(crate) fn link(hub: &str, code: &str) -> String {
    format!("{hub}{PATH}#{code}")
}

async fn page(headers: HeaderMap) -> Markup {
    let lang = frame::lang_of(&headers);
    let page = frame::bare(lang, &headers, t::title(lang), PATH);
    page.narrow().body(body(lang)).render()
}

fn body(lang: Lang) -> Markup {
    html! {
        h1 { (t::title(lang)) }
        p { (t::text(lang)) }
        ol.steps {
            li { (t::copy(lang)) (copyable_here(lang, "claim-link")) }
            li { (t::open(lang)) }
            li { (t::paste(lang)) }
        }
        div.actions { (Button::quiet(t::to_hub(lang)).href("/")) }
    }
}
