//! What a device logs in with, on its page: its secret, certificates and frame key, made anew, revoked, given again.
//!
//! Invariant: what is made is shown once, in the answer to the request that made it, and nowhere after.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use farm::{
    credentials::{self, Certificate, Credentials, Standing},
    logins::{Carrier, Presence, Proof},
};
use farm_model::{Device, DeviceId, Link, Place, UnixMillis};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Badge, Button, Confirm, facts, time_ago},
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, Done, MANAGER, handout};
use crate::{
    access::Routes,
    address::to,
    app::Web,
    auth::Me,
    border::Authority,
    error::{Error, Reason},
    pages::typed::Typed,
};

pub(crate) mod t {
    ui::texts! {
        title = "How it logs in" / "যেভাবে ঢোকে";
        nothing = "It cannot log in yet. Make its secret, then type that into the device." / "এটি এখনো ঢুকতে পারে না। গোপন কোড বানিয়ে যন্ত্রে বসান।";
        user = "User name" / "ইউজার নাম";
        secret = "Secret" / "গোপন কোড";
        none = "none" / "নেই";
        last_login = "Last log-in" / "শেষবার ঢুকেছে";
        never = "It has not logged in yet." / "এখনো ঢোকেনি।";
        connected = "Connected now" / "এখন সংযুক্ত";
        not_connected = "Not connected" / "সংযুক্ত নয়";
        since(day) = "since {day}" / "{day} থেকে";
        make_secret = "Make its secret" / "গোপন কোড বানান";
        new_secret = "New secret" / "নতুন গোপন কোড";
        new_secret_ask = "Make a new secret?" / "নতুন গোপন কোড বানাবেন?";
        new_secret_text = "The present one ends at once. The device is cut off until the new one is typed into it." / "এখনকারটি সঙ্গে সঙ্গে বাতিল হবে। নতুনটি না বসানো পর্যন্ত যন্ত্রটি ঢুকতে পারবে না।";
        serial = "Serial number" / "সিরিয়াল নম্বর";
        certificate = "Certificate" / "সার্টিফিকেট";
        until(day) = "valid until {day}" / "{day} পর্যন্ত বৈধ";
        came = "first came with it" / "প্রথম এসেছে";
        unused = "not used yet" / "এখনো ব্যবহার হয়নি";
        expired = "Expired" / "মেয়াদ শেষ";
        revoked = "Revoked" / "বাতিল";
        renew = "Renew soon" / "শিগগির নতুন করুন";
        end_certificate = "Revoke this certificate" / "এই সার্টিফিকেট বাতিল করুন";
        make_certificate = "Make a certificate" / "সার্টিফিকেট বানান";
        make_certificate_text = "A file with its private key is downloaded; the key is kept nowhere else." / "গোপন চাবিসহ একটি ফাইল নামবে; চাবিটি আর কোথাও রাখা হয় না।";
        frame_key = "Frame key" / "ফ্রেমের চাবি";
        make_frame_key = "Make a frame key" / "ফ্রেমের চাবি বানান";
        new_frame_key_ask = "Make a new frame key?" / "নতুন ফ্রেমের চাবি বানাবেন?";
        new_frame_key_text = "The present one ends at once. Frames made with it are refused." / "এখনকারটি সঙ্গে সঙ্গে বাতিল হবে। সেটি দিয়ে বানানো ফ্রেম নেওয়া হবে না।";
        more = "Certificates, frame key, topics" / "সার্টিফিকেট, ফ্রেমের চাবি, টপিক";
        authority = "The farm's certificate (CA)" / "খামারের সার্টিফিকেট (CA)";
        authority_text = "By it a device knows this appliance. It is no secret." / "এটি দিয়ে যন্ত্র এই অ্যাপ্লায়েন্সকে চেনে। এটি গোপন নয়।";
        revoke = "Revoke access" / "প্রবেশ বন্ধ করুন";
        revoke_ask(name) = "Revoke the access of {name}?" / "{name}: প্রবেশ বন্ধ করবেন?";
        revoke_text = "Its connection is cut now; its secret, certificates and frame key end. What it measured stays." / "এখনই সংযোগ কেটে যাবে; গোপন কোড, সার্টিফিকেট ও ফ্রেমের চাবি বাতিল হবে। যা মেপেছে তা থাকবে।";
        access_revoked = "Access revoked" / "প্রবেশ বন্ধ";
        revoked_text = "It cannot log in. A new secret lets it in again." / "এটি ঢুকতে পারে না। নতুন গোপন কোড দিলে আবার ঢুকবে।";
        again = "Let it in again" / "আবার ঢুকতে দিন";
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .post(MANAGER, "/devices/{id}/secret", secret)
        .post(MANAGER, "/devices/{id}/frame-key", frame_key)
        .post(MANAGER, "/devices/{id}/certificate", certificate)
        .post(
            MANAGER,
            "/devices/{id}/certificate/revoke",
            revoke_certificate,
        )
        .post(MANAGER, "/devices/{id}/revoke", revoke)
        .get(MANAGER, "/devices/farm-ca.pem", authority)
}

/// Certificates drawn, newest first.
const CERTIFICATES: usize = 3;

/// What a device holds, as its page shows it.
pub(super) struct Held(Credentials);

impl Held {
    pub(super) async fn load(ctx: &Ctx, id: DeviceId) -> Result<Self, Error> {
        let read = ctx.web.farm.read(move |conn| credentials::of(conn, id));
        Ok(Self(read.await?))
    }

