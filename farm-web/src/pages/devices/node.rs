//! A node on its device's page: what it says of itself, the settings that are wanted of it, and what it can be told to do.

use axum::{
    extract::{Path, State},
    response::Response,
};
use farm::{
    StoreError, credentials, devices,
    nodes::{
        self, Bounds, Command, Deed, Fate, LASTS_MS, Node, NodeError, Settings, Standing, Wanted,
    },
};
use farm_model::{Device, DeviceId};
use firmware_protocol::Setting;
use maud::{Markup, html};
use rusqlite::Connection;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Confirm, Field, breadcrumbs, facts, page_head, time_ago,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{Ctx, Done, MANAGER};
use crate::{
    access::Routes,
    address::to,
    app::Web,
    auth::Me,
    error::{Error, Reason},
    pages::typed::Typed,
};

pub(crate) mod t {
    ui::texts! {
        title = "Node" / "নোড";
        inputs = "Inputs" / "ইনপুট";
        no_inputs = "What it measures stands under its own name. If it has several sensors, give each its own device and place." / "যা মাপে তা নোডের নামেই থাকে। কয়েকটি সেন্সর থাকলে প্রতিটিকে আলাদা যন্ত্র ও জায়গা দিন।";
        add_input = "Add an input" / "ইনপুট যোগ করুন";
        firmware = "Firmware" / "ফার্মওয়্যার";
        hardware = "Hardware" / "হার্ডওয়্যার";
        waiting = "Waits in its memory" / "মেমরিতে জমা";
        lost = "Lost: its memory was full" / "হারিয়েছে: মেমরি ভরা ছিল";
        settings = "Settings" / "সেটিংস";
        change = "Change settings" / "সেটিংস বদলান";
        for_node(name) = "Settings of {name}" / "{name}: সেটিংস";
        seconds = "seconds" / "সেকেন্ড";
        usual(n) = "{n} if you leave it empty" / "খালি রাখলে {n}";
        bounds(least, most) = "Write a number from {least} to {most}." / "{least} থেকে {most}-এর মধ্যে লিখুন।";
        measure_every = "Between measurements" / "কতক্ষণ পরপর মাপবে";
        send_every = "Between transmissions" / "কতক্ষণ পরপর পাঠাবে";
        send_hint = "0 sends each measurement at once; longer saves its battery." / "০ দিলে মেপেই পাঠায়; বেশি দিলে ব্যাটারি বাঁচে।";
        greet_every = "Between greetings" / "কতক্ষণ পরপর সাড়া দেবে";
        retry_after = "Send again when not answered for" / "উত্তর না পেলে আবার পাঠাবে";
        as_made = "As it was made." / "যেমন তৈরি, তেমনই।";
        in_force = "In force" / "কার্যকর";
        wanted = "Wanted" / "চাওয়া হয়েছে";
        wanted_text = "They are sent until the node says that it has them. A node that sleeps takes them when it wakes." / "নোড পেয়েছে না জানানো পর্যন্ত পাঠানো হবে। ঘুমন্ত নোড জেগে উঠে নেবে।";
        refused = "Refused" / "মানেনি";
        refused_text = "The node will not have these settings; those before are in force. Change them, or save them again." / "নোড এই সেটিংস মানেনি; আগেরগুলোই চলছে। বদলান, বা আবার সংরক্ষণ করুন।";
        unknown(n) = "{n} of them is not known to this node. An update may help." | "{n} of them are not known to this node. An update may help." / "{n}টি এই নোড চেনে না। ফার্মওয়্যার আপডেট করে দেখুন।";
        identify = "Blink" / "আলো জ্বালাও";
        measure = "Measure now" / "এখনই মাপো";
        send = "Send now" / "এখনই পাঠাও";
        restart = "Restart" / "আবার চালু";
        restart_ask(name) = "Restart {name}?" / "{name} আবার চালু করবেন?";
        restart_text = "It measures nothing for some seconds. What waits in its memory stays." / "কয়েক সেকেন্ড মাপবে না। মেমরিতে যা জমা আছে তা থাকবে।";
        told(time) = "The node is told for {time} until it answers; after that nothing happens any more." / "উত্তর না আসা পর্যন্ত {time} ধরে বলা হয়; তারপর আর কিছু হয় না।";
        fate_told = "Being told" / "বলা হচ্ছে";
        fate_done = "Done" / "হয়েছে";
        fate_failed = "Not done" / "হয়নি";
        fate_over = "No answer" / "উত্তর নেই";
    }
}

