//! A dairy farm that is not there: readers, meters, probes and MQTT nodes that speak the real protocols.
