//! Accounts, the audit and lock-outs over a real database.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod seal;
