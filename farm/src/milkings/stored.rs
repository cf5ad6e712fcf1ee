//! The form in which a recorded visit is stored: a third of its plain JSON, because a farm keeps millions for good.
//!
//! Names are short and what is not there is left out; the identity is in the fact's own column. Fields are only ever added,
//! each with a default.

use farm_model::{
    AnimalId, ClockQuality, Destination, DeviceId, Identity, Milli, SessionKey, StaffId, Stall,
    Stamp, Tag, UnixMillis, Visit, VisitId, milking::Finding,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{bits_of, findings_of};
use crate::{sql, store::bounds};

/// Wall time, clock quality, boot, milliseconds since.
type Moment = (i64, u8, u32, u64);

#[derive(Serialize, Deserialize)]
struct Stored {
    start: Moment,
    end: Moment,
    day: i64,
    no: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stall: Option<Stall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    animal: Option<AnimalId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag>,
    ml: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avg: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peak: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cond: Option<Milli>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fat: Option<Milli>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snf: Option<Milli>,
    to: i64,
    #[serde(default)]
    found: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meter: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staff: Option<StaffId>,
}

pub(super) fn serialize<S: Serializer>(visit: &Visit, to: S) -> Result<S::Ok, S::Error> {
    let moment = |s: &Stamp| (s.wall.0, s.clock as u8, s.boot, s.mono);
    Stored {
        start: moment(&visit.start),
        end: moment(&visit.end),
        day: sql::day_number(visit.session.date),
        no: visit.session.number,
        stall: visit.stall,
        animal: visit.identity.animal(),
        tags: match &visit.identity {
            Identity::Animal { tag, .. } => tag.iter().cloned().collect(),
            Identity::UnknownTag { tag } => vec![tag.clone()],
            Identity::Ambiguous { tags } => tags.clone(),
            Identity::None => Vec::new(),
        },
        ml: visit.yield_ml,
        avg: visit.avg_flow_ml_min,
        peak: visit.peak_flow_ml_min,
        cond: visit.conductivity,
        fat: visit.fat,
        snf: visit.snf,
        to: visit.destination as i64,
        found: bits_of(&visit.findings),
        meter: visit.meter,
        staff: visit.recorded_by,
    }
    .serialize(to)
}

/// The visit, but for its identity, which the reader of the fact puts in.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Box<Visit>, D::Error> {
    let s = Stored::deserialize(from)?;
    let moment = |(wall, clock, boot, mono): Moment| Stamp {
        wall: UnixMillis(wall.clamp(*bounds::TIME.start(), *bounds::TIME.end())),
        clock: ClockQuality::from_code(clock.into()),
        boot,
        mono,
    };
    let mut tags = s.tags;
    let findings = findings_of(s.found);
    let identity = match (s.animal, tags.len()) {
        (Some(animal), _) => Identity::Animal {
            animal,
            tag: tags.pop(),
        },
        (None, 0) => Identity::None,
        // One tag may be in doubt too, when it was read too late to be believed: then the finding is another.
        (None, 1) if findings.contains(&Finding::UnknownTag) => Identity::UnknownTag {
            tag: tags.remove(0),
        },
        (None, _) => Identity::Ambiguous { tags },
    };
    Ok(Box::new(Visit {
        id: VisitId(Uuid::nil()),
        start: moment(s.start),
        end: moment(s.end),
        session: SessionKey {
            date: sql::date_of(s.day),
            number: s.no,
        },
        stall: s.stall,
        identity,
        yield_ml: s.ml,
        avg_flow_ml_min: s.avg,
        peak_flow_ml_min: s.peak,
        conductivity: s.cond,
        fat: s.fat,
        snf: s.snf,
        destination: Destination::from_code(s.to),
        findings,
        meter: s.meter,
        recorded_by: s.staff,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_was_survives_in_every_form() {
        let tags: Vec<Tag> = ["050000000000217", "em:7"]
            .map(|t| t.parse().unwrap())
            .into();
        for (identity, findings) in [
            (
                Identity::Animal {
                    animal: AnimalId::new(),
                    tag: Some(tags[0].clone()),
                },
                vec![],
            ),
            (
                Identity::UnknownTag {
                    tag: tags[0].clone(),
                },
                vec![Finding::UnknownTag],
            ),
            (
                Identity::Ambiguous {
                    tags: vec![tags[0].clone()],
                },
                vec![Finding::LateIdentity],
            ),
            (Identity::Ambiguous { tags }, vec![Finding::TwoIdentities]),
            (Identity::None, vec![Finding::Unidentified]),
        ] {
            let visit = Visit {
                id: VisitId(Uuid::nil()),
                start: Stamp::default(),
                end: Stamp::default(),
                session: SessionKey {
                    date: sql::date_of(20_777),
                    number: 2,
                },
                stall: Some(Stall(3)),
                identity,
                yield_ml: 8_400,
                avg_flow_ml_min: Some(1_200),
                peak_flow_ml_min: Some(2_900),
                conductivity: Some(Milli(5_100)),
                fat: None,
                snf: None,
                destination: Destination::Withheld,
                findings,
                meter: Some(DeviceId::new()),
                recorded_by: None,
            };
            let mut text = Vec::new();
            serialize(&visit, &mut serde_json::Serializer::new(&mut text)).unwrap();
            let mut again = serde_json::Deserializer::from_slice(&text);
            assert_eq!(*deserialize(&mut again).unwrap(), visit);
        }
    }
}
