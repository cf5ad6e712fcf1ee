//! What devices log in with: issued, shown once in the answer, and revoked.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use farm::credentials::{self, Certificate, Credentials};
use farm_model::{Device, DeviceId, UnixMillis};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{
    app::Web,
    auth::Caller,
    border::Bundle,
    error::{Error, Reason},
};

/// What a device holds. Moments are milliseconds since 1970.
#[derive(Serialize, ToSchema)]
pub(crate) struct CredentialsJson {
    /// The serial number that it said when it joined.
    serial: Option<String>,
    /// Since when it has its secret.
    secret_since: Option<i64>,
    /// Since when it has its frame key.
    frame_key_since: Option<i64>,
    /// When everything it held was revoked; none once something new was issued.
    revoked_at: Option<i64>,
    /// Its certificates, newest first.
    certificates: Vec<CertificateJson>,
}

/// A certificate of a device.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateJson {
    /// SHA-256 of its DER form, in pairs of hexadecimal digits.
    fingerprint: String,
    /// The authority's number of it, in hexadecimal digits.
    serial: String,
    /// From when it is good.
    not_before: i64,
    /// Until when.
    not_after: i64,
    /// When the device first came with it.
    used_at: Option<i64>,
    /// When it was revoked or replaced.
    revoked_at: Option<i64>,
}

impl From<Credentials> for CredentialsJson {
    fn from(held: Credentials) -> Self {
        let millis = |at: Option<UnixMillis>| at.map(|at| at.0);
        Self {
            serial: held.serial,
            secret_since: millis(held.secret_since),
            frame_key_since: millis(held.frame_key_since),
            revoked_at: millis(held.revoked),
            certificates: held.certificates.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Certificate> for CertificateJson {
    fn from(certificate: Certificate) -> Self {
        Self {
            fingerprint: certificate.fingerprint.to_string(),
            serial: certificate.serial,
            not_before: certificate.not_before.0,
            not_after: certificate.not_after.0,
            used_at: certificate.used.map(|at| at.0),
            revoked_at: certificate.revoked.map(|at| at.0),
        }
    }
}

/// A fresh secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct SecretJson {
    /// User name to log in with over MQTT: the device's slug.
    user: String,
    /// The secret. It is not shown again.
    secret: String,
}

/// A fresh frame key.
#[derive(Serialize, ToSchema)]
pub(crate) struct FrameKeyJson {
    /// 64 hexadecimal digits. They are not shown again.
    frame_key: String,
}

/// What is wanted of the authority.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateItem {
    /// A certificate request (PEM) of a device that made its own key; when absent, a key is made, too.
    request: Option<String>,
}

/// A fresh certificate; all PEM.
#[derive(Serialize, ToSchema)]
pub(crate) struct BundleJson {
    /// The authority's certificate.
    authority: String,
    /// The device's certificate.
    certificate: String,
    /// The device's private key, unless it made its own. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// Which certificate is to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndItem {
    /// Its fingerprint, or the authority's number of it.
    fingerprint: String,
}

/// Gives a device, named by slug or identity, a fresh secret; an older one ends at once.
#[utoipa::path(post, path = "/api/v1/devices/{device}/secret", tag = "devices", params(("device" = String, Path)),
    responses((status = OK, body = SecretJson)))]
pub(crate) async fn secret(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<SecretJson>, Error> {
    let device = find(&web, device).await?;
    let id = device.id;
    let issued = web
        .farm
        .write(caller.actor(), move |tx| credentials::issue_secret(tx, id));
    let secret = issued.await?.as_str().to_owned();
    let user = device.slug;
    Ok(Json(SecretJson { user, secret }))
}

/// Gives a device a fresh key for its frames; an older one ends at once.
#[utoipa::path(post, path = "/api/v1/devices/{device}/frame-key", tag = "devices", params(("device" = String, Path)),
    responses((status = OK, body = FrameKeyJson)))]
pub(crate) async fn frame_key(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<Json<FrameKeyJson>, Error> {
    let id = find(&web, device).await?.id;
    let issued = web.farm.write(caller.actor(), move |tx| {
        credentials::issue_frame_key(tx, id)
    });
    let frame_key = issued.await?.to_hex();
    Ok(Json(FrameKeyJson { frame_key }))
}

/// Has the farm's authority make a certificate for a device. Older ones stay good until the device comes with this one.
#[utoipa::path(post, path = "/api/v1/devices/{device}/certificate", tag = "devices", params(("device" = String, Path)),
    request_body = Option<CertificateItem>, responses((status = OK, body = BundleJson)))]
pub(crate) async fn certificate(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
    body: Bytes,
) -> Result<Json<BundleJson>, Error> {
    let id = find(&web, device).await?.id;
    let item: CertificateItem = if body.is_empty() {
        CertificateItem::default()
    } else {
        read(&body)?
    };
    let authority = web.options.authority.clone().ok_or(Reason::NotFound)?;
    let Bundle {
        authority,
        certificate,
        key,
    } = match item.request {
        Some(request) => authority.sign(caller.actor(), id, request).await?,
        None => authority.issue(caller.actor(), id).await?,
    };
    Ok(Json(BundleJson {
        authority,
        certificate,
        key,
    }))
}

/// Ends one certificate of a device.
#[utoipa::path(post, path = "/api/v1/devices/{device}/certificate/revoke", tag = "devices",
    params(("device" = String, Path)), request_body = EndItem, responses((status = NO_CONTENT)))]
pub(crate) async fn end_certificate(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let id = find(&web, device).await?.id;
    let item: EndItem = read(&body)?;
    web.farm
        .write(caller.actor(), move |tx| {
            credentials::revoke_certificate(tx, id, &item.fingerprint)
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all that a device holds, and its connections.
#[utoipa::path(post, path = "/api/v1/devices/{device}/revoke", tag = "devices", params(("device" = String, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn revoke(
    State(web): State<Web>,
    caller: Caller,
    Path(device): Path<String>,
) -> Result<StatusCode, Error> {
    let id = find(&web, device).await?.id;
    web.farm
        .write(caller.actor(), move |tx| credentials::revoke(tx, id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The certificate of the farm's authority (PEM), by which devices know this appliance.
#[utoipa::path(get, path = "/api/v1/authority", tag = "devices", responses((status = OK, body = String, content_type = "application/x-pem-file")))]
pub(crate) async fn authority(State(web): State<Web>) -> Result<impl IntoResponse, Error> {
    let authority = web.options.authority.as_ref().ok_or(Reason::NotFound)?;
    let kind = [(header::CONTENT_TYPE, "application/x-pem-file")];
    Ok((kind, authority.certificate()))
}

/// The device called so, by slug or identity.
pub(super) async fn find(web: &Web, device: String) -> Result<Device, Error> {
    let read = web.farm.read(move |conn| match device.parse::<DeviceId>() {
        Ok(id) => farm::devices::get(conn, id),
        Err(_) => farm::devices::find(conn, &device),
    });
    read.await?.ok_or_else(|| Reason::NotFound.into())
}

/// A body, or what is wrong with it.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|e| Error::from(Reason::Malformed).detail(e.to_string()))
}
