//! Structured logs: one JSON object a line on standard output, and in a rotated file when asked.

use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use program::log;
use tracing_subscriber::Layer as _;

use crate::config::LogConfig;

/// Starts logging as configured. The environment variable `RUST_LOG` wins over the configured level.
///
/// # Errors
/// When the level is no valid directive or a subscriber was set before.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let file = (!config.file.as_os_str().is_empty()).then(|| -> log::Sink {
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
    log::start(config.format, &config.level, file)
}
