//! The frame around every page of the hub, and what several pages say.

use axum::http::HeaderMap;
use farm_web::common::{chosen, theme_of};
use hub_accounts::Role;
use hub_store::Micros;
use maud::{Markup, html};
use ui::{
    Lang,
    components::time_ago,
    icons::Icon,
    shell::{NavItem, Page, User},
};

use crate::web::Me;

pub(crate) mod t {
    ui::texts! {
        hub = "Khamar" / "খামার";
        my_farms = "All my farms" / "আমার সব খামার";
        my_account = "My account" / "আমার অ্যাকাউন্ট";
        role_read_only = "Read only" / "শুধু দেখা";
        role_worker = "Worker" / "কর্মী";
        role_vet = "Vet" / "পশু চিকিৎসক";
        role_manager = "Manager" / "ম্যানেজার";
        role_owner = "Owner" / "মালিক";
        never_heard = "never heard" / "এখনো সাড়া আসেনি";
        last_heard = "last heard" / "শেষ সাড়া";
    }
}

/// The language chosen at this device, else what its browser asks for: who comes to the hub chose their own browser.
pub(crate) fn lang_of(headers: &HeaderMap) -> Lang {
    chosen(headers).unwrap_or_else(|| {
        let asked = headers.get(axum::http::header::ACCEPT_LANGUAGE);
        Lang::from_accept_language(asked.and_then(|v| v.to_str().ok()).unwrap_or_default())
    })
}

/// A page for whoever it is.
pub(crate) fn bare(lang: Lang, headers: &HeaderMap, title: &str, path: &str) -> Page {
    Page::new(lang, title)
        .brand(t::hub(lang))
        .theme(theme_of(headers))
        .preferences("/preferences")
        .path(path)
}

/// The page with the menu of somebody who is logged in.
pub(crate) fn dressed(page: Page, lang: Lang, me: &Me, path: &str) -> Page {
    page.path(path)
        .nav(vec![
            NavItem::new("/", t::my_farms(lang), Icon::Herd),
            NavItem::new("/account", t::my_account(lang), Icon::Person),
        ])
        .user(User {
            name: me.account.name.clone(),
            role: me.account.email.clone(),
            log_out: "/logout".to_owned(),
        })
}

/// A page in the hub's frame for somebody who is logged in.
pub(crate) fn page(lang: Lang, headers: &HeaderMap, me: &Me, title: &str, path: &str) -> Page {
    dressed(bare(lang, headers, title, path), lang, me, path)
}

/// What a role is called.
pub(crate) fn role(lang: Lang, role: Role) -> &'static str {
    match role {
        Role::ReadOnly => t::role_read_only(lang),
        Role::Worker => t::role_worker(lang),
        Role::Vet => t::role_vet(lang),
        Role::Manager => t::role_manager(lang),
        Role::Owner => t::role_owner(lang),
    }
}

/// How fresh a farm is.
pub(crate) fn heard(lang: Lang, at: Option<Micros>, now: Micros) -> Markup {
    html! {
        @match at {
            Some(at) => { (t::last_heard(lang)) " " (time_ago(lang, at.millis(), now.millis())) },
            None => { (t::never_heard(lang)) },
        }
    }
}
