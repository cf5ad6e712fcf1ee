//! A farm as the hub sees it: its machines, how fresh they are, and the codes with which machines are connected or swapped.

use axum::{
    extract::{Form, Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use hub_accounts::{
    Role, Secret, SiteId,
    claims::{self, Claim, ClaimError, Site},
    ids::ClaimId,
};
use hub_store::{Micros, StoreError};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Breadcrumb, Button, Confirm, EmptyState, Tab, breadcrumbs, copyable, page_head, qr,
        section, tabs,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{audit, connect, data, farms, frame, members};
use crate::web::{Error, Here, Me, Needs, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        open_pages = "Open the farm" / "খামার খুলুন";
        machines = "Machines" / "যন্ত্র";
        none = "No machine is connected" / "কোনো যন্ত্র যুক্ত নেই";
        none_text = "Make a code here and type it on the farm's own machine." / "এখানে একটি কোড বানিয়ে খামারের যন্ত্রে লিখুন।";
        connect = "Connect a machine" / "যন্ত্র যুক্ত করুন";
        machine(id) = "Machine {id}" / "যন্ত্র {id}";
        since(date) = "connected since {date}" / "{date} থেকে যুক্ত";
        replaced = "Not let in any more" / "আর ঢুকতে পারবে না";
        lets_in = "Let in" / "ঢুকতে পারে";
        swap = "Swap this machine" / "এই যন্ত্র বদলান";
        swap_text = "Makes a code for a new machine. When it is used, the new one fetches the whole farm from the hub, and the old one is refused." / "নতুন যন্ত্রের জন্য একটি কোড তৈরি হবে। কোডটি ব্যবহার হলে নতুন যন্ত্র হাব থেকে পুরো খামার নামিয়ে নেবে, আর পুরোনোটি ঢুকতে পারবে না।";
        make_code = "Make a code" / "কোড বানান";
        cut_off = "Cut off" / "বিচ্ছিন্ন করুন";
        cut_off_ask = "Cut this machine off?" / "এই যন্ত্র বিচ্ছিন্ন করবেন?";
        cut_off_text = "Its key is refused from now on. The farm goes on, but tells the hub nothing more. A cut-off machine needs a new code." / "এখন থেকে এর চাবি আর চলবে না। খামার চলবে, কিন্তু হাবকে কিছু জানাবে না। আবার যুক্ত করতে নতুন কোড লাগবে।";
        code = "Code for the machine" / "যন্ত্রের কোড";
        code_text = "On the farm's own machine, open Hub and type the code and the address, or scan the picture. It works once and ends tomorrow; it is not shown again." / "খামারের যন্ত্রে হাব পাতা খুলে কোড ও ঠিকানা লিখুন, অথবা ছবিটি স্ক্যান করুন। একবারই চলবে, কাল শেষ হবে; আর দেখানো হবে না।";
        hub_address = "Address of this hub" / "এই হাবের ঠিকানা";
        open_codes = "Codes that wait" / "অপেক্ষমাণ কোড";
        open_code(time) = "A code was made; it ends in {time}." / "একটি কোড বানানো আছে; {time} পরে শেষ হবে।";
        open_swap(time) = "A code for a swap was made; it ends in {time}." / "যন্ত্র বদলের একটি কোড আছে; {time} পরে শেষ হবে।";
        withdraw = "Withdraw" / "বাতিল করুন";
        data = "Data" / "তথ্য";
        switch = "Demonstration: cut the line to the farm or join it" / "প্রদর্শনী: খামারের লাইন কাটুন বা জোড়া দিন";
        done = "Back to the farm" / "খামারে ফিরুন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Member(Role::Owner);
    routes
        .get(Needs::Member(Role::ReadOnly), "/manage/{slug}", page)
        .post(owner, "/manage/{slug}/claims", make)
        .post(owner, "/manage/{slug}/claims/{claim}/withdraw", withdraw)
        .post(owner, "/manage/{slug}/sites/{site}/revoke", revoke)
}

async fn page(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
) -> Result<Markup, Error> {
    let lang = frame::lang_of(&headers);
    let id = here.farm.id;
    let (sites, codes) = web
        .store
        .read(move |tx| Ok::<_, StoreError>((claims::sites(tx, id)?, claims::open(tx, id)?)))
        .await?;
    let shown = Shown {
        lang,
        here: &here,
        now: web.store.now(),
    };
    let body = html! {
        (shown.overview(&sites, &codes))
        @if let Some(switch) = &web.options.demo_switch { p { a href=(switch) { (t::switch(lang)) } } }
    };
    Ok(framed(lang, &headers, &me, &here, "", &body))
}

#[derive(Deserialize)]
struct Purpose {
    replaces: Option<SiteId>,
}

async fn make(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    Form(purpose): Form<Purpose>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let (by, farm) = (me.account.id, here.farm.id);
    let code = web
        .store
        .write(move |tx| claims::make(tx, by, farm, purpose.replaces))
        .await?;
    let body = code_once(lang, &here, &web.options.address.url, &code);
    Ok(framed(lang, &headers, &me, &here, "", &body).into_response())
}

async fn withdraw(
    State(web): State<Web>,
    me: Me,
    here: Here,
    Path((_, claim)): Path<(String, ClaimId)>,
) -> Result<Redirect, Error> {
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| claims::withdraw(tx, by, farm, claim))
        .await?;
    Ok(Redirect::to(&here.path()))
}

async fn revoke(
    State(web): State<Web>,
    me: Me,
    here: Here,
    Path((_, site)): Path<(String, SiteId)>,
) -> Result<Redirect, Error> {
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| claims::revoke(tx, by, farm, site))
        .await?;
    Ok(Redirect::to(&here.path()))
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::NotValid | ClaimError::UnknownSite => Reason::NotFound.into(),
            ClaimError::KeyKnown => Reason::Conflict.into(),
            ClaimError::Store(error) => error.into(),
        }
    }
}