/// Commands drawn, newest first.
const COMMANDS: usize = 5;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .get(MANAGER, "/devices/{id}/settings", page)
        .post(MANAGER, "/devices/{id}/settings", save)
        .post(MANAGER, "/devices/{id}/command", command)
}

/// What is known of a node, and wanted of it.
pub(super) struct Known {
    node: Option<Node>,
    wanted: Option<Wanted>,
    commands: Vec<Command>,
    inputs: Vec<(u8, Device)>,
}

/// What is at a node's inputs, by their numbers.
fn inputs(conn: &Connection, node: DeviceId) -> Result<Vec<(u8, Device)>, StoreError> {
    let mut inputs = Vec::new();
    for ((of, channel), input) in devices::inputs(conn)? {
        if of == node
            && let Some(device) = devices::get(conn, input.device)?
        {
            inputs.push((channel, device));
        }
    }
    inputs.sort_by_key(|(channel, _)| *channel);
    Ok(inputs)
}

impl Known {
    /// None for a device that sends no sealed frames.
    pub(super) async fn load(ctx: &Ctx, id: DeviceId) -> Result<Option<Self>, Error> {
        let read = ctx.web.farm.read(move |conn| {
            if credentials::frame_key(conn, id)?.is_none() {
                return Ok::<_, StoreError>(None);
            }
            Ok(Some(Self {
                node: nodes::get(conn, id)?,
                wanted: nodes::settings(conn, id)?,
                commands: nodes::commands(conn, id)?,
                inputs: inputs(conn, id)?,
            }))
        });
        Ok(read.await?)
    }

    /// The part of the device's page.
    pub(super) fn section(&self, ctx: &Ctx, device: &Device) -> Markup {
        let lang = ctx.lang;
        let change = Button::secondary(t::change(lang)).icon(Icon::Edit);
        html! {
            section.section #node {
                h2 { (t::title(lang)) }
                @if let Some(node) = &self.node { (facts(&about(lang, node))) }
                h3 { (t::inputs(lang)) }
                (self.inputs(lang, device))
                h3 { (t::settings(lang)) }
                (self.settings(ctx))
                div.actions {
                    (change.href(to!("/devices/{}/settings", device.id)))
                    @for deed in [Deed::Identify, Deed::Measure, Deed::Send] { (tell(lang, device, deed)) }
                    (Button::danger(t::restart(lang)).opens("restart"))
                    (ask_restart(lang, device))
                }
                p.hint { (t::told(lang, fmt::duration(lang, LASTS_MS / 1_000))) }
                @if !self.commands.is_empty() {
                    ul.readings { @for c in self.commands.iter().take(COMMANDS) { (told(ctx, c)) } }
                }
            }
        }
    }

    fn inputs(&self, lang: Lang, device: &Device) -> Markup {
        let add = Button::secondary(t::add_input(lang)).icon(Icon::Plus);
        let add = add.href(to!("/devices/new?transport=input&node={}", device.slug));
        html! {
            @if self.inputs.is_empty() { p.hint { (t::no_inputs(lang)) } }
            @else {
                @let inputs: Vec<_> = self.inputs.iter()
                    .map(|(channel, input)| (fmt::digits(lang, &channel.to_string()), input)).collect();
                (facts(&inputs.iter().map(|(channel, input)| {
                    (channel.as_str(), html! { a href=(to!("/devices/{}", input.id)) { (input.name) } })
                }).collect::<Vec<_>>()))
            }
            div.actions { (add) }
        }
    }

    fn settings(&self, ctx: &Ctx) -> Markup {
        let lang = ctx.lang;
        let Some(wanted) = &self.wanted else {
            return html! { p.hint { (t::as_made(lang)) } };
        };
        let (tone, word, at) = match wanted.standing {
            Standing::Waiting => (Tone::Info, t::wanted(lang), wanted.since),
            Standing::InForce { at, .. } => (Tone::Good, t::in_force(lang), at),
            Standing::Refused { at, .. } => (Tone::Bad, t::refused(lang), at),
        };
        let known: Vec<_> = wanted
            .settings
            .values()
            .into_iter()
            .map(|(bounds, value)| {
                let seconds = fmt::duration(lang, value.unwrap_or(bounds.usual).into());
                (label(lang, bounds), html! { (seconds) })
            })
            .collect();
        html! {
            p.cluster.tight { (Badge::new(tone, word)) (time_ago(lang, at.0, ctx.now.wall.0)) }
            (facts(&known))
            @match wanted.standing {
                Standing::Waiting => p.hint { (t::wanted_text(lang)) },
                Standing::Refused { .. } => p { (t::refused_text(lang)) },
                Standing::InForce { unknown: 0, .. } => {},
                Standing::InForce { unknown, .. } => p.hint { (t::unknown(lang, unknown)) },
            }
        }
    }
}