    fn has_any(&self) -> bool {
        let held = &self.0;
        held.secret_since.is_some()
            || held.frame_key_since.is_some()
            || held.certificates.iter().any(|c| c.revoked.is_none())
    }

    /// The part of the device's page; nothing for a device that speaks no MQTT and holds nothing.
    pub(super) fn section(&self, ctx: &Ctx, device: &Device, place: Option<&Place>) -> Markup {
        let lang = ctx.lang;
        if !matches!(device.link, Link::Mqtt { .. }) && !self.has_any() && self.0.revoked.is_none()
        {
            return html! {};
        }
        html! {
            section.section #credentials {
                h2 { (t::title(lang)) }
                (presence(lang, ctx.web.farm.live().presence(device.id), ctx.now.wall))
                @if self.has_any() {
                    (facts(&self.facts(ctx, device)))
                    div.actions {
                        @if self.0.secret_since.is_some() {
                            (Button::secondary(t::new_secret(lang)).icon(Icon::Lock).opens("new-secret"))
                            (ask(lang, device, "new-secret", "secret", [t::new_secret_ask(lang), t::new_secret_text(lang), t::new_secret(lang)]))
                        } @else {
                            (first_secret(device, Button::secondary(t::make_secret(lang))))
                        }
                        (Button::danger(t::revoke(lang)).opens("revoke"))
                        (ask(lang, device, "revoke", "revoke", [&t::revoke_ask(lang, &device.name), t::revoke_text(lang), t::revoke(lang)]))
                    }
                } @else if let Some(at) = self.0.revoked {
                    p.cluster.tight {
                        (Badge::new(Tone::Bad, t::access_revoked(lang))) (time_ago(lang, at.0, ctx.now.wall.0))
                    }
                    p { (t::revoked_text(lang)) }
                    (first_secret(device, Button::primary(t::again(lang))))
                } @else {
                    p { (t::nothing(lang)) }
                    (first_secret(device, Button::primary(t::make_secret(lang))))
                }
                (self.more(ctx, device, place))
            }
        }
    }

    fn facts<'a>(&self, ctx: &Ctx, device: &Device) -> Vec<(&'a str, Markup)> {
        let lang = ctx.lang;
        let since = |at: Option<UnixMillis>| {
            let day = at.map(|at| t::since(lang, fmt::date(lang, ctx.local(at).date())));
            html! { (day.as_deref().unwrap_or(t::none(lang))) }
        };
        let mut known = vec![
            (t::user(lang), html! { code { (device.slug) } }),
            (t::secret(lang), since(self.0.secret_since)),
        ];
        if let Some(serial) = &self.0.serial {
            known.push((t::serial(lang), html! { code { (serial) } }));
        }
        if self.0.frame_key_since.is_some() {
            known.push((t::frame_key(lang), since(self.0.frame_key_since)));
        }
        for certificate in self.0.certificates.iter().take(CERTIFICATES) {
            known.push((t::certificate(lang), one(ctx, device, certificate)));
        }
        known
    }

    /// What few devices need: certificates, a frame key, the topics that it may use.
    fn more(&self, ctx: &Ctx, device: &Device, place: Option<&Place>) -> Markup {
        let lang = ctx.lang;
        let keyed = self.0.frame_key_since.is_some();
        html! {
            details.fold #more-credentials {
                summary { (Icon::Plus) (t::more(lang)) }
                div.flow {
                    @if ctx.web.options.authority.is_some() {
                        form method="post" action=(to!("/devices/{}/certificate", device.id)) {
                            p.hint { (t::make_certificate_text(lang)) }
                            (Button::secondary(t::make_certificate(lang)).icon(Icon::Download))
                        }
                        div {
                            p.hint { (t::authority_text(lang)) }
                            (Button::secondary(t::authority(lang)).icon(Icon::Download).href(to!("/devices/farm-ca.pem")))
                        }
                    }
                    @if matches!(device.link, Link::Mqtt { .. }) { (handout::topics(lang, device, place)) }
                    @if keyed {
                        (Button::secondary(t::make_frame_key(lang)).icon(Icon::Lock).opens("new-key"))
                        (ask(lang, device, "new-key", "frame-key",
                            [t::new_frame_key_ask(lang), t::new_frame_key_text(lang), t::make_frame_key(lang)]))
                    } @else {
                        form method="post" action=(to!("/devices/{}/frame-key", device.id)) {
                            (Button::secondary(t::make_frame_key(lang)).icon(Icon::Lock))
                        }
                    }
                }
            }
        }
    }
}