/// A page of the farm: the way back to all farms, its name, and the views of it that the one who looks may open.
pub(crate) fn framed(
    lang: Lang,
    headers: &HeaderMap,
    me: &Me,
    here: &Here,
    view: &str,
    body: &Markup,
) -> Markup {
    let back = Breadcrumb {
        label: frame::t::my_farms(lang).to_owned(),
        href: "/".to_owned(),
    };
    let open = Button::primary(t::open_pages(lang))
        .icon(Icon::Cow)
        .href(format!("/farms/{}/", here.farm.slug));
    let body = html! {
        (breadcrumbs(lang, &[back]))
        (page_head(&here.farm.name, frame::role(lang, here.role), &html! { (open) }))
        (data::warning(lang, here))
        (views(lang, here, view))
        (body)
    };
    let path = format!("{}{view}", here.path());
    let page = frame::page(lang, headers, me, &here.farm.name, &path);
    page.body(body).render()
}

fn views(lang: Lang, here: &Here, view: &str) -> Markup {
    let views = [
        (Role::ReadOnly, "", t::machines(lang)),
        (Role::Manager, "/members", members::t::title(lang)),
        (Role::Manager, "/audit", audit::t::title(lang)),
        (Role::Owner, "/data", t::data(lang)),
    ];
    let open = views.iter().filter(|(needs, ..)| here.role >= *needs);
    let open = open.map(|(_, path, label)| Tab {
        label: (*label).to_owned(),
        href: format!("{}{path}", here.path()),
        current: *path == view,
    });
    tabs(&here.farm.name, &open.collect::<Vec<_>>())
}

/// The end of an identity, by which people tell machines apart.
pub(crate) fn tail(id: &str) -> &str {
    id.get(id.len().saturating_sub(4)..).unwrap_or(id)
}

/// What the parts of the overview need.
struct Shown<'a> {
    lang: Lang,
    here: &'a Here,
    now: Micros,
}

