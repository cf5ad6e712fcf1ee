//! Who belongs to a farm, and who is invited to.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use hub_accounts::{
    AccountId, Email,
    ids::InvitationId,
    members::{self, Invitation, Member},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Items, Told, ms, role};
use crate::web::{Error, Here, Me, Web};

/// Somebody who belongs to the farm.
#[derive(Serialize, ToSchema)]
pub(super) struct MemberJson {
    /// Identity of the account.
    account: String,
    name: String,
    email: String,
    /// `read_only`, `worker`, `vet`, `manager` or `owner`.
    role: &'static str,
    since: i64,
}

impl From<Member> for MemberJson {
    fn from(member: Member) -> Self {
        Self {
            account: member.account.id.to_string(),
            name: member.account.name,
            email: member.account.email,
            role: member.role.key(),
            since: ms(member.since),
        }
    }
}

/// Members, by name.
#[utoipa::path(get, path = "/api/v1/farms/{slug}/members", tag = "members", params(("slug" = String, Path)), responses((status = OK, body = Items<MemberJson>)))]
pub(super) async fn list(
    State(web): State<Web>,
    here: Here,
) -> Result<Json<Items<MemberJson>>, Error> {
    let farm = here.farm.id;
    let people = web.store.read(move |tx| members::list(tx, farm)).await?;
    Ok(Items::of(people))
}

/// What somebody is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    /// `read_only`, `worker`, `vet`, `manager` or `owner`.
    role: String,
}

/// Gives a member another role; one owner always remains.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/members/{account}/role", tag = "members", params(("slug" = String, Path), ("account" = String, Path)), request_body = NewRole, responses((status = NO_CONTENT)))]
pub(super) async fn set_role(
    State(web): State<Web>,
    me: Me,
    here: Here,
    at: Path<(String, AccountId)>,
    Told(new): Told<NewRole>,
) -> Result<StatusCode, Error> {
    let who = at.0.1;
    let (by, farm, role) = (me.account.id, here.farm.id, role(&new.role)?);
    web.store
        .write(move |tx| members::set_role(tx, by, farm, who, role))
        .await?;
    web.farms.revoke(farm, &who.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a member out; one owner always remains.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/members/{account}/remove", tag = "members", params(("slug" = String, Path), ("account" = String, Path)), responses((status = NO_CONTENT)))]
pub(super) async fn remove(
    State(web): State<Web>,
    me: Me,
    here: Here,
    at: Path<(String, AccountId)>,
) -> Result<StatusCode, Error> {
    let who = at.0.1;
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| members::remove(tx, by, farm, who))
        .await?;
    web.farms.revoke(farm, &who.to_string()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// An invitation that waits.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationJson {
    /// Identity.
    id: String,
    /// Whom it is for.
    email: String,
    role: &'static str,
    expires: i64,
}

impl From<Invitation> for InvitationJson {
    fn from(invitation: Invitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            email: invitation.email,
            role: invitation.role.key(),
            expires: ms(invitation.expires),
        }
    }
}

/// Invitations that wait, by address.
#[utoipa::path(get, path = "/api/v1/farms/{slug}/invitations", tag = "members", params(("slug" = String, Path)), responses((status = OK, body = Items<InvitationJson>)))]
pub(super) async fn invitations(
    State(web): State<Web>,
    here: Here,
) -> Result<Json<Items<InvitationJson>>, Error> {
    let farm = here.farm.id;
    let waiting = web
        .store
        .read(move |tx| members::invitations(tx, farm))
        .await?;
    Ok(Items::of(waiting))
}

/// Whom to invite, and as what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInvitation {
    email: String,
    /// `read_only`, `worker`, `vet`, `manager` or `owner`.
    role: String,
}

/// An invitation that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitedJson {
    /// To be sent to them; shown here alone, for one week.
    link: String,
}

/// Invites somebody by a link.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/invitations", tag = "members", params(("slug" = String, Path)), request_body = NewInvitation, responses((status = CREATED, body = InvitedJson)))]
pub(super) async fn invite(
    State(web): State<Web>,
    me: Me,
    here: Here,
    Told(new): Told<NewInvitation>,
) -> Result<(StatusCode, Json<InvitedJson>), Error> {
    let email = Email::new(&new.email)
        .map_err(|_| Error::invalid("email: write an address such as rahima@example.com"))?;
    let (by, farm, role) = (me.account.id, here.farm.id, role(&new.role)?);
    let secret = web
        .store
        .write(move |tx| members::invite(tx, by, farm, &email, role))
        .await?;
    let link = crate::pages::invitation_link(&web.options.address.url, &secret);
    Ok((StatusCode::CREATED, Json(InvitedJson { link })))
}

/// Withdraws an invitation.
#[utoipa::path(post, path = "/api/v1/farms/{slug}/invitations/{invitation}/withdraw", tag = "members", params(("slug" = String, Path), ("invitation" = String, Path)), responses((status = NO_CONTENT)))]
pub(super) async fn withdraw(
    State(web): State<Web>,
    me: Me,
    here: Here,
    at: Path<(String, InvitationId)>,
) -> Result<StatusCode, Error> {
    let invitation = at.0.1;
    let (by, farm) = (me.account.id, here.farm.id);
    web.store
        .write(move |tx| members::withdraw(tx, by, farm, invitation))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
