//! Firmware: which images there are, how far each rollout is, who runs what; adding an image and offering it.

mod images;
mod rollouts;
mod running;
mod say;

use axum::{
    body::Bytes,
    extract::{Form, Multipart, Path, State, multipart::MultipartError},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use farm::{
    Farm, StoreError, devices,
    firmware::{self, AddError, Batch, FirmwareError, Image, Rollout, Running},
};
use farm_firmware::{ImageError, Label, MAX_FILE, Rules};
use farm_model::{Clock as _, Device, DeviceId, UnixMillis, staff::Role};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{Breadcrumb, breadcrumbs},
    fmt,
};

use super::{Ctx, context::Done};
use crate::{
    access::{Needs, Routes},
    address::to,
    app::Web,
    auth::Me,
    error::{Error, Reason},
    live::{Fragment, Topic},
    words::t as w,
};

pub(crate) mod t {
    ui::texts! {
        firmware = "Firmware" / "ফার্মওয়্যার";
        intro = "New firmware goes to one device first. The others follow when it has run well for a while; if a device does badly, no other is offered it." / "নতুন ফার্মওয়্যার আগে একটি যন্ত্রে যায়। সেটি কিছুক্ষণ ভালো চললে বাকিগুলোয় যায়; কোনোটিতে সমস্যা হলে আর কোথাও দেওয়া হয় না।";
        none_here = "Updates are not set up on this machine." / "এই যন্ত্রে আপডেটের ব্যবস্থা নেই।";
    }
}

const MANAGER: Needs = Needs::Role(Role::Manager);

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/firmware", page)
        .post_up_to(MAX_FILE + 64 * 1024, MANAGER, "/devices/firmware", add)
        .post(MANAGER, "/devices/firmware/channel", set_channel)
        .post(MANAGER, "/devices/firmware/images/{image}/offer", offer)
        .post(MANAGER, "/devices/firmware/images/{image}/remove", remove)
        .post(MANAGER, "/devices/firmware/rollouts/{rollout}/pause", pause)
        .post(
            MANAGER,
            "/devices/firmware/rollouts/{rollout}/resume",
            resume,
        )
        .post(
            MANAGER,
            "/devices/firmware/rollouts/{rollout}/withdraw",
            withdraw,
        )
}

/// What is known of firmware.
struct View {
    images: Vec<Image>,
    rollouts: Vec<Rollout>,
    running: Vec<Running>,
    devices: Vec<Device>,
    now: UnixMillis,
}

impl View {
    async fn load(farm: &Farm, rules: Rules) -> Result<Self, Error> {
        let now = farm.clock().now();
        let parlour = farm.live().parlour();
        let view = farm.read(move |conn| {
            let milking = firmware::is_milking(conn, &parlour, now)?;
            Ok::<_, StoreError>(Self {
                images: firmware::images(conn)?,
                rollouts: firmware::rollouts(conn, &rules, milking, now)?,
                running: firmware::running(conn)?,
                devices: devices::list(conn)?,
                now: now.wall,
            })
        });
        Ok(view.await?)
    }

    /// What people call a device.
    fn name(&self, id: DeviceId) -> &str {
        let device = self.devices.iter().find(|d| d.id == id);
        device.map_or("–", |d| d.name.as_str())
    }
}

/// The parts that change by themselves.
pub(crate) async fn fragments(
    farm: &Farm,
    rules: Rules,
    lang: Lang,
) -> Result<Vec<Fragment>, Error> {
    let view = View::load(farm, rules).await?;
    Ok(vec![
        Fragment::new("firmware-rollouts", rollouts::section(lang, &view)),
        Fragment::new("firmware-running", running::section(lang, &view)),
    ])
}

async fn page(ctx: Ctx) -> Result<Response, Error> {
    draw(&ctx, None).await
}

async fn draw(ctx: &Ctx, refused: Option<String>) -> Result<Response, Error> {
    let lang = ctx.lang;
    let view = View::load(&ctx.web.farm, ctx.web.options.rules()).await?;
    let shelf = ctx.web.options.firmware.as_ref().map(|f| &f.shelf);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: w::devices(lang).into(), href: to!("/devices") }]))
        h1 { (t::firmware(lang)) }
        p { (t::intro(lang)) }
        (rollouts::section(lang, &view))
        (rollouts::questions(lang, &view))
        (images::section(lang, &view))
        @match shelf {
            Some(shelf) => (images::add_form(lang, shelf, refused)),
            None => p.hint { (t::none_here(lang)) },
        }
        (running::section(lang, &view))
    };
    let page = ctx.page(t::firmware(lang), &[Topic::Firmware]);
    Ok(page.wide().body(body).render().into_response())
}

