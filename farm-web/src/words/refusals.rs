//! Why bytes were refused, in words that a person can act on. The keys are those that decoders, drivers and the pipeline
//! give; a key that has no words yet is shown as it is.

use ui::Lang;

/// The texts.
pub(crate) mod t {
    ui::texts! { @pub(super),
        noise = "Noise on the line: check the cable" / "লাইনে গোলমাল: তার দেখুন";
        checksum = "Garbled on the way: check the cable" / "পথে নষ্ট হয়েছে: তার দেখুন";
        bad_frame = "Not this reader's language: check its kind" / "এই রিডারের ভাষা নয়: ধরন মিলিয়ে দেখুন";
        not_hex = "Not hexadecimal digits: check the kind of reader" / "হেক্সাডেসিমাল অঙ্ক নয়: রিডারের ধরন দেখুন";
        no_match = "Does not fit the line template: correct it" / "ছাঁচের সঙ্গে মেলে না: ছাঁচ ঠিক করুন";
        out_of_range = "A number too large or too small to be true" / "সংখ্যাটি অসম্ভব বড় বা ছোট";
        animal_zero = "The tag is not an animal's" / "ট্যাগটি পশুর নয়";
        too_long = "Longer than a message may be" / "বার্তা বেশি লম্বা";
        cut_off = "Cut off in the middle: check the cable" / "মাঝপথে কাটা পড়েছে: তার দেখুন";
        late_answer = "The answer came too late" / "উত্তর দেরিতে এসেছে";
        wrong_unit = "Another device answered: check the unit numbers" / "অন্য যন্ত্র উত্তর দিয়েছে: ইউনিট নম্বর দেখুন";
        wrong_answer = "The answer does not fit the question" / "প্রশ্নের সঙ্গে উত্তর মেলে না";
        unknown_topic = "No such topic: see the list of topics" / "এমন টপিক নেই: টপিকের তালিকা দেখুন";
        bad_name = "A name in the topic cannot be used: take letters, digits and dashes" / "টপিকের নামটি চলবে না: অক্ষর, অঙ্ক আর ড্যাশ দিন";
        not_json = "Not JSON: send an object with a value" / "JSON নয়: মানসহ একটি অবজেক্ট পাঠান";
        duplicate_key = "A key stands twice: leave one out" / "একই নাম দুবার আছে: একটি বাদ দিন";
        no_value = "There is no value in it" / "এতে কোনো মান নেই";
        not_a_number = "The value is not a number" / "মানটি সংখ্যা নয়";
        number_as_text = "The number stands in quotes: leave them out" / "সংখ্যাটি উদ্ধৃতিচিহ্নে আছে: চিহ্ন বাদ দিন";
        bad_unit = "The unit does not belong to this quantity" / "এই এককটি এখানে চলে না";
        bad_timestamp = "The time cannot be read: write it as RFC 3339 or Unix seconds" / "সময় পড়া যায়নি: RFC ৩৩৩৯ বা ইউনিক্স সেকেন্ডে লিখুন";
        bad_id = "The message's own id cannot be used" / "বার্তার নিজের পরিচয় চলবে না";
        bad_tag = "Not a tag: write its fifteen digits as text" / "ট্যাগ নয়: পনেরো অঙ্ক লিখুন";
        other_device = "Topic and message name two devices" / "টপিকে এক যন্ত্র, বার্তায় আরেক";
        too_many_devices = "Too many devices: remove some first" / "যন্ত্র বেশি হয়ে গেছে: আগে কিছু সরান";
        store_refused = "The database did not take it: tell whoever looks after the appliance" / "ডেটাবেস নেয়নি: যিনি যন্ত্র দেখেন তাঁকে জানান";
        frame_broken = "Not a whole frame: check the cable, or the node's firmware" / "পুরো ফ্রেম নয়: তার বা নোডের ফার্মওয়্যার দেখুন";
        frame_not_up = "A frame meant for nodes, not from one: check who sends it" / "নোডের জন্য বানানো ফ্রেম, নোড থেকে নয়: কে পাঠায় দেখুন";
        frame_newer = "Newer than this appliance knows: update the appliance" / "এই অ্যাপ্লায়েন্সের চেয়ে নতুন: অ্যাপ্লায়েন্স হালনাগাদ করুন";
        frame_no_key = "No device has its frame key: let the node join, or make its key" / "কোনো যন্ত্রে এর চাবি নেই: নোডকে যোগ দিতে দিন, বা চাবি বানান";
        frame_not_authentic = "Made with another key: put the node's frame key into it again" / "অন্য চাবিতে বানানো: নোডে তার ফ্রেমের চাবি আবার বসান";
        frame_old = "An old frame, from before a restart: nothing to do unless they go on" / "পুরোনো ফ্রেম, রিস্টার্টের আগের: বারবার না এলে কিছু করার নেই";
        frame_switched_off = "From a device that is switched off: switch it on, or the node off" / "বন্ধ করা যন্ত্র থেকে এসেছে: যন্ত্রটি চালু করুন, নয়তো নোড বন্ধ করুন";
        frame_wrong_way = "Something that only the appliance says: update the node" / "এ কথা শুধু অ্যাপ্লায়েন্স বলে: নোড হালনাগাদ করুন";
        frame_bad_tag = "A tag that cannot be: check the node's reader" / "এমন ট্যাগ হয় না: নোডের রিডার দেখুন";
        milking_refused = "The milking cannot be true: record it by hand" / "দোহনটি সত্যি হতে পারে না: হাতে লিখুন";
    }
}

