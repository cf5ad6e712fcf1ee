//! The authority over real folders.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests: at once and with the line"
)]

mod authority;
