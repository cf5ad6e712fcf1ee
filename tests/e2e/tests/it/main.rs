//! End-to-end tests: the real programs, real protocols, a real browser.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod coap;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod firmware;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod lasting;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod links;
#[cfg(test)]
mod mqtt;
#[cfg(test)]
mod names;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod order;
#[cfg(test)]
mod places;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod smoke;
#[cfg(test)]
mod store;
#[cfg(test)]
mod syncs;
#[cfg(test)]
mod unacknowledged;
#[cfg(test)]
mod wanted;
#[cfg(test)]
mod web;
#[cfg(test)]
mod zigbee;
