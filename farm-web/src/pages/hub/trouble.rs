//! What stands between the farm and its hub, and why a claim was refused, in words, with what to do.

use ui::Lang;

use crate::border::HubTrouble;

pub(crate) mod t {
    ui::texts! {
        bad_address = "This is no web address. Write it as https://hub.example.org." / "এটি ওয়েব ঠিকানা নয়। https://hub.example.org এভাবে লিখুন।";
        in_the_clear = "The hub must be reached over https. Ask whoever runs it for that address." / "হাবের ঠিকানা https দিয়ে হতে হবে। হাব যিনি চালান তাঁর কাছে ঠিকানাটি নিন।";
        not_allowed = "This machine's configuration does not allow this hub (hub.allowed). Ask whoever set it up." / "এই যন্ত্রের কনফিগারেশনে এই হাবের অনুমতি নেই (hub.allowed)। যিনি বসিয়েছেন তাঁকে বলুন।";
        bad_code = "A claim code has 16 letters and digits, as in 4GZ7-2MNC-K0QX-8TWB. Type it as the hub shows it." / "সংযোগ কোডে ১৬টি অক্ষর ও সংখ্যা থাকে। হাবে যেমন দেখায় তেমন লিখুন।";
        code_refused = "This code is wrong, used or out of date. Make a new one at the hub." / "কোডটি ভুল, ব্যবহৃত বা পুরোনো। হাবে নতুন কোড তৈরি করুন।";
        joined_already = "The farm is connected already. Leave that hub first." / "খামার আগেই যুক্ত আছে। আগে সেই হাব ছাড়ুন।";

        unreached = "The hub is not reached. Check this machine's internet; nothing is lost, it is sent later." / "হাবে পৌঁছানো যাচ্ছে না। ইন্টারনেট দেখুন; কিছু হারাবে না, পরে পাঠানো হবে।";
        slow = "The hub did not answer in time. The line may be slow; it goes on by itself." / "হাব সময়মতো সাড়া দেয়নি। লাইন ধীর হতে পারে; নিজে থেকেই চলবে।";
        untrusted = "The hub's certificate is not to be trusted. Check the address and this machine's date." / "হাবের সনদ বিশ্বাস করা যায় না। ঠিকানা ও যন্ত্রের তারিখ দেখুন।";
        foreign = "Something else answers in the hub's place. Log in to the network once, or check the address." / "হাবের বদলে অন্য কিছু সাড়া দিচ্ছে। নেটওয়ার্কে লগ ইন করুন, অথবা ঠিকানা দেখুন।";
        garbled = "What came was damaged on the way. It is sent again; update both sides if it stays so." / "পথে তথ্য নষ্ট হয়েছে। আবার পাঠানো হচ্ছে; না সারলে দুই দিকই হালনাগাদ করুন।";
        unknown = "The hub does not know this machine. Connect it again with a claim code." / "হাব এই যন্ত্রকে চেনে না। সংযোগ কোড দিয়ে আবার যুক্ত করুন।";
        revoked = "The hub has withdrawn this machine's key. If it still belongs to the farm, connect it again with a new claim code." / "হাব এই যন্ত্রের চাবি বাতিল করেছে। যন্ত্রটি এখনো খামারের হলে নতুন সংযোগ কোড দিয়ে আবার যুক্ত করুন।";
        not_ours = "The key belongs to another machine. Connect this one with a claim code of its own." / "চাবিটি অন্য যন্ত্রের। নিজের সংযোগ কোড দিয়ে যুক্ত করুন।";
        version = "The hub and this machine are of very different versions. Update the older one; hubs first." / "হাব ও যন্ত্রের সংস্করণ অনেক আলাদা। পুরোনোটি হালনাগাদ করুন; আগে হাব।";
        copied = "This farm's file was restored or copied. Stop the other copy if there is one; connect this machine with an empty file, and keep the old one." / "খামারের তথ্যভান্ডারটি কপি বা পুরোনো কপি থেকে ফেরানো। অন্য কপি থাকলে বন্ধ করুন; খালি তথ্যভান্ডার দিয়ে যুক্ত করুন, পুরোনোটি রেখে দিন।";
        hub_restored = "The hub's copy of this farm was restored from a backup. Tell whoever runs the hub." / "হাবের কপিটি পুরোনো কপি থেকে ফেরানো। হাব যিনি চালান তাঁকে বলুন।";
        gone = "The farm was deleted at the hub. Leave the hub, or connect to another farm." / "হাব থেকে খামারটি মুছে ফেলা হয়েছে। হাব ছাড়ুন, অথবা অন্য খামারে যুক্ত করুন।";
        too_many = "The farm has too many machines at the hub. Remove old ones there." / "হাবে খামারের যন্ত্র বেশি হয়ে গেছে। সেখানে পুরোনোগুলো সরান।";
        busy = "The hub is busy. It goes on by itself." / "হাব ব্যস্ত। নিজে থেকেই চলবে।";
        too_large = "One change is too large to be sent. Tell whoever looks after this machine." / "একটি পরিবর্তন পাঠানোর জন্য বেশি বড়। যন্ত্র যিনি দেখেন তাঁকে বলুন।";
        stuck = "Nothing moves. Update this machine and the hub." / "কিছুই এগোচ্ছে না। যন্ত্র ও হাব হালনাগাদ করুন।";
        store = "The farm's file could not be read or written. Look at this machine's disk." / "তথ্যভান্ডার পড়া বা লেখা যায়নি। যন্ত্রের ডিস্ক দেখুন।";
        anew = "The farm was set up anew at the hub. Start this machine with an empty farm file, then connect with a new code." / "হাবে খামার নতুন করে শুরু হয়েছে। খালি তথ্যভান্ডার দিয়ে যন্ত্র চালু করে নতুন কোড দিয়ে যুক্ত করুন।";
    }
}

impl HubTrouble {
    /// In words, with what to do.
    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            HubTrouble::Unreached => t::unreached(lang),
            HubTrouble::Slow => t::slow(lang),
            HubTrouble::Untrusted => t::untrusted(lang),
            HubTrouble::Foreign => t::foreign(lang),
            HubTrouble::Garbled => t::garbled(lang),
            HubTrouble::Unknown => t::unknown(lang),
            HubTrouble::Revoked => t::revoked(lang),
            HubTrouble::NotOurs => t::not_ours(lang),
            HubTrouble::Version => t::version(lang),
            HubTrouble::Copied => t::copied(lang),
            HubTrouble::HubRestored => t::hub_restored(lang),
            HubTrouble::Anew => t::anew(lang),
            HubTrouble::Gone => t::gone(lang),
            HubTrouble::TooMany => t::too_many(lang),
            HubTrouble::Busy => t::busy(lang),
            HubTrouble::TooLarge => t::too_large(lang),
            HubTrouble::Stuck => t::stuck(lang),
            HubTrouble::Store => t::store(lang),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_says_what_to_do() {
        for trouble in HubTrouble::ALL {
            let said = trouble.words(Lang::En);
            assert!(said.matches(['.', ';']).count() > 1, "{said}");
        }
    }
}
