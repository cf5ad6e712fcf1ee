//! The farm's pages, live events and JSON API as an axum router over a farm handle.
