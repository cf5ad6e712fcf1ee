//! The pages of the appliance and of the hub, and the appliance's API, as a program asks for them.

use e2e::{
    Edge, Hub,
    hub::{PASSWORD, PEOPLE},
};
use reqwest::{Client, RequestBuilder, StatusCode, redirect::Policy};
use serde_json::Value;

/// Somebody who has logged in.
pub(crate) struct Visitor<'a> {
    edge: &'a Edge,
    client: Client,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// Logs in by name and PIN.
    pub(crate) async fn log_in(edge: &'a Edge, (name, pin): (&str, &str)) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let page = client.get(edge.url("/login")).send().await.unwrap();
        let page = page.text().await.unwrap();
        let before = &page[..page.find(name).expect("the log-in page names everybody")];
        let who = &before[before.rfind("who=").unwrap() + 4..];
        let who = &who[..36];
        let answer = client
            .post(edge.url("/login"))
            .form(&[("who", who), ("pin", pin), ("next", "/")])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self {
            edge,
            client,
            cookie,
        }
    }

    /// A request for `path`, as this person.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client
            .get(self.edge.url(path))
            .header("cookie", &self.cookie)
    }

    /// What is sent to `path`, as this person.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(self.edge.url(path))
            .header("cookie", &self.cookie)
    }

    /// Sends a form, which must be taken.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) {
        let answer = self.post(path).form(fields).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
    }

    /// The page at `path`.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }
}

/// The farm's manager, logged in at the hub.
pub(crate) struct Manager<'a> {
    hub: &'a Hub,
    farm: &'a str,
    client: Client,
    cookie: String,
}

impl<'a> Manager<'a> {
    /// Logs in.
    pub(crate) async fn log_in(hub: &'a Hub, farm: &'a str) -> Self {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let log_in = [("email", PEOPLE[1]), ("password", PASSWORD), ("next", "/")];
        let request = client.post(hub.url("/login")).form(&log_in);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self {
            hub,
            farm,
            client,
            cookie,
        }
    }

    fn url(&self, path: &str) -> String {
        self.hub.url(&format!("/farms/{}{path}", self.farm))
    }

    /// The farm's page at `path`, in English.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = self
            .client
            .get(self.url(path))
            .header("accept-language", "en");
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// Sends a form to the farm, which must be taken.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) {
        let request = self.client.post(self.url(path)).form(fields);
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
    }
}

/// What the API answers.
pub(crate) async fn ask(edge: &Edge, path: &str) -> Value {
    let request = Client::new().get(edge.url(path)).bearer_auth(&edge.token);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

/// Tells the API of `items`; all must be taken.
pub(crate) async fn tell(edge: &Edge, path: &str, items: Value) {
    let request = Client::new().post(edge.url(path)).bearer_auth(&edge.token);
    let body = serde_json::json!({ "items": items });
    let answer = request.json(&body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    assert!(!text.contains(r#""outcome":"rejected""#), "{path}: {text}");
}
