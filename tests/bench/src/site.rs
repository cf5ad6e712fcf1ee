//! The pages over a farm's file, in this process: what a request costs the server, without a network.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use farm::{Actor, Farm, Options, auth, staff, text::Name};
use farm_model::{Role, StaffId, UnixMillis, time::ScaledClock};
use farm_web::{App, NoHardware, StoreIngest, router};
use tower::ServiceExt;

/// A farm whose owner is logged in.
pub(crate) struct Site {
    pub(crate) farm: Farm,
    pub(crate) owner: StaffId,
    router: Router,
    cookie: String,
}

/// What a request got.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    /// To the last byte of the answer.
    pub(crate) time: Duration,
}

/// Opens the farm in `path` at the moment `now`.
pub(crate) fn open_farm(path: &Path, now: i64) -> anyhow::Result<Farm> {
    let clock = Arc::new(ScaledClock::new(UnixMillis(now), 1.0, 0));
    let options = Options {
        clock,
        ..Options::default()
    };
    Ok(Farm::open(path, options)?)
}

impl Site {
    /// Opens the farm in `path` at the moment `now`, and logs an owner in; must be called within a tokio runtime.
    pub(crate) async fn open(path: &Path, now: i64) -> anyhow::Result<Self> {
        let farm = open_farm(path, now)?;
        let hash = owners_pin()?;
        let (owner, secret) = farm
            .write(Actor::CommandLine, move |tx| {
                let known = staff::list(tx.conn())?
                    .into_iter()
                    .find(|s| s.role == Role::Owner);
                let owner = match known {
                    Some(owner) => owner.id,
                    None => staff::add(tx, &Name::new("রহিমা")?, Role::Owner, &hash)?,
                };
                anyhow::Ok((owner, auth::open(tx, owner, "bench")?))
            })
            .await?;
        let app = App {
            farm: farm.clone(),
            hardware: Arc::new(NoHardware),
            ingest: Arc::new(StoreIngest(farm.clone())),
            options: farm_web::Options::default(),
        };
        Ok(Self {
            router: router(app),
            cookie: format!("session={}", secret.as_str()),
            farm,
            owner,
        })
    }

    /// Asks for `path` as a browser does.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Got> {
        let request = Request::get(path)
            .header("cookie", &self.cookie)
            .header("host", "khamar.local")
            .header("accept-encoding", "gzip, deflate")
            .body(Body::empty())?;
        let started = Instant::now();
        let answer = self
            .router
            .clone()
            .oneshot(request)
            .await
            .context("the router never fails")?;
        let status = answer.status();
        to_bytes(answer.into_body(), usize::MAX).await?;
        Ok(Got {
            status,
            time: started.elapsed(),
        })
    }
}

fn owners_pin() -> anyhow::Result<staff::PinHash> {
    Ok(staff::Pin::new("2580")?.hash())
}
