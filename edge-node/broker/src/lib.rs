//! The MQTT front door: acknowledges a publish only when it is on disk.
