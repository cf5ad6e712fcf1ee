//! The API's way into the pipeline: the same as that of MQTT and of the drivers.

use farm::StoreError;
use farm_model::Observation;
use farm_web::{Ingest, Refused, Report};
use futures_util::future::BoxFuture;

use crate::ingest::{Intake, Told};

/// Hands what comes over HTTP to the pipeline.
pub(crate) struct ApiIngest(Intake);

impl ApiIngest {
    pub(crate) fn new(intake: Intake) -> Self {
        Self(intake)
    }
}

impl Ingest for ApiIngest {
    fn submit(&self, items: Vec<Observation>) -> BoxFuture<'_, Result<Report, Refused>> {
        let stored = self
            .0
            .submit(items.into_iter().map(Told::Observed).collect());
        Box::pin(async move {
            let report = stored.await.map_err(|e| refused(&e))?;
            Ok(Report {
                stored: report.stored as u64,
                duplicates: report.duplicates as u64,
            })
        })
    }
}

fn refused(error: &StoreError) -> Refused {
    if error.is_transient() {
        Refused::Busy
    } else {
        Refused::Unavailable(error.to_string())
    }
}
