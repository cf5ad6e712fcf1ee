//! What nodes send: readings of `firmware-protocol` as observations' bodies, and when they happened.

mod clock;

pub use clock::NodeClock;

use farm_model::{Body, Epc, Flaw, Milli, Quality, Quantity, Rfid, Tag};
use firmware_protocol::{self as wire, Measure, Reading, What};

/// Why a reading of a node is no observation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NodeReject {
    /// A kind or measure that this version does not know.
    #[error("a reading of a kind that is not known")]
    UnknownReading,
    /// A tag that cannot be.
    #[error("a tag that cannot be")]
    BadTag,
}

impl NodeReject {
    /// Under which name it is counted.
    pub fn key(self) -> &'static str {
        match self {
            Self::UnknownReading => "frame_unknown_reading",
            Self::BadTag => "frame_bad_tag",
        }
    }
}

/// What a reading says.
///
/// # Errors
/// When its kind is not known, or it is a tag that cannot be.
pub fn body(reading: &Reading<'_>) -> Result<Body, NodeReject> {
    let (measure, value) = match reading.what {
        What::Measured(measure, value) => (measure, value),
        What::Tag(tag) => {
            let tag = self::tag(tag).ok_or(NodeReject::BadTag)?;
            return Ok(Body::Identified { tag });
        }
        What::Unknown { .. } => return Err(NodeReject::UnknownReading),
    };
    let (quantity, factor) = quantity(measure).ok_or(NodeReject::UnknownReading)?;
    let value = Milli(value.saturating_mul(factor));
    let flaw = Flaw::from_code(reading.state.flaw.code().into());
    Ok(match reading.state.quality {
        wire::Quality::Good => Body::measured(quantity, value),
        wire::Quality::Missing => Body::Measured {
            quantity,
            value: None,
            quality: Quality::Missing,
            flaw,
        },
        quality => Body::Measured {
            quantity,
            value: Some(value),
            quality: Quality::from_code(quality.code().into()),
            flaw,
        },
    })
}

fn tag(tag: wire::Tag<'_>) -> Option<Tag> {
    match tag {
        wire::Tag::Iso { country, national } => Rfid::new(country, national).ok().map(Tag::Rfid),
        wire::Tag::Epc(bytes) => Epc::new(bytes).ok().map(Tag::Epc),
        wire::Tag::Em4100(number) => (number < 1 << 40).then_some(Tag::Em4100(number)),
    }
}

/// The quantity, and how many thousandths of its unit one of the wire's units is.
fn quantity(measure: Measure) -> Option<(Quantity, i64)> {
    Some(match measure {
        Measure::TemperatureMilliCelsius => (Quantity::Temperature, 1),
        Measure::HumidityMilliPercent => (Quantity::Humidity, 1),
        Measure::LevelMilliPercent => (Quantity::Level, 1),
        Measure::DistanceMillimetre => (Quantity::Distance, 1_000),
        Measure::FlowMillilitrePerMinute => (Quantity::MilkFlow, 1),
        Measure::TotalMillilitre => (Quantity::MilkTotal, 1),
        Measure::VisitYieldMillilitre => (Quantity::VisitYield, 1),
        Measure::VisitCount => (Quantity::VisitCount, 1_000),
        Measure::LastYieldMillilitre => (Quantity::LastYield, 1),
        Measure::ConductivityMicrosiemensPerCm => (Quantity::Conductivity, 1),
        Measure::FatMilliPercent => (Quantity::Fat, 1),
        Measure::SnfMilliPercent => (Quantity::Snf, 1),
        Measure::ProteinMilliPercent => (Quantity::Protein, 1),
        Measure::PressurePascal => (Quantity::Pressure, 1),
        Measure::GasFlowLitrePerHour => (Quantity::GasFlow, 1),
        Measure::MethaneMilliPercent => (Quantity::Methane, 1),
        Measure::CarbonDioxideMilliPercent => (Quantity::CarbonDioxide, 1),
        Measure::Steps => (Quantity::Steps, 1_000),
        Measure::RuminationMinute => (Quantity::Rumination, 1_000),
        Measure::BatteryMillivolt => (Quantity::Battery, 1),
        Measure::WeightGram => (Quantity::Weight, 1),
        Measure::SignalDbm => (Quantity::SignalStrength, 1_000),
        Measure::VacuumPascal => (Quantity::Vacuum, 1),
        Measure::PowerWatt => (Quantity::Power, 1),
        Measure::EnergyWattHour => (Quantity::Energy, 1),
        Measure::Pulses => (Quantity::Pulses, 1_000),
        Measure::Other(_) => return None,
    })
}
