//! The hub's pages over a real database: who gets in, who may do what, and the program itself.

#[cfg(test)]
mod access;
#[cfg(test)]
mod api;
#[cfg(test)]
mod farms;
#[cfg(test)]
mod import;
#[cfg(test)]
mod login;
#[cfg(test)]
mod members;
#[cfg(test)]
mod people;
#[cfg(test)]
mod program;
#[cfg(test)]
mod replicas;
#[cfg(test)]
mod world;