fn first_secret(device: &Device, button: Button) -> Markup {
    html! {
        form method="post" action=(to!("/devices/{}/secret", device.id)) { (button.icon(Icon::Lock)) }
    }
}

/// A certificate: until when, whether it was used, what it is worth.
fn one(ctx: &Ctx, device: &Device, certificate: &Certificate) -> Markup {
    let lang = ctx.lang;
    let day = fmt::date(lang, ctx.local(certificate.not_after).date());
    let standing = certificate.standing(&ctx.now);
    html! {
        (t::until(lang, day)) br;
        small.hint {
            @match certificate.used {
                Some(at) => { (t::came(lang)) " " (time_ago(lang, at.0, ctx.now.wall.0)) },
                None => (t::unused(lang)),
            }
        }
        @match standing {
            Standing::Expired => { br; (Badge::new(Tone::Bad, t::expired(lang))) },
            Standing::Revoked => { br; (Badge::new(Tone::Neutral, t::revoked(lang))) },
            Standing::Good => {
                @if certificate.wants_renewal(&ctx.now) { br; (Badge::new(Tone::Warn, t::renew(lang))) }
                form method="post" action=(to!("/devices/{}/certificate/revoke", device.id)) {
                    input type="hidden" name="fingerprint" value=(certificate.fingerprint);
                    (Button::quiet(t::end_certificate(lang)))
                }
            },
        }
    }
}

/// The question before a deed that cuts the device off.
fn ask(lang: Lang, device: &Device, id: &str, action: &str, words: [&str; 3]) -> Markup {
    let [title, text, deed] = words.map(str::to_owned);
    let confirm = Confirm {
        lang,
        id: id.to_owned(),
        title,
        text,
        deed,
        action: to!("/devices/{}/{action}", device.id),
        fields: Vec::new(),
    };
    html! { (confirm) }
}

async fn secret(ctx: Ctx, Path(id): Path<DeviceId>, headers: HeaderMap) -> Result<Response, Error> {
    let issued = ctx
        .web
        .farm
        .write(ctx.me.actor(), move |tx| credentials::issue_secret(tx, id));
    let secret = issued.await?;
    handout::secret(&ctx, id, &headers, secret.as_str()).await
}

async fn frame_key(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let issued = ctx.web.farm.write(ctx.me.actor(), move |tx| {
        credentials::issue_frame_key(tx, id)
    });
    let key = issued.await?;
    handout::frame_key(&ctx, id, &key.to_hex()).await
}

async fn certificate(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
) -> Result<Response, Error> {
    let device = web.farm.read(move |conn| farm::devices::get(conn, id));
    let device = device.await?.ok_or(Reason::NotFound)?;
    let bundle = authority_of(&web)?.issue(me.actor(), id).await?;
    let parts = [Some(bundle.certificate), bundle.key, Some(bundle.authority)];
    let text: Vec<String> = parts.into_iter().flatten().collect();
    Ok(file(&device.slug, text.join("\n")))
}

async fn revoke_certificate(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
    typed: Typed,
) -> Result<Response, Error> {
    let wanted = typed.text("fingerprint").to_owned();
    web.farm
        .write(me.actor(), move |tx| {
            credentials::revoke_certificate(tx, id, &wanted)
        })
        .await?;
    Ok(Done::Saved.then(to!("/devices/{id}")))
}

async fn revoke(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
) -> Result<Response, Error> {
    web.farm
        .write(me.actor(), move |tx| credentials::revoke(tx, id))
        .await?;
    Ok(Done::Saved.then(to!("/devices/{id}")))
}

async fn authority(State(web): State<Web>) -> Result<Response, Error> {
    Ok(file("farm-ca", authority_of(&web)?.certificate()))
}

fn authority_of(web: &Web) -> Result<Arc<dyn Authority>, Error> {
    let authority = web.options.authority.clone();
    authority.ok_or_else(|| Reason::NotFound.into())
}

/// A PEM file to keep; `name` is a short name.
/// Whether it is connected, and how it logged in last.
pub(super) fn presence(lang: Lang, presence: Presence, now: UnixMillis) -> Markup {
    let connected = match presence.connections {
        0 => Badge::new(Tone::Neutral, t::not_connected(lang)),
        _ => Badge::new(Tone::Good, t::connected(lang)),
    };
    html! {
        p.cluster.tight #device-presence {
            @if let Some(login) = presence.last {
                (connected)
                span.hint {
                    (t::last_login(lang)) " " (time_ago(lang, login.at.0, now.0)) " · "
                    (match login.carrier { Carrier::Tcp => "TCP", Carrier::Tls => "TLS", Carrier::WebSocket => "WebSocket" }) " · "
                    (match login.proof { Proof::Secret => t::secret(lang), Proof::Certificate => t::certificate(lang) }) " · "
                    code { (login.peer) }
                }
            } @else { span.hint { (t::never(lang)) } }
        }
    }
}

fn file(name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}.pem\"");
    let headers = [
        (header::CONTENT_TYPE, "application/x-pem-file".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, text).into_response()
}
