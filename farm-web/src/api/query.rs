//! What a program asks for in the address, and what is said when it cannot be read.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The fields of a query. One that cannot be read is refused by its name.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(refused) => {
                let text = refused.body_text();
                let why = text.strip_prefix("Failed to deserialize query string: ");
                Err(Error::invalid(why.unwrap_or(&text).to_owned()))
            }
        }
    }
}
