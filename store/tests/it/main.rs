//! One binary for the tests of the store over a real file.

#[cfg(test)]
mod store;
