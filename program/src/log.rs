//! Structured logs: one JSON object a line for machines, or text for people.

use serde::{Deserialize, Serialize};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where log lines go besides standard output.
pub type Sink = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging to standard output, and to `more`. The environment variable `RUST_LOG` wins over `level`.
///
/// # Errors
/// When the level is no valid directive or a subscriber was set before.
pub fn start(format: LogFormat, level: &str, more: Option<Sink>) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => EnvFilter::try_new(directives)?,
        Err(_) => EnvFilter::try_new(level)?,
    };
    let screen: Sink = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_target(false).boxed(),
    };
    let mut sinks = vec![screen];
    sinks.extend(more);
    tracing_subscriber::registry()
        .with(sinks)
        .with(filter)
        .try_init()?;
    Ok(())
}

/// Whether logs understand it: a level, or directives of modules. A word that is no level would name a module and silence all
/// others.
pub fn is_level(text: &str) -> bool {
    let is_directive = |part: &str| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level.trim().parse::<LevelFilter>().is_ok()
    };
    text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok()
}
