//! A farm that comes as a file: the form that sends it, and the page that says what becomes of it.

use std::time::Duration;

use axum::{
    extract::{DefaultBodyLimit, Multipart, Path, State, multipart::Field as Piece},
    handler::Handler as _,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::Name;
use hub_store::{FileError, StoreError};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Breadcrumb, Button, EmptyState, Field, breadcrumbs},
    icons::Icon,
};
use uuid::Uuid;

use super::{farms, frame};
use crate::{
    farms::{Part, Refusal, Standing},
    web::{Error, Me, Needs, Reason, Routes, Web},
};

pub(crate) mod t {
    ui::texts! {
        title = "Bring a farm as a file" / "ফাইল থেকে খামার আনুন";
        text = "A copy of a farm, as the hub's download or the farm's own machine makes it (ending in .db). It becomes a farm of its own here; the one that it was copied from stays as it is." / "খামারের একটি কপি, যা হাব থেকে নামানো বা খামারের যন্ত্রে বানানো (শেষে .db)। এখানে তা আলাদা একটি খামার হবে; যেটির কপি সেটি যেমন আছে তেমনই থাকবে।";
        file = "The farm's file" / "খামারের ফাইল";
        send = "Bring it" / "আনুন";
        sending = "Being sent" / "পাঠানো হচ্ছে";
        checking = "The file has arrived and is being checked" / "ফাইল এসেছে, যাচাই চলছে";
        checking_text = "This page looks again by itself. You may close it: the farm appears among your farms when it is ready." / "পাতাটি নিজে থেকেই আবার দেখবে। বন্ধও করতে পারেন: তৈরি হলে আপনার খামারের তালিকায় দেখা যাবে।";
        look = "Look again" / "আবার দেখুন";
        forgotten = "Nothing is known of this file any more" / "এই ফাইলের খবর আর নেই";
        forgotten_text = "What became of a file is told for an hour, and less when many are sent. See whether the farm is among yours; if not, send the file again." / "ফাইলের কী হলো তা এক ঘণ্টা দেখা যায়, অনেক ফাইল এলে আরও কম। আপনার খামারের তালিকায় আছে কি না দেখুন; না থাকলে ফাইলটি আবার পাঠান।";
        refused = "The farm was not brought" / "খামার আনা হয়নি";
        another = "Try another file" / "অন্য ফাইল দিন";
        no_file = "Choose the farm's file." / "খামারের ফাইলটি বেছে নিন।";
        not_a_farm = "This is no farm's file. Choose a file that was downloaded at a hub or copied on a farm's machine." / "এটি খামারের ফাইল নয়। হাব থেকে নামানো বা খামারের যন্ত্রে কপি করা ফাইল দিন।";
        newer = "A newer version wrote this file. Ask whoever runs this hub to update it, then send the file again." / "ফাইলটি নতুন সংস্করণে তৈরি। যিনি হাব চালান তাঁকে হালনাগাদ করতে বলুন, তারপর আবার পাঠান।";
        damaged = "The file is damaged. Make or download the copy again, and send that one." / "ফাইলটি নষ্ট। আবার কপি করুন বা নামান, তারপর সেটি পাঠান।";
        too_large(mb) = "The file is larger than this hub takes: at most {mb} MB. Ask whoever runs it to allow more." / "ফাইলটি বেশি বড়: এই হাব সর্বোচ্চ {mb} মেগাবাইট নেয়। যিনি হাব চালান তাঁকে সীমা বাড়াতে বলুন।";
        no_room = "The hub has no room for this file. Ask whoever runs it to free some, then send it again." / "হাবে এই ফাইলের জায়গা নেই। যিনি হাব চালান তাঁকে জায়গা করতে বলুন, তারপর আবার পাঠান।";
        cut_short = "The file did not arrive whole. Look at your connection and send it again." / "ফাইলটি পুরো আসেনি। সংযোগ দেখে আবার পাঠান।";
        trouble = "The hub could not take the file. Try again; if it stays so, tell whoever runs it." / "হাব ফাইলটি নিতে পারেনি। আবার চেষ্টা করুন; না হলে যিনি হাব চালান তাঁকে জানান।";
    }
}

