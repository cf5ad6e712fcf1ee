//! The front door for people and CI: demo, test, bench, tidy.

fn main() {}
