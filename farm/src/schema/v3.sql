-- How often a device is heard, in seconds, as far as that could be learnt from what it sent: NULL until then.
ALTER TABLE device_state ADD COLUMN every_s INTEGER;
