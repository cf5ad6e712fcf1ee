//! `{"items": [...]}`: many things in one request, each with its own result.
//!
//! An item that cannot be read, or that the farm refuses, does not stop the others. An unknown field is refused by name, so
//! that a typing mistake in a script does not lose data in silence.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use farm::{Actor, Farm, StoreError, Tx};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::error::{Error, Reason};

/// Commands that may wait for the writer at once.
const IN_FLIGHT: usize = 512;

/// Items of a request, each read or with what is wrong with it.
#[derive(Debug)]
pub(crate) struct Batch<T>(pub(crate) Vec<Result<T, String>>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<T> {
    items: Vec<T>,
}

impl<T: DeserializeOwned> Batch<T> {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        // Nearly always all items are well; only else is each looked at alone.
        if let Ok(body) = serde_json::from_slice::<Body<T>>(bytes) {
            return Ok(Self(body.items.into_iter().map(Ok).collect()));
        }
        let body: Body<serde_json::Value> = serde_json::from_slice(bytes)
            .map_err(|e| Error::from(Reason::Malformed).detail(e.to_string()))?;
        Ok(Self(
            body.items
                .into_iter()
                .map(|item| serde_path_to_error::deserialize(item).map_err(|e| by_name(&e)))
                .collect(),
        ))
    }
}

/// What is wrong with an item, beginning with the field it is wrong with. An error about the fields there are names them itself.
pub(super) fn by_name(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let (path, why) = (error.path().to_string(), error.inner().to_string());
    let names_it = ["unknown field", "missing field", "duplicate field"];
    if path == "." || names_it.iter().any(|beginning| why.starts_with(beginning)) {
        why
    } else {
        format!("{path}: {why}")
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Batch<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes =
            Bytes::from_request(request, state)
                .await
                .map_err(|rejection| match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Reason::TooLarge,
                    _ => Reason::Malformed,
                })?;
        Self::parse(&bytes)
    }
}

/// What became of one item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is new and stored.
    Created,
    /// It was known and is now as given.
    Updated,
    /// It was known just so; nothing was done.
    Unchanged,
    /// It was not taken; `detail` says why.
    Rejected,
}

/// One item's result.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Position in the request, from 0.
    pub(crate) index: usize,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// Its identity, if it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl ItemResult {
    pub(crate) fn done(index: usize, outcome: Outcome, id: String) -> Self {
        Self {
            index,
            outcome,
            id: Some(id),
            detail: None,
        }
    }

    pub(crate) fn rejected(index: usize, detail: &impl ToString) -> Self {
        Self {
            index,
            outcome: Outcome::Rejected,
            id: None,
            detail: Some(detail.to_string()),
        }
    }
}

/// The results of a batch, with their sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResult {
    /// Items stored anew.
    pub(crate) created: usize,
    /// Items changed.
    pub(crate) updated: usize,
    /// Items known just so.
    pub(crate) unchanged: usize,
    /// Items not taken.
    pub(crate) rejected: usize,
    /// One entry for each item, in the order of the request.
    pub(crate) results: Vec<ItemResult>,
}

impl From<Vec<ItemResult>> for BatchResult {
    fn from(mut results: Vec<ItemResult>) -> Self {
        results.sort_by_key(|r| r.index);
        let count = |outcome| results.iter().filter(|r| r.outcome == outcome).count();
        Self {
            created: count(Outcome::Created),
            updated: count(Outcome::Updated),
            unchanged: count(Outcome::Unchanged),
            rejected: count(Outcome::Rejected),
            results,
        }
    }
}

impl IntoResponse for BatchResult {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// Splits a batch into what can be used, with positions, and the results of what cannot.
pub(crate) fn sort_out<T>(batch: Batch<T>) -> (Vec<(usize, T)>, Vec<ItemResult>) {
    let mut good = Vec::with_capacity(batch.0.len());
    let mut bad = Vec::new();
    for (index, item) in batch.0.into_iter().enumerate() {
        match item {
            Ok(item) => good.push((index, item)),
            Err(detail) => bad.push(ItemResult::rejected(index, &detail)),
        }
    }
    (good, bad)
}

/// Stores one item; gives what became of it and its identity.
pub(crate) type Command<T, E> = fn(&mut Tx<'_>, &T) -> Result<(Outcome, String), E>;

/// Runs `command` for each item in a savepoint of its own, so that one that fails takes nothing back from the others; the
/// writer commits them in groups.
pub(crate) async fn each<T, E>(
    farm: &Farm,
    actor: &Actor,
    batch: Batch<T>,
    command: Command<T, E>,
) -> BatchResult
where
    T: Send + 'static,
    E: std::fmt::Display + From<StoreError> + Send + 'static,
{
    let (items, mut results) = sort_out(batch);
    let done = stream::iter(items)
        .map(|(index, item)| {
            let written = farm.write(actor.clone(), move |tx| command(tx, &item));
            async move {
                match written.await {
                    Ok((outcome, id)) => ItemResult::done(index, outcome, id),
                    Err(error) => ItemResult::rejected(index, &error),
                }
            }
        })
        .buffered(IN_FLIGHT)
        .collect::<Vec<_>>()
        .await;
    results.extend(done);
    results.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Cow {
        #[serde(rename = "number")]
        _number: String,
    }

    #[test]
    fn one_bad_item_does_not_spoil_the_others() {
        let body = br#"{"items": [{"number": "1"}, {"number": "2", "colour": "red"}, {}]}"#;
        let Batch(items) = Batch::<Cow>::parse(body).unwrap();
        assert!(items[0].is_ok());
        assert_eq!(
            items[1].as_ref().unwrap_err(),
            "unknown field `colour`, expected `number`"
        );
        assert_eq!(items[2].as_ref().unwrap_err(), "missing field `number`");
    }

    #[test]
    fn what_is_no_batch_is_refused_whole() {
        for body in [
            &b"[]"[..],
            b"{}",
            b"{\"items\": []",
            b"{\"items\": [], \"more\": 1}",
        ] {
            let error = Batch::<Cow>::parse(body).unwrap_err();
            assert_eq!(error.reason, Reason::Malformed);
        }
    }
}
