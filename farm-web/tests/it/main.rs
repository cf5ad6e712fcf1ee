//! The real router over a real database in a temporary folder.

#[cfg(test)]
mod access;
#[cfg(test)]
mod api;
#[cfg(test)]
mod client;
#[cfg(test)]
mod live;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod seed;
