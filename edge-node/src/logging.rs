//! Structured logs: one JSON object a line on standard output, and in a rotated file when asked.

use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogConfig, LogFormat};

/// Starts logging as configured. The environment variable `RUST_LOG` wins over the configured level.
///
/// # Errors
/// When the level is no valid directive or a subscriber was set before.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => EnvFilter::try_new(directives)?,
        Err(_) => EnvFilter::try_new(&config.level)?,
    };
    let screen = match config.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .boxed(),
        LogFormat::Text => tracing_subscriber::fmt::layer().with_target(false).boxed(),
    };
    let file = (!config.file.as_os_str().is_empty()).then(|| {
        let limit =
            ContentLimit::BytesSurpassed((config.rotate_megabytes.max(1) * 1024 * 1024) as usize);
        let rotating = FileRotate::new(
            &config.file,
            AppendCount::new(config.keep_files),
            limit,
            Compression::None,
            None,
        );
        tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .with_writer(std::sync::Mutex::new(rotating))
            .boxed()
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(screen)
        .with(file)
        .try_init()?;
    Ok(())
}