/// Where the file is sent. It may take as long as its pieces keep coming.
pub(crate) const UPLOAD: &str = "/new/file";
/// Bytes of a field that somebody writes at most.
const WRITTEN: usize = 4096;
/// Bytes of a refused file that are still read.
const DRAINED: usize = 256_000_000;
/// How long the next piece may take.
const STALL: Duration = Duration::from_secs(60);

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(Needs::TwoFactors, UPLOAD, form)
        .post(
            Needs::TwoFactors,
            UPLOAD,
            take.layer(DefaultBodyLimit::disable()),
        )
        .get(Needs::TwoFactors, "/new/file/{import}", standing)
}

async fn form(headers: HeaderMap, me: Me) -> Markup {
    draw(frame::lang_of(&headers), &headers, &me, &Typed::default())
}

async fn take(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    form: Multipart,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let mut typed = Typed::default();
    match receive(&web, form, lang, &mut typed).await? {
        Some((part, name)) => {
            let id = web.farms.import(part, me.account.clone(), name);
            Ok(Redirect::to(&format!("{UPLOAD}/{id}")).into_response())
        }
        None => Ok(typed.answer(draw(lang, &headers, &me, &typed))),
    }
}

/// The file and the farm's name; nothing when one of them cannot be taken, which is noted then.
async fn receive(
    web: &Web,
    mut form: Multipart,
    lang: Lang,
    typed: &mut Typed,
) -> Result<Option<(Part, Name)>, Error> {
    let malformed = |error| Error::from(Reason::Malformed).because(error);
    let mut name = None;
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        match (field.name(), &name) {
            (Some("name"), _) => {
                let text = written(field).await?;
                name = Name::new(text.trim()).ok();
                typed.set("name", text);
                if name.is_none() {
                    typed.wrong("name", farms::t::bad_name(lang));
                    return Ok(None);
                }
            }
            (Some("file"), Some(name)) if field.file_name().is_some_and(|f| !f.is_empty()) => {
                let most = web.options.import_most;
                let part = web.farms.receive(most).ok_or(Reason::Busy)?;
                match store(part, field).await? {
                    Ok(part) => return Ok(Some((part, name.clone()))),
                    Err(why) => typed.wrong("file", words(lang, why, most)),
                }
                drain(&mut form).await;
                return Ok(None);
            }
            _ => {}
        }
    }
    typed.wrong("file", t::no_file(lang));
    Ok(None)
}

/// What somebody wrote: the form as a whole has no limit, because a farm's file comes with it.
async fn written(mut field: Piece<'_>) -> Result<String, Error> {
    let malformed = |error| Error::from(Reason::Malformed).because(error);
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(malformed)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > WRITTEN {
            return Err(Reason::TooLarge.into());
        }
    }
    String::from_utf8(bytes).map_err(|error| Error::from(Reason::Malformed).because(error))
}

/// Reads on for a while after a refusal: a browser hears no answer while it still sends.
async fn drain(form: &mut Multipart) {
    let rest = async {
        let mut left = DRAINED;
        while let Ok(Some(mut field)) = form.next_field().await {
            while let Ok(Some(piece)) = field.chunk().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    return;
                }
            }
        }
    };
    // Whoever sends on for longer may miss the answer.
    let _ = tokio::time::timeout(STALL, rest).await;
}