/// Takes in an uploaded file; one that is refused is answered with the page, which says why.
async fn add(ctx: Ctx, form: Multipart) -> Result<Response, Error> {
    let Some(firmware) = ctx.web.options.firmware.clone() else {
        return Err(Reason::NoHardware.into());
    };
    let (name, bytes) = match file_of(form).await {
        Ok(file) => file.ok_or_else(|| Error::invalid("file: none was sent"))?,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let why = say::refusal(ctx.lang, ImageError::TooLarge).to_owned();
            return Ok((error.status(), draw(&ctx, Some(why)).await?).into_response());
        }
        Err(error) => return Err(Error::from(Reason::Malformed).because(error)),
    };
    let (farm, actor) = (ctx.web.farm.clone(), ctx.me.actor());
    let added =
        tokio::task::spawn_blocking(move || firmware.shelf.add(&farm, actor, &name, &bytes))
            .await
            .map_err(Error::internal)?;
    let lang = ctx.lang;
    let why = match added {
        Ok(_) => return Ok(Done::Saved.then(to!("/devices/firmware"))),
        Err(AddError::Image(why)) => say::refusal(lang, why).to_owned(),
        Err(AddError::TooMany) => say::t::too_many(lang, firmware::MOST_IMAGES),
        Err(AddError::Disk(cause)) => {
            return Err(Error::from(Reason::Busy).because(cause));
        }
        Err(AddError::Store(error)) => return Err(error.into()),
    };
    let mut page = draw(&ctx, Some(why)).await?;
    *page.status_mut() = Reason::Invalid.status();
    Ok(page)
}

/// Name and bytes of the file that was sent, if one was.
async fn file_of(mut form: Multipart) -> Result<Option<(String, Bytes)>, MultipartError> {
    let mut file = None;
    while let Some(field) = form.next_field().await? {
        if field.name() == Some("file") {
            let name = field.file_name().unwrap_or_default().to_owned();
            file = Some((name, field.bytes().await?));
        }
    }
    Ok(file)
}

#[derive(Deserialize)]
struct Offer {
    percent: String,
    /// Short names; when there are some, the share does not count.
    #[serde(default)]
    devices: String,
}

async fn offer(
    State(web): State<Web>,
    me: Me,
    Path(image): Path<i64>,
    Form(form): Form<Offer>,
) -> Result<Response, Error> {
    let slugs: Vec<String> = form
        .devices
        .split([' ', ',', '\n', '\r', '\t'])
        .filter(|slug| !slug.is_empty())
        .map(str::to_owned)
        .collect();
    let share = fmt::ascii_digits(&form.percent).trim().parse();
    web.farm
        .write(me.actor(), move |tx| {
            let batch = if slugs.is_empty() {
                Batch::Share(share.map_err(|_| FirmwareError::NoShare)?)
            } else {
                let known = |slug: &String| {
                    let found = devices::find(tx.conn(), slug)?;
                    found.map(|d| d.id).ok_or(FirmwareError::UnknownDevice)
                };
                Batch::Devices(slugs.iter().map(known).collect::<Result<_, _>>()?)
            };
            firmware::offer(tx, image, &batch)
        })
        .await?;
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

async fn remove(State(web): State<Web>, me: Me, Path(image): Path<i64>) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| firmware::remove(tx, image))
        .await?;
    if let Some(firmware) = web.options.firmware.clone() {
        let farm = web.farm.clone();
        tokio::task::spawn_blocking(move || firmware.shelf.sweep(&farm))
            .await
            .map_err(Error::internal)??;
    }
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

async fn pause(State(web): State<Web>, me: Me, Path(id): Path<i64>) -> Result<Response, Error> {
    let paused = web
        .farm
        .write(me.actor(), move |tx| firmware::pause(tx, id));
    paused.await?;
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

async fn resume(State(web): State<Web>, me: Me, Path(id): Path<i64>) -> Result<Response, Error> {
    let resumed = web
        .farm
        .write(me.actor(), move |tx| firmware::resume(tx, id));
    resumed.await?;
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

async fn withdraw(State(web): State<Web>, me: Me, Path(id): Path<i64>) -> Result<Response, Error> {
    let withdrawn = web
        .farm
        .write(me.actor(), move |tx| firmware::withdraw(tx, id));
    withdrawn.await?;
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

#[derive(Deserialize)]
struct Channel {
    device: DeviceId,
    channel: String,
}

async fn set_channel(
    State(web): State<Web>,
    me: Me,
    Form(form): Form<Channel>,
) -> Result<Response, Error> {
    let channel = Label::new(form.channel.trim())
        .map_err(|error| Error::invalid(format!("channel: {error}")))?;
    web.farm
        .write(me.actor(), move |tx| {
            firmware::set_channel(tx, form.device, &channel)
        })
        .await?;
    Ok(Done::Saved.then(to!("/devices/firmware")))
}

/// A link to the page, for the list of devices.
pub(crate) fn link(lang: Lang) -> Markup {
    html! { a.button.secondary href=(to!("/devices/firmware")) { (ui::icons::Icon::Download) span { (t::firmware(lang)) } } }
}

impl From<FirmwareError> for Error {
    fn from(error: FirmwareError) -> Self {
        let reason = match error {
            FirmwareError::Store(error) => return error.into(),
            FirmwareError::UnknownImage
            | FirmwareError::UnknownRollout
            | FirmwareError::UnknownDevice => Reason::NotFound,
            FirmwareError::Refused(_)
            | FirmwareError::InUse
            | FirmwareError::AnotherRuns
            | FirmwareError::NobodyFits => Reason::Conflict,
            FirmwareError::DoesNotFit(_) | FirmwareError::NoShare | FirmwareError::NoChannel => {
                Reason::Invalid
            }
        };
        Self::from(reason).detail(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_ends_with_what_to_do() {
        for why in ImageError::ALL {
            for lang in Lang::ALL {
                assert!(say::refusal(*lang, *why).ends_with(['.', '।']), "{why:?}");
            }
        }
    }
}
