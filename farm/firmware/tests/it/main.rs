//! Laws of images, updates and rollouts.

mod feeder;
mod image;
mod rollout;
mod update;
