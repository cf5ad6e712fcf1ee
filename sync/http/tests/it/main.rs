//! The client, the agent and the endpoint on real sockets, over real files with the extension.

mod agree;
mod crowd;
mod hostile;
mod hub;
mod keys;
mod tls;

#[path = "../../../tests/it/dice.rs"]
mod dice;
#[path = "../../../tests/it/farm.rs"]
mod farm;
