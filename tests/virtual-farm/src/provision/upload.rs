//! Tells an appliance about the farm through its JSON API.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde_json::Value;
use tokio::time::sleep;

use crate::provision::{Documents, History};

/// Items in one request.
const BATCH: usize = 2_000;

/// How long the appliance may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

const RETRY: Duration = Duration::from_millis(100);

/// How many items of each kind were told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Report {
    /// Animals.
    pub animals: usize,
    /// Devices.
    pub devices: usize,
    /// Milkings of the past.
    pub milkings: usize,
    /// Readings of the past.
    pub observations: usize,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Tells the appliance at `base` about the farm; `token` opens its API.
///
/// # Errors
/// When the appliance does not start in a minute, or refuses something.
pub async fn upload(
    base: &str,
    token: &str,
    documents: &Documents,
    history: &History,
) -> anyhow::Result<Report> {
    let api = Api::new(base, token);
    api.wait().await?;
    let started = Instant::now();
    api.post("sessions", &documents.sessions).await?;
    api.post("places", &documents.places).await?;
    api.post("animals", &documents.animals).await?;
    api.post("devices", &documents.devices).await?;
    api.post("milkings?times=certain", &history.milkings)
        .await?;
    api.post("observations", &history.readings).await?;
    Ok(Report {
        animals: documents.animals.len(),
        devices: documents.devices.len(),
        milkings: history.milkings.len(),
        observations: history.readings.len(),
        took_ms: started.elapsed().as_millis() as u64,
    })
}

/// The appliance's API.
pub struct Api {
    client: Client,
    base: String,
    token: String,
}

#[derive(Serialize)]
struct Body<'a, T> {
    items: &'a [T],
}

impl Api {
    /// The API of the appliance at `base`, with a token that opens it.
    pub fn new(base: &str, token: &str) -> Self {
        Self {
            client: Client::new(),
            base: base.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
        }
    }

    /// Waits until the appliance answers.
    ///
    /// # Errors
    /// When it does not in a minute.
    pub async fn wait(&self) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.base);
        let began = Instant::now();
        loop {
            match self.client.get(&url).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
                last if began.elapsed() > PATIENCE => match last {
                    Ok(answer) => bail!("{url} answers {}", answer.status()),
                    Err(error) => return Err(error).context("the appliance does not answer"),
                },
                _ => sleep(RETRY).await,
            }
        }
    }

    /// What stands under `path`.
    ///
    /// # Errors
    /// When the appliance refuses it.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.text(path).await?)?)
    }

    /// The same, as it stands.
    ///
    /// # Errors
    /// When the appliance refuses it.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}/api/v1/{path}", self.base);
        let answer = self.client.get(&url).bearer_auth(&self.token).send();
        Ok(answer.await?.error_for_status()?.text().await?)
    }

    /// Asks for what is made anew, such as a secret.
    ///
    /// # Errors
    /// When the appliance refuses it.
    pub async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/v1/{path}", self.base);
        let answer = self.client.post(&url).bearer_auth(&self.token).send();
        Ok(answer.await?.error_for_status()?.json().await?)
    }

    /// Stores the items of a collection.
    ///
    /// # Errors
    /// When the appliance refuses one.
    pub async fn post<T: Serialize>(&self, collection: &str, items: &[T]) -> anyhow::Result<()> {
        let url = format!("{}/api/v1/{collection}", self.base);
        for items in items.chunks(BATCH) {
            let request = self
                .client
                .post(&url)
                .bearer_auth(&self.token)
                .json(&Body { items });
            let answer = request.send().await.with_context(|| url.clone())?;
            let status = answer.status();
            let text = answer.text().await?;
            if !status.is_success() {
                bail!("{url} answers {status}: {text}");
            }
            if let Some(refused) = refused(&text) {
                bail!("{url} refused {refused}");
            }
        }
        Ok(())
    }
}

/// The first item that a batch's answer says was not taken.
fn refused(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let is_refused = |item: &&Value| item["outcome"] == "rejected";
    let lists = [&answer["rejected"], &answer["results"]];
    lists
        .into_iter()
        .filter_map(Value::as_array)
        .flatten()
        .find(is_refused)
        .map(Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_item_is_found_in_either_form_of_answer() {
        let item = r#"{"index":3,"outcome":"rejected","detail":"yield_ml: too much"}"#;
        for answer in [
            format!(r#"{{"stored":3,"rejected":[{item}]}}"#),
            format!(r#"{{"rejected":1,"results":[{{"index":0,"outcome":"created"}},{item}]}}"#),
        ] {
            assert!(refused(&answer).unwrap().contains("too much"), "{answer}");
        }
        assert_eq!(
            refused(r#"{"rejected":0,"results":[{"index":0,"outcome":"created"}]}"#),
            None
        );
        assert_eq!(refused(r#"{"stored":3,"rejected":[]}"#), None);
    }
}
