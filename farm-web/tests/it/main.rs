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
mod firmware;
#[cfg(test)]
mod heat;
#[cfg(test)]
mod herd;
#[cfg(test)]
mod live;
#[cfg(test)]
mod milk;
#[cfg(test)]
mod mobile;
#[cfg(test)]
mod mount;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod seed;
mod settings;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tanks;
#[cfg(test)]
mod transports;
