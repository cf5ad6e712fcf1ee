//! End-to-end, fault and browser tests.
