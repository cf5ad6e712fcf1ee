//! The same farm as a hub shows it, under `/farms/preview`, last heard two hours ago.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    routing::any,
};
use farm::Farm;
use farm_model::{Clock as _, UnixMillis};
use farm_web::{
    App, Base, Host, HostLinks, Mount, Mounted, NoHardware, Options, Part, StoreIngest, Visitor,
};
use futures_util::future::BoxFuture;
use ui::{Lang, shell::Theme};

struct Hub(Farm);

impl Host for Hub {
    fn stands<'a>(&'a self, _: &'a Visitor) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn heard(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.0.clock().now().wall.0 - 2 * 3_600_000))
    }
}

/// The routes of a host that shows `farm`.
pub(crate) fn routes(farm: Farm) -> Result<Router, farm_web::BaseError> {
    let links = HostLinks {
        farms: "/".into(),
        account: "/".into(),
        log_out: "/".into(),
        preferences: "/".into(),
    };
    let mount = Mount {
        base: Base::new("/farms/preview")?,
        host: Arc::new(Hub(farm.clone())),
        links,
    };
    let app = App {
        hardware: Arc::new(NoHardware),
        ingest: Arc::new(StoreIngest(farm.clone())),
        farm,
        options: Options::default(),
    };
    Ok(Router::new()
        .route("/farms/preview/", any(answer))
        .route("/farms/preview/{*rest}", any(answer))
        .with_state(farm_web::mounted(app, mount)))
}

async fn answer(State(pages): State<Mounted>, request: Request) -> axum::response::Response {
    let look = super::look(&request);
    let is = |word: &str| look.iter().any(|part| part == word);
    let part = match () {
        () if is("reader") => Part::Reader,
        () if is("vet") => Part::Vet,
        () if is("worker") => Part::Worker,
        () if is("manager") => Part::Manager,
        () => Part::Owner,
    };
    let visitor = Visitor {
        account: "preview".into(),
        name: "Karim Uddin".into(),
        session: String::new(),
        part,
        lang: if is("en") { Lang::En } else { Lang::Bn },
        theme: if is("dark") {
            Theme::Dark
        } else {
            Theme::Light
        },
    };
    pages.answer(visitor, request).await
}
