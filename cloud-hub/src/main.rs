//! The hub that shows farms to their managers and carries shop, marketplace and back office. Not built yet.

fn main() {}
