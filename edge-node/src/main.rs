//! The farm appliance: acquisition, milking, store, LAN web server, command line.

fn main() {}
