//! A farm with its router, and requests to it.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use farm::{Farm, firmware::Shelf};
use farm_firmware::{Rules, SigningKey};
use farm_web::{App, Firmware, NoHardware, Options, StoreIngest};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::seed::{self, Seeded};

/// A farm and its pages.
pub(crate) struct Site {
    pub(crate) farm: Farm,
    pub(crate) router: Router,
    _folder: tempfile::TempDir,
}

/// The vendor that the farm trusts.
pub(crate) fn vendor() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum As<'a> {
    Nobody,
    Session(&'a str),
    Token(&'a str),
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: String,
    pub(crate) cookie: String,
    pub(crate) text: String,
}

impl Answer {
    /// Reads an answer to its end.
    pub(crate) async fn of(response: Response) -> Self {
        let text = |name| {
            let value = response.headers().get(name);
            value.map_or(String::new(), |v| v.to_str().unwrap().to_owned())
        };
        let (status, location, cookie) = (
            response.status(),
            text(header::LOCATION),
            text(header::SET_COOKIE),
        );
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Self {
            status,
            location,
            cookie,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Site {
    /// A farm with nobody and nothing.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let farm = seed::farm(&folder.path().join("farm.db"));
        let router = farm_web::router(App {
            farm: farm.clone(),
            hardware: Arc::new(NoHardware),
            ingest: Arc::new(StoreIngest(farm.clone())),
            options: Options {
                setup_code: Some("123456".into()),
                firmware: Some(Firmware {
                    shelf: Shelf::new(folder.path().join("firmware"), vec![vendor().public()]),
                    rules: Rules::default(),
                }),
                ..Options::default()
            },
        });
        Self {
            farm,
            router,
            _folder: folder,
        }
    }

    /// A farm with something of everything.
    pub(crate) async fn full() -> (Self, Seeded) {
        let site = Self::empty();
        let seeded = seed::everything(&site.farm).await;
        (site, seeded)
    }

    pub(crate) async fn raw(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        who: As<'_>,
        kind: &str,
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        request = match who {
            As::Nobody => request,
            As::Session(secret) => {
                request.header(header::COOKIE, format!("session={secret}; lang=en"))
            }
            As::Token(secret) => request.header(header::AUTHORIZATION, format!("Bearer {secret}")),
        };
        if !kind.is_empty() {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Answer::of(self.raw(request).await).await
    }

    pub(crate) async fn get(&self, path: &str, who: As<'_>) -> Answer {
        self.ask(Method::GET, path, who, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, who: As<'_>, form: &str) -> Answer {
        let kind = "application/x-www-form-urlencoded";
        self.ask(Method::POST, path, who, kind, form).await
    }

    pub(crate) async fn post_json(
        &self,
        path: &str,
        who: As<'_>,
        body: &serde_json::Value,
    ) -> Answer {
        let kind = "application/json";
        self.ask(Method::POST, path, who, kind, &body.to_string())
            .await
    }
}
