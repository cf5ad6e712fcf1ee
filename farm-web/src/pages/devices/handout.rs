//! What an installer takes to the device, shown once: its secret, and where and how it logs in with it.

use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use farm::{StoreError, devices, places};
use farm_model::{Device, DeviceId, Place, topics::Topics};
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Breadcrumb, Button, breadcrumbs, copyable, facts, qr},
    icons::Icon,
};

use super::{Ctx, credentials};
use crate::{
    address::to,
    app::MqttPorts,
    error::{Error, Reason},
};

pub(crate) mod t {
    ui::texts! {
        secret_of(name) = "Secret of {name}" / "{name}: গোপন কোড";
        frame_key_of(name) = "Frame key of {name}" / "{name}: ফ্রেমের চাবি";
        once = "It is shown only now. Put it into the device before you leave this page." / "এটি শুধু এখনই দেখা যাবে। পাতা ছাড়ার আগে যন্ত্রে বসিয়ে নিন।";
        scan = "The same for scanning: address, user name and secret" / "স্ক্যান করার জন্য: ঠিকানা, ইউজার নাম ও গোপন কোড";
        settings = "What the device needs" / "যন্ত্রে যা বসাবেন";
        address = "Address" / "ঠিকানা";
        port = "Port without encryption" / "এনক্রিপশন ছাড়া পোর্ট";
        tls_port = "Port with TLS" / "TLS-সহ পোর্ট";
        password = "Password" / "পাসওয়ার্ড";
        the_secret = "the secret above" / "ওপরের গোপন কোড";
        topics = "Topics" / "টপিক";
        tells = "It may publish on" / "যেখানে পাঠাতে পারে";
        hears = "It may listen to" / "যা শুনতে পারে";
        topics_text = "They follow from what it is and where it stands; + stands for one word, # for all that follow." / "যন্ত্রটি কী আর কোথায় আছে, তা থেকে ঠিক হয়; + মানে একটি শব্দ, # মানে পরের সব।";
        try_it = "Try it from a computer" / "কম্পিউটার থেকে পরীক্ষা করুন";
        try_tls = "With the farm's certificate in the same folder" / "খামারের সার্টিফিকেটটি একই ফোল্ডারে রেখে";
        ready = "Done" / "হয়ে গেছে";
    }
}

/// The page that shows a secret, once.
pub(super) async fn secret(
    ctx: &Ctx,
    id: DeviceId,
    headers: &HeaderMap,
    secret: &str,
) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (device, place) = device(ctx, id).await?;
    let (host, ports) = (host(headers), ctx.web.options.mqtt);
    let scheme_port = match (ports.tls, ports.plain) {
        (Some(port), _) => Some(("mqtts", port)),
        (None, Some(port)) => Some(("mqtt", port)),
        (None, None) => None,
    };
    let address = scheme_port
        .map(|(scheme, port)| format!("{scheme}://{}:{secret}@{host}:{port}", device.slug));
    let title = t::secret_of(lang, &device.name);
    let body = html! {
        (once(lang, &title, &device, secret))
        div.split {
            div.flow {
                section.section {
                    h2 { (t::settings(lang)) }
                    (settings(lang, ctx, &device, &host))
                }
                (topics(lang, &device, place.as_ref()))
                (trial(lang, &device, &host, ports, secret))
            }
            @if let Some(code) = address.and_then(|address| qr(t::scan(lang), &address)) {
                figure.flow { (code) figcaption.hint { (t::scan(lang)) } }
            }
        }
        (back(lang, &device))
    };
    Ok(ctx.page(&title, &[]).body(body).render().into_response())
}

/// The page that shows a frame key, once.
pub(super) async fn frame_key(ctx: &Ctx, id: DeviceId, key: &str) -> Result<Response, Error> {
    let lang = ctx.lang;
    let (device, _) = device(ctx, id).await?;
    let title = t::frame_key_of(lang, &device.name);
    let body = html! {
        (once(lang, &title, &device, key))
        @if let Some(code) = qr(&title, key) { (code) }
        (back(lang, &device))
    };
    Ok(ctx.page(&title, &[]).body(body).render().into_response())
}

