//! Drivers: serial readers, Modbus buses, 1-wire probes, MQTT topics to observations.