impl Shown<'_> {
    fn overview(&self, sites: &[Site], codes: &[Claim]) -> Markup {
        let lang = self.lang;
        let connect = self.make_form(None, &Button::primary(t::connect(lang)).icon(Icon::Plus));
        let machines = html! {
            @if sites.is_empty() {
                (EmptyState::new(Icon::Device, t::none(lang), t::none_text(lang)).action(connect.clone()))
            } @else {
                ul.readings { @for site in sites { li.reading-row { (self.site(site)) } } }
                (connect)
            }
        };
        html! {
            (section(t::machines(lang), &machines))
            @if self.is_owner() && !codes.is_empty() {
                (section(t::open_codes(lang), &html! { @for code in codes { (self.code(code)) } }))
            }
        }
    }

    fn site(&self, site: &Site) -> Markup {
        let (lang, path) = (self.lang, self.here.path());
        let id = site.id.to_string();
        let date = jiff::Timestamp::from_microsecond(site.enrolled.0).unwrap_or_default();
        let date = fmt::date(lang, date.to_zoned(jiff::tz::TimeZone::UTC).date());
        let dialog = format!("cut-{}", site.id);
        html! {
            div {
                span.tile-text {
                    strong { (t::machine(lang, tail(&id))) @if !site.name.is_empty() { " · " (site.name) } }
                    small { (t::since(lang, date)) " · " (frame::heard(lang, site.heard, self.now)) }
                    @if site.waiting > 0 { small { (farms::t::waiting(lang, site.waiting)) } }
                }
            }
            @if site.revoked.is_some() {
                (Badge::new(Tone::Neutral, t::replaced(lang)))
            } @else {
                (Badge::new(Tone::Good, t::lets_in(lang)))
                @if self.is_owner() {
                    div.actions {
                        (self.make_form(Some(site.id), &Button::secondary(t::swap(lang))))
                        (Button::quiet(t::cut_off(lang)).opens(&dialog))
                    }
                    p.hint { (t::swap_text(lang)) }
                    (Confirm {
                        lang,
                        id: dialog,
                        title: t::cut_off_ask(lang).to_owned(),
                        text: t::cut_off_text(lang).to_owned(),
                        deed: t::cut_off(lang).to_owned(),
                        action: format!("{path}/sites/{}/revoke", site.id),
                        fields: Vec::new(),
                    })
                }
            }
        }
    }

    fn code(&self, code: &Claim) -> Markup {
        let (lang, path) = (self.lang, self.here.path());
        let left = fmt::duration(lang, code.expires.seconds_since(self.now));
        let text = match code.replaces {
            Some(_) => t::open_swap(lang, left),
            None => t::open_code(lang, left),
        };
        html! {
            form.cluster method="post" action={ (path) "/claims/" (code.id) "/withdraw" } {
                p { (text) }
                (Button::quiet(t::withdraw(lang)))
            }
        }
    }

    fn make_form(&self, replaces: Option<SiteId>, button: &Button) -> Markup {
        html! {
            @if self.is_owner() {
                form method="post" action={ (self.here.path()) "/claims" } {
                    @if let Some(site) = replaces { input type="hidden" name="replaces" value=(site); }
                    (button)
                }
            }
        }
    }

    fn is_owner(&self) -> bool {
        self.here.role == Role::Owner
    }
}

fn code_once(lang: Lang, here: &Here, hub: &str, code: &Secret) -> Markup {
    let grouped = code.grouped();
    html! {
        h1 { (t::code(lang)) }
        p { (t::code_text(lang)) }
        (copyable(lang, "claim-code", &grouped))
        @if let Some(picture) = qr(t::code(lang), &connect::link(hub, &grouped)) { (picture) }
        p { (t::hub_address(lang)) }
        (copyable(lang, "hub-address", hub))
        div.actions { (Button::primary(t::done(lang)).href(here.path())) }
    }
}