/// Writes what comes to the disk.
async fn store(
    part: Result<Part, Refusal>,
    mut field: Piece<'_>,
) -> Result<Result<Part, Refusal>, Error> {
    let mut part = match part {
        Ok(part) => part,
        Err(why) => return Ok(Err(why)),
    };
    loop {
        let Ok(Ok(piece)) = tokio::time::timeout(STALL, field.chunk()).await else {
            return Ok(Err(Refusal::CutShort));
        };
        let Some(piece) = piece else {
            return Ok(Ok(part));
        };
        let written = tokio::task::spawn_blocking(move || part.write(&piece).map(|()| part));
        match written
            .await
            .map_err(|_| StoreError::from(FileError::Panicked))?
        {
            Ok(written) => part = written,
            Err(why) => return Ok(Err(why)),
        }
    }
}

async fn standing(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    Path(import): Path<Uuid>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let standing = web.farms.standing(import, me.account.id);
    let is_forgotten = standing.is_none();
    let (icon, title, text, button) = match standing {
        None => (
            Icon::Warning,
            t::forgotten(lang),
            t::forgotten_text(lang).to_owned(),
            Button::primary(frame::t::my_farms(lang)).href("/"),
        ),
        Some(Standing::Taken(slug)) => {
            return Ok(Redirect::to(&format!("/manage/{slug}")).into_response());
        }
        Some(Standing::Checking) => (
            Icon::Clock,
            t::checking(lang),
            t::checking_text(lang).to_owned(),
            Button::secondary(t::look(lang)).href(format!("{UPLOAD}/{import}")),
        ),
        Some(Standing::Refused(why)) => (
            Icon::Warning,
            t::refused(lang),
            words(lang, why, web.options.import_most),
            Button::primary(t::another(lang)).href(UPLOAD),
        ),
    };
    let page = frame::page(lang, &headers, &me, t::title(lang), UPLOAD).narrow();
    let body = EmptyState::new(icon, title, text).action(button);
    let mut response = page.body(html! { (body) }).render().into_response();
    if is_forgotten {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if icon == Icon::Clock {
        let soon = HeaderValue::from_static("2");
        response.headers_mut().insert(header::REFRESH, soon);
    } else {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn words(lang: Lang, why: Refusal, most: u64) -> String {
    match why {
        Refusal::NotAFarm => t::not_a_farm(lang).to_owned(),
        Refusal::Newer => t::newer(lang).to_owned(),
        Refusal::Damaged => t::damaged(lang).to_owned(),
        Refusal::TooLarge => {
            let mb = i64::try_from(most / 1_000_000).unwrap_or(i64::MAX);
            t::too_large(lang, mb)
        }
        Refusal::NoRoom => t::no_room(lang).to_owned(),
        Refusal::CutShort => t::cut_short(lang).to_owned(),
        Refusal::Trouble => t::trouble(lang).to_owned(),
    }
}

fn draw(lang: Lang, headers: &HeaderMap, me: &Me, typed: &Typed) -> Markup {
    let back = Breadcrumb {
        label: frame::t::my_farms(lang).to_owned(),
        href: "/".to_owned(),
    };
    let name = Field::text("name", farms::t::name(lang)).hint(farms::t::name_hint(lang));
    let why = typed.why("file");
    let body = html! {
        (breadcrumbs(lang, &[back]))
        form.form #bring method="post" action=(UPLOAD) enctype="multipart/form-data" data-upload="#bring" {
            h1 { (t::title(lang)) }
            p { (t::text(lang)) }
            (typed.field("name", name.required()))
            div.field {
                label for="f-file" { (t::file(lang)) }
                input #f-file type="file" name="file" accept=".db" required
                    aria-describedby=[why.map(|_| "f-file-error")] aria-invalid=[why.map(|_| "true")];
                @if let Some(why) = why { p.error id="f-file-error" role="alert" { (Icon::Warning) span { (why) } } }
            }
            progress.upload max="1000" value="0" hidden aria-label=(t::sending(lang)) {}
            (Button::primary(t::send(lang)).icon(Icon::Up).big().wide())
        }
    };
    let page = frame::page(lang, headers, me, t::title(lang), UPLOAD);
    page.narrow().body(body).render()
}
