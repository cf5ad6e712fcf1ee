//! Milk records as CSV, of any length: read in slices, so that a slow phone holds neither a connection nor memory.

use axum::{body::Body, extract::Query, response::Response};
use farm::{
    Farm, StoreError,
    milkings::{self, Record, VisitCursor, VisitFilter, VisitSort},
};
use farm_model::Milli;
use futures_util::stream;
use jiff::tz::TimeZone;
use ui::Lang;

use super::{Ctx, Wanted, t};
use crate::{
    error::Error,
    pages::{csv, herd},
    words::{self, t as w},
};

/// Records read at once.
const SLICE: usize = 2_000;

/// Where an export is.
enum At {
    Head,
    After(VisitCursor),
    End,
}

struct Export {
    farm: Farm,
    filter: VisitFilter,
    lang: Lang,
    tz: TimeZone,
    at: At,
}

impl Export {
    /// The next slice as text; none at the end.
    async fn next(mut self) -> Result<Option<(String, Self)>, StoreError> {
        let mut out = String::new();
        let after = match self.at {
            At::Head => {
                out.push_str(csv::MARK);
                head(self.lang, &mut out);
                None
            }
            At::After(cursor) => Some(cursor),
            At::End => return Ok(None),
        };
        let filter = self.filter.clone();
        let page = self
            .farm
            .read(move |conn| milkings::list(conn, &filter, VisitSort::Oldest, after, SLICE))
            .await?;
        for record in &page.records {
            row(self.lang, &self.tz, record, &mut out);
        }
        self.at = page.next.map_or(At::End, At::After);
        Ok(Some((out, self)))
    }
}

/// Everything that the list would show, oldest first.
pub(super) async fn export(ctx: Ctx, Query(wanted): Query<Wanted>) -> Result<Response, Error> {
    let filter = {
        let wanted = wanted.clone();
        ctx.web
            .farm
            .read(move |conn| Ok::<_, StoreError>(wanted.filter(wanted.animal(conn)?.as_ref())))
            .await?
    };
    let export = Export {
        farm: ctx.web.farm.clone(),
        filter,
        lang: ctx.lang,
        tz: ctx.tz(),
        at: At::Head,
    };
    let body = Body::from_stream(stream::try_unfold(export, Export::next));
    Ok(csv::file(&format!("milk-{}.csv", ctx.today()), body))
}

fn head(lang: Lang, out: &mut String) {
    csv::row(
        out,
        [
            w::date(lang),
            w::time(lang),
            w::session(lang),
            w::number(lang),
            w::name(lang),
            herd::t::tag_column(lang),
            t::stall(lang),
            w::litres(lang),
            w::quantity_fat(lang),
            w::quantity_snf(lang),
            w::quantity_conductivity(lang),
            t::remarks(lang),
            t::voided(lang),
        ],
    );
}

fn row(lang: Lang, tz: &TimeZone, record: &Record, out: &mut String) {
    let visit = &record.visit;
    let start = visit.start.timestamp().to_zoned(tz.clone());
    let number = |value: Option<Milli>| value.map(|v| v.to_string()).unwrap_or_default();
    let remarks: Vec<&str> = std::iter::once(words::destination(lang, visit.destination))
        .chain(visit.findings.iter().map(|f| words::finding(lang, *f)))
        .collect();
    csv::row(
        out,
        [
            visit.session.date.to_string(),
            start.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            visit.session.number.to_string(),
            record.animal_number.clone(),
            record.animal_name.clone(),
            visit
                .tag
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            visit.stall.map(|s| s.to_string()).unwrap_or_default(),
            csv::litres(visit.yield_ml),
            number(visit.fat),
            number(visit.snf),
            number(visit.conductivity),
            remarks.join("; "),
            if visit.voided { "1" } else { "0" }.to_owned(),
        ],
    );
}
