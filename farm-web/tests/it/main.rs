//! The real router over a real database in a temporary folder.

#[cfg(test)]
mod access;
#[cfg(test)]
mod animal;
#[cfg(test)]
mod api;
#[cfg(test)]
mod client;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod devices;
#[cfg(test)]
mod heat;
mod herd;
#[cfg(test)]
mod live;
#[cfg(test)]
mod milk;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod tanks;