async fn device(ctx: &Ctx, id: DeviceId) -> Result<(Device, Option<Place>), Error> {
    let read = ctx.web.farm.read(move |conn| {
        let Some(device) = devices::get(conn, id)? else {
            return Ok(None);
        };
        let place = device.place.map(|id| places::get(conn, id)).transpose()?;
        Ok::<_, StoreError>(Some((device, place.flatten())))
    });
    read.await?.ok_or_else(|| Reason::NotFound.into())
}

fn once(lang: Lang, title: &str, device: &Device, secret: &str) -> Markup {
    html! {
        (breadcrumbs(lang, &[Breadcrumb { label: device.name.clone(), href: to!("/devices/{}", device.id) }]))
        h1 { (title) }
        div.flash.warn { (Icon::Warning) p { (t::once(lang)) } }
        div.secret { (copyable(lang, "secret", secret)) }
    }
}

fn settings(lang: Lang, ctx: &Ctx, device: &Device, host: &str) -> Markup {
    let ports = ctx.web.options.mqtt;
    let mut known = vec![(t::address(lang), html! { code { (host) } })];
    for (name, port) in [(t::tls_port(lang), ports.tls), (t::port(lang), ports.plain)] {
        if let Some(port) = port {
            known.push((name, html! { code { (port) } }));
        }
    }
    known.extend([
        (credentials::t::user(lang), html! { code { (device.slug) } }),
        (t::password(lang), html! { (t::the_secret(lang)) }),
    ]);
    html! {
        (facts(&known))
        @if ctx.web.options.authority.is_some() {
            (Button::secondary(credentials::t::authority(lang)).icon(Icon::Download).href(to!("/devices/farm-ca.pem")))
        }
    }
}

/// A line for a terminal that tells one value as the device.
fn trial(lang: Lang, device: &Device, host: &str, ports: MqttPorts, secret: &str) -> Markup {
    // The secret goes over the network in clear only where there is no other way.
    let (port, more) = match (ports.tls, ports.plain) {
        (Some(port), _) => (port, " --cafile farm-ca.pem"),
        (None, Some(port)) => (port, ""),
        (None, None) => return html! {},
    };
    let slug = &device.slug;
    let line = format!(
        "mosquitto_pub -h {host} -p {port}{more} -u {slug} -P {secret} -q 1 -t farm/device/{slug}/temperature -m '{{\"value\": 20.5}}'"
    );
    html! {
        section.section {
            h2 { (t::try_it(lang)) }
            @if ports.tls.is_some() { p.hint { (t::try_tls(lang)) } }
            (copyable(lang, "trial", &line))
        }
    }
}

/// The topics that the door lets the device use.
pub(super) fn topics(lang: Lang, device: &Device, place: Option<&Place>) -> Markup {
    let Topics { tells, hears } = Topics::of(device, place);
    html! {
        section.section {
            h3 { (t::topics(lang)) }
            p.hint { (t::topics_text(lang)) }
            dl.topics {
                @for (name, topics) in [(t::tells(lang), tells), (t::hears(lang), hears)] {
                    div { dt { (name) } @for topic in topics { dd { code { (topic) } } } }
                }
            }
        }
    }
}

fn back(lang: Lang, device: &Device) -> Markup {
    html! {
        div.actions {
            (Button::primary(t::ready(lang)).icon(Icon::Check).href(to!("/devices/{}", device.id)))
        }
    }
}

/// The name or address by which whoever asks reaches this machine, without the port.
fn host(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let name = match host.rsplit_once(':') {
        // The last colon of an IPv6 address stands within its brackets.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        "khamar.local".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_one_that_was_asked() {
        for (header, expected) in [
            ("10.0.0.5:8080", "10.0.0.5"),
            ("farm.local", "farm.local"),
            ("[fd00::1]:8080", "[fd00::1]"),
            ("[fd00::1]", "[fd00::1]"),
            ("a b'; rm", "khamar.local"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, header.parse().unwrap());
            assert_eq!(host(&headers), expected);
        }
    }
}
