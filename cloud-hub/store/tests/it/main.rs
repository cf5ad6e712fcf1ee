//! The hub's database over a real file.

#[cfg(test)]
mod store;
