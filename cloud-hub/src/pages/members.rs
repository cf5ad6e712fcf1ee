//! Who belongs to a farm and what they may do, and the invitations that wait.

use axum::{
    extract::{Form, Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use farm_web::common::Typed;
use hub_accounts::{
    AccountId, Email, Role, Secret,
    ids::InvitationId,
    members::{self, Invitation, Member, MemberError},
};
use hub_store::{Micros, StoreError};
use maud::{Markup, html};
use serde::Deserialize;
use ui::{
    Lang,
    components::{
        Badge, Button, Choice, Confirm, Field, Select, avatar, copyable, form_error, section,
    },
    fmt,
    icons::Icon,
    shell::Tone,
};

use super::{farm, frame};
use crate::web::{Error, Here, Me, Needs, Reason, Routes, Web};

pub(crate) mod t {
    ui::texts! {
        title = "Members" / "সদস্য";
        you = "you" / "আপনি";
        no_second_factor = "No second factor yet" / "দ্বিতীয় ধাপ এখনো চালু হয়নি";
        role = "Role" / "দায়িত্ব";
        change = "Change" / "বদলান";
        remove = "Take out" / "বাদ দিন";
        remove_ask(name) = "Take {name} out of the farm?" / "{name}-কে খামার থেকে বাদ দেবেন?";
        remove_text = "They see nothing of this farm any more. Their account and other farms stay." / "তিনি এই খামারের কিছুই আর দেখবেন না। তাঁর অ্যাকাউন্ট ও অন্য খামার থাকবে।";
        last_owner = "One owner must remain. Make somebody else an owner first." / "একজন মালিক থাকতেই হবে। আগে আরেকজনকে মালিক করুন।";
        invite = "Invite somebody" / "কাউকে আমন্ত্রণ দিন";
        invite_text = "You get a link; send it to them yourself. It works for this address alone and ends after a week." / "আপনি একটি লিংক পাবেন; নিজেই তাঁকে পাঠান। লিংকটি শুধু এই ঠিকানার জন্য, এক সপ্তাহ পরে শেষ।";
        email = "Their e-mail address" / "তাঁর ইমেইল ঠিকানা";
        bad_email = "Write an address, such as name@example.com." / "একটি ঠিকানা লিখুন, যেমন name@example.com।";
        already = "They belong to the farm already. Change their role in the list." / "তিনি আগে থেকেই খামারে আছেন। তালিকায় দায়িত্ব বদলান।";
        too_many = "Too many invitations wait. Withdraw those that are not needed." / "অনেক আমন্ত্রণ অপেক্ষায় আছে। অপ্রয়োজনীয়গুলো বাতিল করুন।";
        no_role = "Choose a role." / "একটি দায়িত্ব বেছে নিন।";
        make = "Make the link" / "লিংক বানান";
        link = "Send this link" / "এই লিংকটি পাঠান";
        link_text(email, role) = "It lets {email} in as {role}. It is not shown again." / "এটি দিয়ে {email} {role} হিসেবে ঢুকবেন। আর দেখানো হবে না।";
        waiting = "Invitations that wait" / "অপেক্ষমাণ আমন্ত্রণ";
        ends_in(time) = "ends in {time}" / "{time} পরে শেষ";
        withdraw = "Withdraw" / "বাতিল করুন";
        back = "Back to the members" / "সদস্যদের তালিকায় ফিরুন";
    }
}

pub(crate) fn routes(routes: Routes) -> Routes {
    let owner = Needs::Member(Role::Owner);
    routes
        .get(Needs::Member(Role::Manager), "/manage/{slug}/members", page)
        .post(owner, "/manage/{slug}/members/{account}/role", set_role)
        .post(owner, "/manage/{slug}/members/{account}/remove", remove)
        .post(owner, "/manage/{slug}/invitations", invite)
        .post(
            owner,
            "/manage/{slug}/invitations/{invitation}/withdraw",
            withdraw,
        )
}

async fn page(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
) -> Result<Response, Error> {
    show(&web, &headers, &me, &here, &Typed::default(), None).await
}

async fn show(
    web: &Web,
    headers: &HeaderMap,
    me: &Me,
    here: &Here,
    typed: &Typed,
    error: Option<&str>,
) -> Result<Response, Error> {
    let lang = frame::lang_of(headers);
    let id = here.farm.id;
    let (people, waiting) = web
        .store
        .read(move |tx| {
            Ok::<_, StoreError>((members::list(tx, id)?, members::invitations(tx, id)?))
        })
        .await?;
    let shown = Shown {
        lang,
        me,
        here,
        now: web.store.now(),
    };
    let body = html! {
        @if let Some(error) = error { (form_error(error)) }
        (shown.people(&people))
        @if here.role == Role::Owner {
            @if !waiting.is_empty() { (shown.waiting(&waiting)) }
            (shown.invite(typed))
        }
    };
    let page = farm::framed(lang, headers, me, here, "/members", &body);
    Ok(match error {
        Some(_) => (axum::http::StatusCode::CONFLICT, page).into_response(),
        None => typed.answer(page),
    })
}

#[derive(Deserialize)]
struct NewRole {
    role: String,
}

async fn set_role(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    Path((_, who)): Path<(String, AccountId)>,
    Form(new): Form<NewRole>,
) -> Result<Response, Error> {
    let role = Role::from_key(&new.role).ok_or(Reason::Malformed)?;
    let (by, farm) = (me.account.id, here.farm.id);
    let done = web
        .store
        .write(move |tx| members::set_role(tx, by, farm, who, role))
        .await;
    web.farms.revoke(farm, &who.to_string()).await;
    settled(&web, &headers, &me, &here, done).await
}

async fn remove(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    Path((_, who)): Path<(String, AccountId)>,
) -> Result<Response, Error> {
    let (by, farm) = (me.account.id, here.farm.id);
    let done = web
        .store
        .write(move |tx| members::remove(tx, by, farm, who))
        .await;
    web.farms.revoke(farm, &who.to_string()).await;
    settled(&web, &headers, &me, &here, done).await
}

/// Back to the list, or the list with what went wrong above it.
async fn settled(
    web: &Web,
    headers: &HeaderMap,
    me: &Me,
    here: &Here,
    done: Result<(), MemberError>,
) -> Result<Response, Error> {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("{}/members", here.path())).into_response()),
        Err(MemberError::LastOwner) => {
            let text = t::last_owner(frame::lang_of(headers));
            show(web, headers, me, here, &Typed::default(), Some(text)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn invite(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    mut typed: Typed,
) -> Result<Response, Error> {
    let lang = frame::lang_of(&headers);
    let email = Email::new(typed.text("email")).ok();
    if email.is_none() {
        typed.wrong("email", t::bad_email(lang));
    }
    let role = Role::from_key(typed.text("role"));
    if role.is_none() {
        typed.wrong("role", t::no_role(lang));
    }
    let (Some(email), Some(role)) = (email, role) else {
        return show(&web, &headers, &me, &here, &typed, None).await;
    };
    let (by, farm, address) = (me.account.id, here.farm.id, email.clone());
    let made = web
        .store
        .write(move |tx| members::invite(tx, by, farm, &address, role))
        .await;
    match made {
        Ok(secret) => {
            let body = link_once(lang, &here, &web.options.address.url, &email, role, &secret);
            Ok(farm::framed(lang, &headers, &me, &here, "/members", &body).into_response())
        }
        Err(MemberError::Already) => {
            typed.wrong("email", t::already(lang));
            show(&web, &headers, &me, &here, &typed, None).await
        }
        Err(MemberError::TooMany) => {
            typed.wrong("email", t::too_many(lang));
            show(&web, &headers, &me, &here, &typed, None).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn withdraw(
    State(web): State<Web>,
    headers: HeaderMap,
    me: Me,
    here: Here,
    Path((_, id)): Path<(String, InvitationId)>,
) -> Result<Response, Error> {
    let (by, farm) = (me.account.id, here.farm.id);
    let done = web
        .store
        .write(move |tx| members::withdraw(tx, by, farm, id))
        .await;
    settled(&web, &headers, &me, &here, done).await
}

impl From<MemberError> for Error {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Unknown => Reason::NotFound.into(),
            MemberError::Store(error) => error.into(),
            why => Self::from(Reason::Conflict).detail(why.to_string()),
        }
    }
}

struct Shown<'a> {
    lang: Lang,
    me: &'a Me,
    here: &'a Here,
    now: Micros,
}

impl Shown<'_> {
    fn people(&self, people: &[Member]) -> Markup {
        section(
            t::title(self.lang),
            &html! {
                ul.readings { @for person in people { li.reading-row { (self.person(person)) } } }
            },
        )
    }

    fn person(&self, person: &Member) -> Markup {
        let (lang, account) = (self.lang, &person.account);
        let path = format!("{}/members/{}", self.here.path(), account.id);
        let dialog = format!("remove-{}", account.id);
        html! {
            div.cluster {
                (avatar(&account.name))
                span.tile-text {
                    strong {
                        (account.name)
                        @if account.id == self.me.account.id { " (" (t::you(lang)) ")" }
                    }
                    small { (account.email) " · " (frame::role(lang, person.role)) }
                }
            }
            @if person.role == Role::Owner && !account.second_factor {
                (Badge::new(Tone::Warn, t::no_second_factor(lang)))
            }
            @if self.here.role == Role::Owner {
                details.fold {
                    summary { (t::change(lang)) }
                    form.row method="post" action={ (path) "/role" } {
                        (roles(lang).chosen(person.role.key()))
                        (Button::secondary(t::change(lang)))
                    }
                    (Button::quiet(t::remove(lang)).icon(Icon::Bin).opens(&dialog))
                }
                (Confirm {
                    lang,
                    id: dialog,
                    title: t::remove_ask(lang, &account.name),
                    text: t::remove_text(lang).to_owned(),
                    deed: t::remove(lang).to_owned(),
                    action: format!("{path}/remove"),
                    fields: Vec::new(),
                })
            }
        }
    }

    fn waiting(&self, waiting: &[Invitation]) -> Markup {
        let (lang, path) = (self.lang, self.here.path());
        let list = html! {
            ul.readings {
                @for one in waiting {
                    li.reading-row {
                        div {
                            span.tile-text {
                                strong { (one.email) }
                                small {
                                    (frame::role(lang, one.role)) " · "
                                    (t::ends_in(lang, fmt::duration(lang, one.expires.seconds_since(self.now))))
                                }
                            }
                        }
                        form method="post" action={ (path) "/invitations/" (one.id) "/withdraw" } {
                            (Button::quiet(t::withdraw(lang)))
                        }
                    }
                }
            }
        };
        section(t::waiting(lang), &list)
    }

    fn invite(&self, typed: &Typed) -> Markup {
        let lang = self.lang;
        let email = Field::text("email", t::email(lang)).required();
        let form = html! {
            form.form method="post" action={ (self.here.path()) "/invitations" } {
                p { (t::invite_text(lang)) }
                (typed.field("email", email))
                (typed.select("role", roles(lang)))
                (Button::primary(t::make(lang)).icon(Icon::Plus))
            }
        };
        section(t::invite(lang), &form)
    }
}

fn roles(lang: Lang) -> Select {
    let choices = Role::ALL
        .iter()
        .map(|role| Choice::new(role.key(), frame::role(lang, *role)));
    Select::new("role", t::role(lang), choices.collect())
}

/// What is sent to somebody who is invited.
pub(crate) fn invitation_link(hub: &str, secret: &Secret) -> String {
    format!("{hub}/invitations/{}", secret.as_str())
}

fn link_once(
    lang: Lang,
    here: &Here,
    hub: &str,
    email: &Email,
    role: Role,
    secret: &Secret,
) -> Markup {
    let link = invitation_link(hub, secret);
    html! {
        h2 { (t::link(lang)) }
        p { (t::link_text(lang, email.as_str(), frame::role(lang, role))) }
        (copyable(lang, "invitation", &link))
        div.actions { (Button::primary(t::back(lang)).href(format!("{}/members", here.path()))) }
    }
}