fn about(lang: Lang, node: &Node) -> Vec<(&'static str, Markup)> {
    let mut known = Vec::new();
    if let Some(greeting) = &node.greeting {
        known.push((t::firmware(lang), html! { (greeting.firmware) }));
        known.push((t::hardware(lang), html! { (greeting.hardware) }));
    }
    known.push((
        t::waiting(lang),
        html! { (fmt::int(lang, node.waiting.into())) },
    ));
    if node.lost > 0 {
        known.push((t::lost(lang), html! { (fmt::int(lang, node.lost.into())) }));
    }
    known
}

fn label(lang: Lang, bounds: &Bounds) -> &'static str {
    match bounds.setting {
        Setting::SampleEveryS => t::measure_every(lang),
        Setting::SendEveryS => t::send_every(lang),
        Setting::HelloEveryS => t::greet_every(lang),
        _ => t::retry_after(lang),
    }
}

fn name(lang: Lang, deed: Deed) -> &'static str {
    match deed {
        Deed::Identify => t::identify(lang),
        Deed::Measure => t::measure(lang),
        Deed::Send => t::send(lang),
        Deed::Restart => t::restart(lang),
    }
}

fn tell(lang: Lang, device: &Device, deed: Deed) -> Markup {
    html! {
        form method="post" action=(to!("/devices/{}/command", device.id)) {
            input type="hidden" name="do" value=(deed.key());
            (Button::secondary(name(lang, deed)))
        }
    }
}

fn ask_restart(lang: Lang, device: &Device) -> Markup {
    let confirm = Confirm {
        lang,
        id: "restart".to_owned(),
        title: t::restart_ask(lang, &device.name),
        text: t::restart_text(lang).to_owned(),
        deed: t::restart(lang).to_owned(),
        action: to!("/devices/{}/command", device.id),
        fields: vec![("do".to_owned(), Deed::Restart.key().to_owned())],
    };
    html! { (confirm) }
}

fn told(ctx: &Ctx, command: &Command) -> Markup {
    let lang = ctx.lang;
    let (tone, word) = match command.fate(ctx.now) {
        Fate::Told => (Tone::Info, t::fate_told(lang)),
        Fate::Done(_) => (Tone::Good, t::fate_done(lang)),
        Fate::Failed(..) => (Tone::Bad, t::fate_failed(lang)),
        Fate::Over => (Tone::Warn, t::fate_over(lang)),
    };
    html! {
        li.reading-row {
            span { (name(lang, command.deed)) }
            (Badge::new(tone, word))
            small.hint { (time_ago(lang, command.asked.wall.0, ctx.now.wall.0)) }
        }
    }
}

