//! How far a device is, why an image was refused and why a rollout waits, in words.

use farm_firmware::{Ended, ImageError, Update, Wait};
use ui::{Lang, shell::Tone};

use super::View;

pub(crate) mod t {
    ui::texts! {
        waits = "Waits its turn" / "পালার অপেক্ষায়";
        offered = "Offered; not answered yet" / "দেওয়া হয়েছে; সাড়া আসেনি";
        downloading = "Receiving" / "নিচ্ছে";
        verified = "Received and checked" / "নিয়ে যাচাই করেছে";
        trying = "Trying it" / "চালিয়ে দেখছে";
        confirmed = "Runs it" / "এটিই চলছে";
        rolled_back = "Went back to the old one" / "আগেরটিতে ফিরে গেছে";
        refused = "Did not accept it" / "নেয়নি";
        flash_failed = "Could not store it" / "জমা রাখতে পারেনি";
        silent = "Not heard since it tries it" / "চালানোর পর থেকে সাড়া নেই";
        withdrawn = "Withdrawn" / "ফিরিয়ে নেওয়া হয়েছে";

        rolled_back_why = "Its own check failed, so it runs what it ran before. Ask the vendor before you go on." / "নিজের পরীক্ষায় পাস করেনি, তাই আগেরটিই চালাচ্ছে। আবার চালানোর আগে বিক্রেতাকে জিজ্ঞেস করুন।";
        refused_why = "It found the signature wrong, or is other hardware. Ask the vendor for the image of this hardware." / "সই মেলেনি, বা যন্ত্রটি অন্য ধরনের। এই যন্ত্রের ফার্মওয়্যার বিক্রেতার কাছে চান।";
        flash_failed_why = "Its memory may be worn out. Try once more; if it fails again, replace the device." / "মেমোরি নষ্ট হয়ে থাকতে পারে। আরেকবার চেষ্টা করুন; না হলে যন্ত্র বদলান।";
        silent_why = "Look whether it has power. If it comes back with the old firmware, ask the vendor before you go on." / "বিদ্যুৎ আছে কি না দেখুন। আগের ফার্মওয়্যার নিয়ে ফিরলে আবার চালানোর আগে বিক্রেতাকে জিজ্ঞেস করুন।";

        wait_milking = "Waits: cows are being milked." / "অপেক্ষা: দোহন চলছে।";
        wait_first(name) = "Waits for the first device, {name}." / "প্রথম যন্ত্রের অপেক্ষা: {name}।";
        wait_proving(name) = "{name} runs it; the others follow when it has gone well for a while." / "{name} এটি চালাচ্ছে; কিছুক্ষণ ভালো চললে বাকিগুলোয় যাবে।";
        wait_busy = "As many devices as may are at it; the next follow." / "একসঙ্গে যতগুলো চলে, চলছে; বাকিগুলো পরে।";
        wait_nobody = "Every device is done." / "সব যন্ত্র শেষ।";

        not_an_image = "This is no firmware image. Choose the file from the vendor; its name ends in .khfw." / "এটি ফার্মওয়্যারের ফাইল নয়। বিক্রেতার দেওয়া ফাইলটি বাছুন; নামের শেষে .khfw থাকে।";
        not_whole = "The file is not whole. Copy or download it again." / "ফাইলটি পুরো আসেনি। আবার কপি বা ডাউনলোড করুন।";
        bad_header = "The file cannot be read. Ask the vendor for it again." / "ফাইলটি পড়া যাচ্ছে না। বিক্রেতার কাছে আবার চান।";
        too_large = "The image is larger than 16 MB. Ask the vendor whether it is the right file." / "ফাইলটি ১৬ মেগাবাইটের বেশি। ঠিক ফাইল কি না বিক্রেতাকে জিজ্ঞেস করুন।";
        wrong_hash = "The image was changed or damaged on its way. Copy or download it again." / "ফাইলটি পথে বদলে গেছে বা নষ্ট হয়েছে। আবার কপি বা ডাউনলোড করুন।";
        no_keys = "This farm trusts no vendor yet. Whoever looks after the machine must add the vendor's key." / "এই খামার এখনো কোনো বিক্রেতাকে বিশ্বাস করে না। যিনি মেশিন দেখেন তাঁকে বিক্রেতার চাবি যোগ করতে বলুন।";
        not_trusted = "Nobody this farm trusts has signed it. Do not use it; ask the vendor." / "বিশ্বস্ত কারও সই নেই। ব্যবহার করবেন না; বিক্রেতাকে জিজ্ঞেস করুন।";
        too_many(n) = "There are {n} images already. Remove an old one first." / "{n}টি ফার্মওয়্যার জমা আছে। আগে পুরোনো একটি সরান।";
    }
}

/// How far a device is.
pub(super) fn state(lang: Lang, update: Option<Update>) -> (Tone, &'static str) {
    match update {
        None => (Tone::Neutral, t::waits(lang)),
        Some(Update::Offered) => (Tone::Info, t::offered(lang)),
        Some(Update::Downloading { .. }) => (Tone::Info, t::downloading(lang)),
        Some(Update::Verified) => (Tone::Info, t::verified(lang)),
        Some(Update::Trying) => (Tone::Info, t::trying(lang)),
        Some(Update::Ended(ended)) => match ended {
            Ended::Confirmed => (Tone::Good, t::confirmed(lang)),
            Ended::RolledBack => (Tone::Bad, t::rolled_back(lang)),
            Ended::Refused => (Tone::Bad, t::refused(lang)),
            Ended::FlashFailed => (Tone::Bad, t::flash_failed(lang)),
            Ended::Silent => (Tone::Bad, t::silent(lang)),
            Ended::Withdrawn => (Tone::Neutral, t::withdrawn(lang)),
        },
    }
}

/// Why an end was bad, and what to do.
pub(super) fn why(lang: Lang, update: Option<Update>) -> Option<&'static str> {
    match update?.ended()? {
        Ended::RolledBack => Some(t::rolled_back_why(lang)),
        Ended::Refused => Some(t::refused_why(lang)),
        Ended::FlashFailed => Some(t::flash_failed_why(lang)),
        Ended::Silent => Some(t::silent_why(lang)),
        Ended::Confirmed | Ended::Withdrawn => None,
    }
}

/// Why nothing more is offered now.
pub(super) fn wait(lang: Lang, wait: Wait, view: &View) -> String {
    match wait {
        Wait::Milking => t::wait_milking(lang).to_owned(),
        Wait::FirstNode(device) => t::wait_first(lang, view.name(device)),
        Wait::Proving(device) => t::wait_proving(lang, view.name(device)),
        Wait::Busy => t::wait_busy(lang).to_owned(),
        Wait::Nobody => t::wait_nobody(lang).to_owned(),
    }
}

/// Why an image was refused, and what to do.
pub(super) fn refusal(lang: Lang, why: ImageError) -> &'static str {
    match why {
        ImageError::NotAnImage => t::not_an_image(lang),
        ImageError::NotWhole => t::not_whole(lang),
        ImageError::BadHeader => t::bad_header(lang),
        ImageError::TooLarge => t::too_large(lang),
        ImageError::WrongHash => t::wrong_hash(lang),
        ImageError::NoKeys => t::no_keys(lang),
        ImageError::NotTrusted => t::not_trusted(lang),
    }
}
