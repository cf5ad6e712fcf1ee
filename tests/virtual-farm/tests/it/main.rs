//! The farm's devices, read by software that is not ours.

#[cfg(test)]
mod common;
#[cfg(test)]
mod modbus;
#[cfg(test)]
mod rfid;