/// What the refusal called `key` means.
pub(crate) fn refusal(lang: Lang, key: &str) -> &str {
    match key {
        "noise" => t::noise(lang),
        "checksum" => t::checksum(lang),
        "bad_frame" => t::bad_frame(lang),
        "not_hex" => t::not_hex(lang),
        "no_match" => t::no_match(lang),
        "out_of_range" => t::out_of_range(lang),
        "animal_zero" => t::animal_zero(lang),
        "too_long" => t::too_long(lang),
        "partial" | "truncated" => t::cut_off(lang),
        "late_answer" => t::late_answer(lang),
        "wrong_unit" => t::wrong_unit(lang),
        "wrong_length" | "wrong_function" => t::wrong_answer(lang),
        "unknown_topic" => t::unknown_topic(lang),
        "bad_name" | "bad_dev_eui" => t::bad_name(lang),
        "not_json" | "not_an_object" => t::not_json(lang),
        "duplicate_key" => t::duplicate_key(lang),
        "no_value" => t::no_value(lang),
        "not_a_number" => t::not_a_number(lang),
        "number_as_text" => t::number_as_text(lang),
        "bad_unit" => t::bad_unit(lang),
        "bad_timestamp" => t::bad_timestamp(lang),
        "bad_id" => t::bad_id(lang),
        "bad_tag" => t::bad_tag(lang),
        "other_device" => t::other_device(lang),
        "too_many_devices" => t::too_many_devices(lang),
        "store_refused" => t::store_refused(lang),
        "frame_malformed" | "frame_malformed_record" => t::frame_broken(lang),
        "frame_not_up" => t::frame_not_up(lang),
        "frame_version" | "frame_unknown_record" | "frame_unknown_reading" => t::frame_newer(lang),
        "frame_no_key" => t::frame_no_key(lang),
        "frame_not_authentic" => t::frame_not_authentic(lang),
        "frame_old_boot" | "frame_old_queue" => t::frame_old(lang),
        "frame_switched_off" => t::frame_switched_off(lang),
        "frame_wrong_way" => t::frame_wrong_way(lang),
        "frame_bad_tag" => t::frame_bad_tag(lang),
        "milking_refused" => t::milking_refused(lang),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_decoders_has_words() {
        let topics = edge_decode::topics::TopicReject::ALL
            .iter()
            .map(|r| r.key());
        let readers = edge_decode::rfid::RejectReason::ALL.iter().map(|r| r.key());
        let uplinks = edge_decode::chirpstack::UplinkReject::ALL
            .iter()
            .map(|r| r.key());
        let states = edge_decode::zigbee::ReportReject::ALL
            .iter()
            .map(|r| r.key());
        use edge_decode::node::NodeReject;
        let nodes = [NodeReject::UnknownReading, NodeReject::BadTag].map(NodeReject::key);
        for key in topics
            .chain(readers)
            .chain(uplinks)
            .chain(states)
            .chain(nodes)
        {
            assert_ne!(refusal(Lang::Bn, key), key, "{key} has no words");
        }
    }
}
