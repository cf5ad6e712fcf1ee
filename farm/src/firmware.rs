//! Firmware of the nodes: images that a trusted vendor signed, who is offered one, how far each node is, what runs where.
//!
//! It belongs to this appliance and is not replicated. [`Shelf`] takes images in and reads them; [`offer`] begins a rollout;
//! [`round`] says what to send to whom, [`heard`] takes in what nodes say. Invariants: no byte of an image that is not signed by
//! a trusted key leaves; nothing is offered while cows are milked; a rollout stops by itself when one node does badly.

mod heard;
mod images;
mod rollouts;
mod round;
mod view;

use farm_firmware::ImageError;
use farm_model::DeviceId;

pub use self::{
    heard::{Answer, Heard, answer, heard, is_news, standing_offer},
    images::{AddError, Image, ImageNumber, MOST_IMAGES, Shelf, image, images, remove},
    rollouts::{
        Batch, DEFAULT_CHANNEL, Phase, RolloutNumber, offer, pause, resume, set_channel, withdraw,
    },
    round::{Order, Outgoing, is_any_running, is_milking, round},
    view::{Progress, Rollout, Running, rollouts, running},
};
use crate::store::{StoreError, store_error};

/// Why something about firmware was not done.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// No such image.
    #[error("this image is not there any more: go back to the list and choose another")]
    UnknownImage,
    /// The image was refused when it came.
    #[error("this image was refused and cannot be offered: {0}")]
    Refused(ImageError),
    /// A rollout needs it.
    #[error("this image is being offered: withdraw its rollout first")]
    InUse,
    /// No such rollout, or it is over.
    #[error("this rollout is over: start another")]
    UnknownRollout,
    /// A rollout for the same hardware and channel is not finished.
    #[error(
        "another rollout for this hardware and channel is not finished: wait for it, or withdraw it first"
    )]
    AnotherRuns,
    /// No device fits.
    #[error(
        "no device of this hardware and channel needs this image: a device must have told its hardware once, so switch it on, or check its channel"
    )]
    NobodyFits,
    /// A named device does not fit.
    #[error(
        "{0} is of other hardware or on another channel, or runs this version already: leave it out"
    )]
    DoesNotFit(DeviceId),
    /// No such device.
    #[error("this device is not known: go back to the list and choose another")]
    UnknownDevice,
    /// A channel that is none.
    #[error("write the channel with 1 to 32 letters, digits and signs, without spaces")]
    NoChannel,
    /// A share that is none.
    #[error("write a share from 1 to 100 percent")]
    NoShare,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
store_error!(FirmwareError);

#[cfg(test)]
mod tests;
