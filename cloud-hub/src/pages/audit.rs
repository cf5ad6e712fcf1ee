//! Who did what on a farm, newest first.

use axum::{
    extract::{Query, State},
    http::HeaderMap,
};
use hub_accounts::{
    AccountId, Role,
    audit::{self, Entry},
    members::{self, Member},
};
use hub_store::{Micros, StoreError};
use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Column, Row, Table, section},
    fmt,
};

use super::{farm, frame};
use crate::web::{Error, Here, Me, Needs, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        title = "History" / "ইতিহাস";
        heading = "Who did what" / "কে কী করেছেন";
        text = "Kept for good; each entry is chained to the one before, so that a change would be found." / "সব সময়ের জন্য রাখা হয়; প্রতিটি লেখা আগেরটির সঙ্গে বাঁধা, তাই বদলালে ধরা পড়ে।";
        when = "When (UTC)" / "কখন (UTC)";
        who = "Who" / "কে";
        what = "What" / "কী";
        detail = "More" / "বিস্তারিত";
        machine(id) = "Machine {id}" / "যন্ত্র {id}";
        operator = "Operator of the hub" / "হাবের পরিচালক";
        hub = "The hub" / "হাব";
        former = "Somebody who left" / "প্রাক্তন সদস্য";
        farm_add = "Added the farm" / "খামার যোগ করেছেন";
        farm_import = "Brought the farm as a file" / "ফাইল থেকে খামার এনেছেন";
        farm_removal = "Asked to delete the farm" / "খামার মুছতে বলেছেন";
        farm_kept = "Kept the farm" / "খামার রেখে দিয়েছেন";
        farm_export = "Downloaded the farm" / "খামারের তথ্য নামিয়েছেন";
        claim_make = "Made a code for a machine" / "যন্ত্রের কোড বানিয়েছেন";
        claim_withdraw = "Withdrew a code" / "কোড বাতিল করেছেন";
        claim_use = "Was connected" / "যুক্ত হয়েছে";
        site_revoke = "Cut a machine off" / "যন্ত্র বিচ্ছিন্ন করেছেন";
        key_rotate = "Changed its key" / "চাবি বদলেছে";
        member_role = "Changed a role" / "দায়িত্ব বদলেছেন";
        member_remove = "Took a member out" / "সদস্য বাদ দিয়েছেন";
        invitation_make = "Invited somebody" / "আমন্ত্রণ দিয়েছেন";
        invitation_withdraw = "Withdrew an invitation" / "আমন্ত্রণ বাতিল করেছেন";
        invitation_accept = "Accepted the invitation" / "আমন্ত্রণ গ্রহণ করেছেন";
    }
}

/// Entries of a page.
const PAGE: i64 = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get(Needs::Member(Role::Manager), "/manage/{slug}/audit", page)
}

#[derive(Deserialize)]
struct Where {
    before: Option<i64>,
}

async fn page(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    Query(at): Query<Where>,
) -> Result<Markup, Error> {
    let lang = frame::lang_of(&headers);
    let id = here.farm.id;
    let (entries, people) = web
        .store
        .read(move |tx| {
            let entries = audit::of_farm(tx, id, at.before, PAGE)?;
            Ok::<_, StoreError>((entries, members::list(tx, id)?))
        })
        .await?;
    let more = (entries.len() as i64 == PAGE)
        .then(|| entries.last())
        .flatten();
    let next = more.map(|entry| format!("?before={}", entry.seq));
    let today = utc(web.store.now()).date();
    let table = table(lang, &entries, &people, today).pager(None, next);
    let body = section(t::heading(lang), &html! { p { (t::text(lang)) } (table) });
    Ok(farm::framed(lang, &headers, &me, &here, "/audit", &body))
}

/// A moment in UTC.
fn utc(at: Micros) -> DateTime {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).datetime()
}

fn table(lang: Lang, entries: &[Entry], people: &[Member], today: Date) -> Table {
    let columns = [t::when(lang), t::who(lang), t::what(lang), t::detail(lang)];
    let columns = columns.into_iter().map(Column::new).collect();
    let rows = entries.iter().map(|entry| {
        let at = fmt::date_time(lang, utc(entry.at), today);
        Row::new(vec![
            html! { (at) },
            html! { (who(lang, &entry.actor, people)) },
            html! { (what(lang, &entry.action)) },
            html! { (detail(lang, entry, people)) },
        ])
    });
    Table::new(lang, t::heading(lang), columns).rows(rows.collect())
}

/// The one who did it, by name where they still belong to the farm.
fn who(lang: Lang, actor: &str, people: &[Member]) -> String {
    match actor.split_once(':') {
        Some(("account", id)) => person(lang, id, people),
        Some(("site", id)) => t::machine(lang, farm::tail(id)),
        _ if actor == "command-line" => t::operator(lang).to_owned(),
        _ => t::hub(lang).to_owned(),
    }
}

fn person(lang: Lang, id: &str, people: &[Member]) -> String {
    let id: Option<AccountId> = id.parse().ok();
    let known = people.iter().find(|p| Some(p.account.id) == id);
    known.map_or_else(|| t::former(lang).to_owned(), |p| p.account.name.clone())
}

/// What was done, in words; an action that has none keeps its name.
fn what(lang: Lang, action: &str) -> String {
    let words = match action {
        "farm.add" => t::farm_add(lang),
        "farm.import" => t::farm_import(lang),
        "farm.removal" => t::farm_removal(lang),
        "farm.kept" => t::farm_kept(lang),
        "farm.export" => t::farm_export(lang),
        "claim.make" => t::claim_make(lang),
        "claim.withdraw" => t::claim_withdraw(lang),
        "claim.use" => t::claim_use(lang),
        "site.revoke" => t::site_revoke(lang),
        "key.rotate" => t::key_rotate(lang),
        "member.role" => t::member_role(lang),
        "member.remove" => t::member_remove(lang),
        "invitation.make" => t::invitation_make(lang),
        "invitation.withdraw" => t::invitation_withdraw(lang),
        "invitation.accept" => t::invitation_accept(lang),
        other => other,
    };
    words.to_owned()
}

/// To whom or what, and how.
fn detail(lang: Lang, entry: &Entry, people: &[Member]) -> String {
    let subject = match entry.action.as_str() {
        "member.role" | "member.remove" => person(lang, &entry.subject, people),
        "invitation.make" | "invitation.withdraw" => entry.subject.clone(),
        "site.revoke" => t::machine(lang, farm::tail(&entry.subject)),
        _ => String::new(),
    };
    let role = Role::from_key(&entry.detail).map(|role| frame::role(lang, role));
    match (subject.as_str(), role) {
        ("", role) => role.unwrap_or("–").to_owned(),
        (_, None) => subject,
        (_, Some(role)) => format!("{subject}: {role}"),
    }
}
