//! What an owner may do with the farm's data at the hub: take it along, or have it deleted.

use std::fs::File;

use ::farm::{
    Farm,
    backup::{self, CopyError},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::{Actor, Role, audit, ids::SessionId, removal};
use hub_store::{FileError, StoreError};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use tokio_util::io::ReaderStream;
use ui::{
    Lang,
    components::{Button, Field, form_error, section},
    fmt,
    icons::Icon,
};

use super::{account, farm, frame};
use crate::web::{Error, Here, Me, Needs, Peer, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        export = "Take the farm along" / "খামারের তথ্য সঙ্গে নিন";
        export_text = "One file with everything the hub knows of the farm: an SQLite database that any program can read and that a machine of the farm can start from. Keep it where nobody else may read it." / "হাব খামার সম্পর্কে যা জানে সব এক ফাইলে: একটি SQLite ডেটাবেস, যা যেকোনো প্রোগ্রাম পড়তে পারে এবং খামারের যন্ত্র যা থেকে শুরু করতে পারে। এমন জায়গায় রাখুন যেখানে অন্য কেউ পড়তে পারবে না।";
        download = "Download" / "নামান";
        remove = "Delete the farm at the hub" / "হাব থেকে খামার মুছে ফেলুন";
        remove_text(days) = "After {days} days the hub forgets this farm: its records, members and codes. Until then it can be kept. What is on the farm's own machine stays there." / "{days} দিন পরে হাব এই খামার ভুলে যাবে: তথ্য, সদস্য ও কোড। তার আগে রেখে দেওয়া যাবে। খামারের নিজের যন্ত্রে যা আছে তা থাকবে।";
        type_name(name) = "Type the farm's name: {name}" / "খামারের নাম লিখুন: {name}";
        name_differs = "This is not the farm's name. Type it as it is written above." / "এটি খামারের নাম নয়। উপরে যেমন আছে তেমন লিখুন।";
        password = "Your password" / "আপনার পাসওয়ার্ড";
        going(date) = "This farm will be deleted at the hub on {date}." / "এই খামার {date} তারিখে হাব থেকে মুছে যাবে।";
        keep = "Keep the farm" / "খামার রেখে দিন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Member(Role::Owner);
    routes
        .get(owner, "/manage/{slug}/data", page)
        .get(owner, "/manage/{slug}/export", export)
        .post(owner, "/manage/{slug}/delete", delete)
        .post(owner, "/manage/{slug}/keep", keep)
}

async fn page(headers: HeaderMap, me: Me, here: Here) -> Markup {
    show(&headers, &me, &here, &Typed::default())
}

fn show(headers: &HeaderMap, me: &Me, here: &Here, typed: &Typed) -> Markup {
    let lang = frame::lang_of(headers);
    let body = html! {
        (export_link(lang, here))
        @if here.farm.goes.is_none() { (removal_form(lang, here, typed)) }
    };
    farm::framed(lang, headers, me, here, "/data", &body)
}

/// A copy of the farm's file, which is gone from here when it is read.
async fn export(State(web): State<Web>, me: Me, here: Here) -> Result<Response, Error> {
    let open = web.farms.open(here.farm.id).await?;
    let copied = tokio::task::spawn_blocking(move || copy(&open.farm)).await;
    let file = copied
        .map_err(|_| StoreError::from(FileError::Panicked))?
        .map_err(|error| Error::from(Reason::Internal).because(error))?;
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| {
            let by = Actor::Account(by);
            audit::record(tx, by, Some(farm), "farm.export", &farm.to_string(), "")
        })
        .await?;
    let name = format!("attachment; filename=\"{}.db\"", here.farm.slug);
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
    let kind = "application/vnd.sqlite3";
    Ok((
        [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_DISPOSITION, &name),
        ],
        body,
    )
        .into_response())
}

/// Makes the copy beside the farm's file, and opens it without its name.
fn copy(farm: &Farm) -> Result<File, ExportError> {
    let name = format!("export-{}.tmp", SessionId::new());
    let path = farm.path().with_file_name(name);
    backup::copy(farm.path(), &path)?;
    let file = File::open(&path);
    std::fs::remove_file(&path)?;
    Ok(file?)
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error("the copy cannot be read")]
    Read(#[from] std::io::Error),
}

async fn delete(
    State(web): State<Web>,
    headers: HeaderMap,
    peer: Peer,
    me: Me,
    here: Here,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    if typed.text("name") != here.farm.name {
        typed.wrong("name", t::name_differs(lang));
    } else if !account::is_mine(&web, peer, &me, typed.text("password")).await? {
        typed.wrong("password", account::t::wrong(lang));
    }
    if !typed.is_right() {
        return Ok(typed.answer(show(&headers, &me, &here, &typed)));
    }
    let (by, farm) = (me.account.id, here.farm.clone());
    web.store
        .write(move |tx| removal::ask(tx, by, &farm))
        .await?;
    Ok(Redirect::to(&here.path()).into_response())
}

async fn keep(State(web): State<Web>, me: Me, here: Here) -> Result<Redirect, Error> {
    let (by, farm) = (me.account.id, here.farm.clone());
    web.store
        .write(move |tx| removal::keep(tx, by, &farm))
        .await?;
    Ok(Redirect::to(&here.path()))
}

/// Above each page of a farm that goes: when, and how to keep it.
pub(crate) fn warning(lang: Lang, here: &Here) -> Markup {
    let Some(goes) = here.farm.goes else {
        return html! {};
    };
    let date = jiff::Timestamp::from_microsecond(goes.0).unwrap_or_default();
    let date = fmt::date(lang, date.to_zoned(TimeZone::UTC).date());
    html! {
        (form_error(&t::going(lang, date)))
        @if here.role == Role::Owner {
            form method="post" action={ (here.path()) "/keep" } { (Button::secondary(t::keep(lang)).icon(Icon::Undo)) }
        }
    }
}

fn export_link(lang: Lang, here: &Here) -> Markup {
    let link = html! {
        p { (t::export_text(lang)) }
        a.button.secondary href={ (here.path()) "/export" } download { (Icon::Download) span { (t::download(lang)) } }
    };
    section(t::export(lang), &link)
}

fn removal_form(lang: Lang, here: &Here, typed: &Typed) -> Markup {
    let password = Field::password("password", t::password(lang)).autocomplete("current-password");
    let form = html! {
        form.form method="post" action={ (here.path()) "/delete" } {
            p { (t::remove_text(lang, removal::GRACE_S / 86_400)) }
            (typed.field("name", Field::text("name", t::type_name(lang, &here.farm.name)).required()))
            (typed.secret("password", password.required()))
            (Button::danger(t::remove(lang)).icon(Icon::Bin))
        }
    };
    section(t::remove(lang), &form)
}
