//! Wire types between microcontroller nodes and the edge: frames, readings, acknowledgements, commands. Not built yet.
#![no_std]
