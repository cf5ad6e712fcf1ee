//! The farm's authority at work: what it signs is entered in the farm before anybody is given it.

use std::sync::Arc;

use edge_ca::{Authority, CaError, Made, Validity};
use farm::{
    Actor, Farm,
    credentials::{self, Certificate, CredentialError, Fingerprint},
    devices,
};
use farm_model::{Clock as _, DeviceId, UnixMillis};
use farm_web::{AuthorityError, Bundle};
use futures_util::future::BoxFuture;

/// The authority and the farm that it signs for.
#[derive(Clone)]
pub(crate) struct FarmAuthority {
    farm: Farm,
    authority: Arc<Authority>,
}

impl FarmAuthority {
    pub(crate) fn new(farm: Farm, authority: Arc<Authority>) -> Self {
        Self { farm, authority }
    }

    async fn make(
        &self,
        actor: Actor,
        device: DeviceId,
        make: impl FnOnce(&Authority, &str, Validity) -> Result<Made, CaError>,
    ) -> Result<Bundle, AuthorityError> {
        let found = self.farm.read(move |conn| devices::get(conn, device)).await;
        let name = found
            .map_err(CredentialError::from)?
            .ok_or(CredentialError::UnknownDevice)?
            .slug;
        let now = self.farm.clock().now().wall;
        let made = make(&self.authority, &name, Validity::of_device(now)).map_err(refused)?;
        let certificate = certificate(&made, now);
        self.farm
            .write(actor, move |tx| {
                credentials::add_certificate(tx, device, &certificate)
            })
            .await?;
        Ok(Bundle {
            authority: self.authority.pem().to_owned(),
            certificate: made.pem,
            key: made.key,
        })
    }
}

impl farm_web::Authority for FarmAuthority {
    fn certificate(&self) -> String {
        self.authority.pem().to_owned()
    }

    fn issue(
        &self,
        actor: Actor,
        device: DeviceId,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>> {
        Box::pin(self.make(actor, device, Authority::issue))
    }

    fn sign(
        &self,
        actor: Actor,
        device: DeviceId,
        request: String,
    ) -> BoxFuture<'_, Result<Bundle, AuthorityError>> {
        Box::pin(self.make(actor, device, move |authority, name, validity| {
            authority.sign(name, request.as_bytes(), validity)
        }))
    }
}

fn certificate(made: &Made, now: UnixMillis) -> Certificate {
    Certificate {
        fingerprint: Fingerprint(made.fingerprint),
        serial: made.serial.clone(),
        not_before: made.validity.not_before,
        not_after: made.validity.not_after,
        issued: now,
        used: None,
        revoked: None,
    }
}

fn refused(error: CaError) -> AuthorityError {
    match error {
        CaError::BadRequest => AuthorityError::BadRequest,
        error => AuthorityError::Failed(error.to_string()),
    }
}
