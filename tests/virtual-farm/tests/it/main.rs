//! The farm's devices, read by software that is not ours.

#[cfg(test)]
mod common;
#[cfg(test)]
mod modbus;
#[cfg(test)]
mod mqtt;
mod node;
#[cfg(test)]
mod onewire;
#[cfg(test)]
mod program;
#[cfg(test)]
mod provision;
#[cfg(test)]
mod rfid;
#[cfg(test)]
mod slots;