async fn page(ctx: Ctx, Path(id): Path<DeviceId>) -> Result<Response, Error> {
    let wanted = ctx.web.farm.read(move |conn| nodes::settings(conn, id));
    let wanted = wanted.await?.map(|w| w.settings).unwrap_or_default();
    let mut typed = Typed::default();
    for (bounds, value) in wanted.values() {
        let value = value.map(|v| fmt::digits(ctx.lang, &v.to_string()));
        typed.set(bounds.key, value.unwrap_or_default());
    }
    draw(&ctx, id, &typed).await
}

async fn draw(ctx: &Ctx, id: DeviceId, typed: &Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let device = ctx.web.farm.read(move |conn| devices::get(conn, id));
    let device = device.await?.ok_or(Reason::NotFound)?;
    let back = to!("/devices/{id}");
    let title = t::for_node(lang, &device.name);
    let body = html! {
        (breadcrumbs(lang, &[Breadcrumb { label: device.name, href: back.clone() }]))
        (page_head(&title, "", &html! {}))
        form.form method="post" novalidate action=(format!("{back}/settings")) {
            (typed.faults(lang))
            @for (bounds, _) in Settings::default().values() { (field(lang, typed, bounds)) }
            div.actions {
                (Button::primary(ui::t::save(lang)).icon(Icon::Check))
                (Button::quiet(ui::t::cancel(lang)).href(back.as_str()))
            }
        }
    };
    Ok(typed.answer(ctx.page(&title, &[]).body(body).render()))
}

fn field(lang: Lang, typed: &Typed, bounds: &Bounds) -> Markup {
    let mut hint = t::usual(lang, fmt::int(lang, bounds.usual.into()));
    if bounds.setting == Setting::SendEveryS {
        hint = format!("{} {hint}", t::send_hint(lang));
    }
    let field = Field::integer(bounds.key, label(lang, bounds))
        .hint(hint)
        .unit(t::seconds(lang));
    html! { (typed.field(bounds.key, field)) }
}

async fn save(ctx: Ctx, Path(id): Path<DeviceId>, mut typed: Typed) -> Result<Response, Error> {
    let lang = ctx.lang;
    let [measure, send, greet, retry] = Settings::default().values().map(|(bounds, _)| {
        let value = typed.number(lang, bounds.key, 0)?;
        let value = u32::try_from(value).ok();
        let value = value.filter(|v| (bounds.least..=bounds.most).contains(v));
        if value.is_none() {
            let [least, most] = [bounds.least, bounds.most].map(|n| fmt::int(lang, n.into()));
            typed.wrong(bounds.key, t::bounds(lang, least, most));
        }
        value
    });
    if !typed.is_right() {
        return draw(&ctx, id, &typed).await;
    }
    let wanted = Settings {
        measure_every_s: measure,
        send_every_s: send,
        greet_every_s: greet,
        retry_after_s: retry,
    };
    let set = ctx.web.farm.write(ctx.me.actor(), move |tx| {
        nodes::set_settings(tx, id, wanted)
    });
    set.await?;
    Ok(Done::Saved.then(to!("/devices/{id}")))
}

async fn command(
    State(web): State<Web>,
    me: Me,
    Path(id): Path<DeviceId>,
    typed: Typed,
) -> Result<Response, Error> {
    let deed = Deed::from_key(typed.text("do")).ok_or(Reason::Malformed)?;
    web.farm
        .write(me.actor(), move |tx| nodes::command(tx, id, deed))
        .await?;
    Ok(Done::Saved.then(to!("/devices/{id}")))
}

impl From<NodeError> for Error {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Store(error) => error.into(),
            NodeError::NoNode => Self::from(Reason::Conflict).detail(error.to_string()),
            NodeError::OutOfBounds(_) => Self::invalid(error.to_string()),
        }
    }
}
