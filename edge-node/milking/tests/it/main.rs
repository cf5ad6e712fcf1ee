//! The milking engine's rules, told as scenarios, and its laws, as properties.

#[cfg(test)]
mod laws;
#[cfg(test)]
mod parlour;
#[cfg(test)]
mod rules;
