//! The milking sessions of each day.

use axum::{Json, extract::State};
use farm::{
    plan::{self, PlanError},
    text::Name,
};
use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Items,
    batch::{Batch, sort_out},
};
use crate::{
    app::Web,
    auth::Caller,
    error::{Error, Reason},
};

/// A session of each day.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionJson {
    /// Its number of the day, from 1; ignored when storing, where the order decides.
    #[serde(default)]
    number: u8,
    /// What people call it.
    name: String,
    /// When it begins, local time: `04:00`.
    #[schema(value_type = String)]
    starts: Time,
    /// When it ends, local time.
    #[schema(value_type = String)]
    ends: Time,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub(crate) struct SessionsBody {
    items: Vec<SessionJson>,
}

/// The plan of the day.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", responses((status = OK, body = Items<SessionJson>)))]
pub(crate) async fn list(State(web): State<Web>) -> Result<Json<Items<SessionJson>>, Error> {
    let plan = web.farm.read(plan::load).await?;
    let items = plan
        .sessions
        .into_iter()
        .map(|s| SessionJson {
            number: s.number,
            name: s.name,
            starts: s.starts,
            ends: s.ends,
        })
        .collect();
    Ok(Json(Items { items }))
}

/// Replaces the plan of the day by the given sessions, all or none.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = SessionsBody,
    responses((status = OK, body = Items<SessionJson>)))]
pub(crate) async fn save(
    State(web): State<Web>,
    caller: Caller,
    batch: Batch<SessionJson>,
) -> Result<Json<Items<SessionJson>>, Error> {
    let (items, bad) = sort_out(batch);
    if let Some(bad) = bad.first() {
        let why = bad.detail.clone().unwrap_or_default();
        return Err(Error::invalid(format!("items[{}]: {why}", bad.index)));
    }
    let mut sessions = Vec::new();
    for (index, item) in &items {
        let name = Name::new(&item.name)
            .map_err(|e| Error::invalid(format!("items[{index}].name: {e}")))?;
        sessions.push((name, item.starts, item.ends));
    }
    web.farm
        .write(caller.actor(), move |tx| {
            let now = plan::load(tx.conn())?;
            let same = now.sessions.len() == sessions.len()
                && now
                    .sessions
                    .iter()
                    .zip(&sessions)
                    .all(|(a, b)| a.name == b.0.as_str() && (a.starts, a.ends) == (b.1, b.2));
            if same {
                return Ok(());
            }
            plan::save(tx, &sessions).map_err(Error::from)
        })
        .await?;
    list(State(web)).await
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Store(error) => error.into(),
            error => Self::from(Reason::Invalid).detail(error.to_string()),
        }
    }
}
