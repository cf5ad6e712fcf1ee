//! The words for the nouns of the farm, in both languages: what a quantity, a status or a reason is called.
//!
//! What only one page says stands in that page's module; what two pages say stands here.

mod refusals;

use farm::climate::HeatStress;
use farm_model::{
    AnimalStatus, Destination, DeviceKind, Flaw, Milli, Quality, Quantity, Sex, live::Phase,
    milking::Finding, staff::Role,
};
use ui::{Lang, fmt};

pub(crate) use self::refusals::refusal;
use crate::{error::Reason, mount::Part};

/// The texts.
pub mod t {
    ui::texts! {
        product = "Khamar" / "খামার";

        home = "Home" / "শুরু";
        parlour = "Parlour" / "দোহনশালা";
        record_milk = "Record milk" / "দুধ লিখুন";
        health_event = "Health event" / "অসুখ-চিকিৎসা";
        herd = "Herd" / "গরুর পাল";
        animal = "Cow" / "গরু";
        milkings = "Milk records" / "দুধের খাতা";
        tanks = "Tanks" / "ট্যাংক";
        sensors = "Sensors" / "সেন্সর";
        inbox = "Inbox" / "মীমাংসা";
        alerts = "Alerts" / "সতর্কতা";
        devices = "Devices" / "যন্ত্রপাতি";
        staff = "Staff" / "কর্মী";
        settings = "Settings" / "সেটিংস";
        about = "About" / "এই যন্ত্র";
        log_in = "Log in" / "ঢুকুন";

        cow_number(number) = "Cow {number}" / "গরু {number}";
        stall_number(number) = "Stall {number}" / "স্টল {number}";
        session_number(number) = "Session {number}" / "{number} নম্বর দোহন";
        by(name) = "by {name}" / "লিখেছেন {name}";
        value_with_unit(value, unit) = "{value} {unit}" / "{value} {unit}";
        none = "None" / "নেই";
        unknown = "Unknown" / "জানা নেই";
        all = "All" / "সব";
        never = "never" / "কখনো না";
        details = "Details" / "বিস্তারিত";
        add = "Add" / "যোগ করুন";
        name = "Name" / "নাম";
        number = "Number" / "নম্বর";
        tag = "Tag" / "ট্যাগ";
        date = "Date" / "তারিখ";
        time = "Time" / "সময়";
        session = "Session" / "দোহনের বেলা";
        milk = "Milk" / "দুধ";
        status = "Status" / "অবস্থা";
        group = "Group" / "দল";
        breed = "Breed" / "জাত";
        note = "Note" / "মন্তব্য";
        litres = "litres" / "লিটার";
        saved = "Saved." / "সংরক্ষণ হয়েছে।";
        milk_saved = "The milk is recorded." / "দুধ লেখা হয়েছে।";
        kept_before = "This milking had arrived before, as it stands here. Correct it if the figures are wrong." / "এই দোহন আগেই পৌঁছেছে, এখানে যেমন আছে। সংখ্যা ভুল হলে সংশোধন করুন।";
        milk_voided = "The record was struck out." / "লেখাটি কেটে দেওয়া হয়েছে।";
        no_such_cow = "No cow has this number or tag. Nothing was changed: look at the number and type it again." / "এই নম্বর বা ট্যাগে কোনো গরু নেই। কিছুই বদলায়নি: নম্বর মিলিয়ে আবার লিখুন।";
        undone = "Undone." / "ফিরিয়ে নেওয়া হয়েছে।";

        quantity_temperature = "Temperature" / "তাপমাত্রা";
        quantity_humidity = "Humidity" / "আর্দ্রতা";
        quantity_level = "Fill level" / "কতটা ভরা";
        quantity_distance = "Distance" / "দূরত্ব";
        quantity_milk_flow = "Milk flow" / "দুধের প্রবাহ";
        quantity_milk_total = "Total milk" / "মোট দুধ";
        quantity_visit_yield = "Milk this time" / "এবারের দুধ";
        quantity_visit_count = "Milkings" / "দোহনের সংখ্যা";
        quantity_last_yield = "Milk last time" / "আগের বারের দুধ";
        quantity_conductivity = "Conductivity" / "পরিবাহিতা";
        quantity_fat = "Fat" / "ননি";
        quantity_snf = "Solids not fat" / "ননিহীন কঠিন অংশ";
        quantity_protein = "Protein" / "প্রোটিন";
        quantity_pressure = "Gas pressure" / "গ্যাসের চাপ";
        quantity_gas_flow = "Gas flow" / "গ্যাসের প্রবাহ";
        quantity_methane = "Methane" / "মিথেন";
        quantity_carbon_dioxide = "Carbon dioxide" / "কার্বন ডাই-অক্সাইড";
        quantity_steps = "Steps" / "পদক্ষেপ";
        quantity_rumination = "Rumination" / "জাবর কাটা";
        quantity_battery = "Battery" / "ব্যাটারি";
        quantity_weight = "Weight" / "ওজন";
        quantity_signal_strength = "Signal" / "সিগন্যাল";
        quantity_vacuum = "Vacuum" / "ভ্যাকুয়াম";
        quantity_power = "Power" / "বিদ্যুতের ক্ষমতা";
        quantity_energy = "Energy" / "বিদ্যুৎ খরচ";
        quantity_pulses = "Pulses" / "পালস";
        quantity_thi = "Heat index (THI)" / "তাপ সূচক (THI)";
        heat_none = "comfortable" / "আরামদায়ক";
        heat_threshold = "warm for cows" / "গরুর জন্য গরম";
        heat_moderate = "heat stress" / "তাপের কষ্ট";
        heat_severe = "severe heat stress" / "তীব্র তাপের কষ্ট";
        heat_danger = "danger to life" / "প্রাণের ঝুঁকি";

        unit_celsius = "°C" / "°সে";
        unit_millimetre = "mm" / "মিমি";
        unit_litre_minute = "L/min" / "লি/মিনিট";
        unit_litre = "L" / "লি";
        unit_cubic_metre_hour = "m³/h" / "ঘনমিটার/ঘণ্টা";
        unit_minute = "min" / "মিনিট";
        unit_volt = "V" / "ভোল্ট";
        unit_kilogram = "kg" / "কেজি";
        unit_kilowatt = "kW" / "কিলোওয়াট";
        unit_kilowatt_hour = "kWh" / "ইউনিট";
        unit_kilopascal = "kPa" / "কিলোপ্যাসকেল";

        status_calf = "Calf" / "বাছুর";
        status_heifer = "Heifer" / "বকনা";
        status_lactating = "In milk" / "দুধেল";
        status_dry = "Dry" / "শুষ্ক";
        status_bull = "Bull" / "ষাঁড়";
        status_sold = "Sold" / "বিক্রি হয়েছে";
        status_dead = "Dead" / "মারা গেছে";

        sex_female = "Female" / "স্ত্রী";
        sex_male = "Male" / "পুরুষ";

        part_reader = "Read only" / "শুধু দেখা";
        part_vet = "Vet" / "পশু চিকিৎসক";
        role_worker = "Worker" / "কর্মী";
        role_manager = "Manager" / "ব্যবস্থাপক";
        role_owner = "Owner" / "মালিক";

        phase_empty = "Empty" / "খালি";
        phase_waiting = "Waiting" / "অপেক্ষায়";
        phase_milking = "Milking" / "দোহন চলছে";
        phase_finishing = "Finishing" / "শেষ হচ্ছে";
        phase_no_flow = "No milk flows" / "দুধ আসছে না";

        finding_unidentified = "Milk without a cow" / "কোন গরুর দুধ জানা নেই";
        finding_unknown_tag = "Unknown tag" / "অচেনা ট্যাগ";
        finding_two_identities = "Two cows' tags read" / "দুই গরুর ট্যাগ পাওয়া গেছে";
        finding_late_identity = "Identified late" / "দেরিতে চেনা গেছে";
        finding_milked_twice = "Milked twice" / "এক বেলায় দুবার দোহন";
        finding_swapped_tag = "Tags swapped?" / "ট্যাগ অদলবদল?";
        finding_meter_restarted = "Meter restarted" / "মাঝপথে মিটার বন্ধ হয়েছিল";
        finding_gap = "Part was not seen" / "কিছু অংশ দেখা যায়নি";
        finding_no_milk = "No milk came" / "দুধ আসেনি";
        finding_clock_unknown = "Time not certain" / "সময় নিশ্চিত নয়";
        finding_withdrawal = "Milk must be kept out" / "দুধ ট্যাংকে যাবে না";
        finding_too_much = "more milk than a cow gives" / "অসম্ভব বেশি দুধ";

        destination_tank = "In the tank" / "ট্যাংকে";
        destination_withheld = "Kept out" / "আলাদা রাখা";
        destination_discarded = "Discarded" / "ফেলে দেওয়া";

        device_rfid_reader = "Tag reader" / "ট্যাগ রিডার";
        device_milk_meter = "Milk meter" / "দুধের মিটার";
        device_temperature_probe = "Temperature probe" / "তাপমাত্রার প্রোব";
        device_level_sensor = "Level sensor" / "মাত্রা সেন্সর";
        device_biogas_monitor = "Biogas monitor" / "বায়োগ্যাস মিটার";
        device_collar = "Collar" / "গলার কলার";
        device_sensor = "Other sensor" / "অন্য সেন্সর";

        flaw_out_of_physics = "Impossible value" / "অসম্ভব মান";
        flaw_checksum = "Garbled on the line" / "তারে নষ্ট হয়ে এসেছে";
        flaw_power_on_reset = "Probe lost power" / "প্রোবের বিদ্যুৎ কেটে গিয়েছিল";
        flaw_bus_low = "Wires touch" / "তারে তারে লেগে আছে";
        flaw_bus_high = "Probe not connected" / "প্রোব লাগানো নেই";
        flaw_not_a_number = "Device has no value" / "যন্ত্রের কাছে মান নেই";
        flaw_device_fault = "Device reports a fault" / "যন্ত্র নিজেই ত্রুটি জানাচ্ছে";
        flaw_not_ready = "Device warming up" / "যন্ত্র প্রস্তুত হচ্ছে";
        flaw_timeout = "No answer" / "সাড়া নেই";
        flaw_malformed = "Unreadable answer" / "উত্তর পড়া যায়নি";
        flaw_exception = "Device refused" / "যন্ত্র উত্তর দেয়নি";
        flaw_disconnected = "Unplugged" / "সংযোগ খোলা";
        flaw_stuck = "Value is stuck" / "মান আটকে আছে";
        flaw_jump = "Sudden jump" / "হঠাৎ লাফ";
        flaw_converting = "Still measuring" / "এখনো মাপছে";
        flaw_counter_reset = "Counter restarted" / "গণনা নতুন করে শুরু";

        reason_not_logged_in = "You are not logged in. Log in and try again." / "আপনি ঢোকেননি। ঢুকে আবার চেষ্টা করুন।";
        reason_forbidden = "You may not do this. Ask a manager or the owner." / "এ কাজের অনুমতি আপনার নেই। ব্যবস্থাপক বা মালিককে বলুন।";
        reason_read_only = "You may look at this farm, not change it. Ask its owner for a part in it." / "এই খামার আপনি শুধু দেখতে পারেন। বদলাতে হলে মালিকের কাছে দায়িত্ব চান।";
        reason_at_the_farm = "This is only done at the farm. Open the page on the farm's own appliance." / "এই কাজ শুধু খামারেই হয়। খামারের যন্ত্রে পাতাটি খুলুন।";
        reason_cross_site = "The request came from another site and was refused. Open the page here and try again." / "অনুরোধটি অন্য সাইট থেকে এসেছে, তাই নেওয়া হয়নি। এখানে পাতাটি খুলে আবার চেষ্টা করুন।";
        reason_not_found = "There is no such page. Go back to the start." / "এমন কোনো পাতা নেই। শুরুতে ফিরে যান।";
        reason_method_not_allowed = "This page cannot do that. Go back and try again." / "এই পাতায় এটি করা যায় না। ফিরে গিয়ে আবার চেষ্টা করুন।";
        reason_invalid = "Something is missing or wrong. Go back and correct it." / "কিছু বাদ পড়েছে বা ভুল আছে। ফিরে গিয়ে ঠিক করুন।";
        reason_malformed = "The request could not be read. Go back and try again." / "অনুরোধটি পড়া যায়নি। ফিরে গিয়ে আবার চেষ্টা করুন।";
        reason_too_large = "That is too much at once. Send less." / "একবারে অনেক বেশি হয়েছে। কম করে পাঠান।";
        reason_conflict = "It exists already, or someone changed it meanwhile. Go back and look again." / "এটি আগে থেকেই আছে, বা অন্য কেউ বদলে দিয়েছেন। ফিরে গিয়ে আবার দেখুন।";
        reason_wrong_pin = "The PIN is wrong. Try again." / "পিন ভুল। আবার চেষ্টা করুন।";
        reason_locked_out = "Too many wrong PINs. Wait, then try again." / "অনেকবার ভুল পিন দেওয়া হয়েছে। অপেক্ষা করে আবার চেষ্টা করুন।";
        reason_wrong_setup_code = "The setup code is wrong. Look into the file setup-code in the appliance's data folder." / "সেটআপ কোড ভুল। যন্ত্রের ডেটা ফোল্ডারে setup-code ফাইলটি দেখুন।";
        reason_milked_already = "This cow was milked in this session already. Look at her record." / "এই বেলায় এই গরুর দুধ আগেই লেখা হয়েছে। তার খাতা দেখুন।";
        reason_last_owner = "She or he is the last owner. Make someone else an owner first." / "ইনিই একমাত্র মালিক। আগে অন্য কাউকে মালিক করুন।";
        reason_no_hardware = "This machine reaches no devices. Use the one on the farm." / "এই মেশিন থেকে যন্ত্র ধরা যায় না। খামারের মেশিনটি ব্যবহার করুন।";
        reason_device_silent = "The device does not answer. Check its power, cable and address." / "যন্ত্রটি সাড়া দিচ্ছে না। বিদ্যুৎ, তার আর ঠিকানা দেখুন।";
        reason_busy = "Too much to do right now. Try again in a moment." / "এখন অনেক কাজ চলছে। একটু পরে আবার চেষ্টা করুন।";
        reason_no_room = "The machine's disk is full or broken. Nothing was saved. Note it on paper and tell the owner at once." / "মেশিনের ডিস্ক ভরে গেছে বা নষ্ট। কিছুই সংরক্ষণ হয়নি। কাগজে লিখে রাখুন আর মালিককে এখনই জানান।";
        reason_timed_out = "It took too long. Try again." / "অনেক সময় লেগে যাচ্ছে। আবার চেষ্টা করুন।";
        reason_internal = "Something broke here. Nothing was saved. Try again, and tell the owner if it happens again." / "এখানে কিছু একটা নষ্ট হয়েছে, কিছুই সংরক্ষণ হয়নি। আবার চেষ্টা করুন; আবার হলে মালিককে জানান।";
    }
}

/// What `reason` says to a person, ending with what to do.
pub fn reason(lang: Lang, reason: Reason) -> &'static str {
    match reason {
        Reason::NotLoggedIn => t::reason_not_logged_in(lang),
        Reason::Forbidden => t::reason_forbidden(lang),
        Reason::ReadOnly => t::reason_read_only(lang),
        Reason::AtTheFarm => t::reason_at_the_farm(lang),
        Reason::CrossSite => t::reason_cross_site(lang),
        Reason::NotFound => t::reason_not_found(lang),
        Reason::MethodNotAllowed => t::reason_method_not_allowed(lang),
        Reason::Invalid => t::reason_invalid(lang),
        Reason::Malformed => t::reason_malformed(lang),
        Reason::TooLarge => t::reason_too_large(lang),
        Reason::Conflict => t::reason_conflict(lang),
        Reason::WrongPin => t::reason_wrong_pin(lang),
        Reason::LockedOut => t::reason_locked_out(lang),
        Reason::WrongSetupCode => t::reason_wrong_setup_code(lang),
        Reason::MilkedAlready => t::reason_milked_already(lang),
        Reason::LastOwner => t::reason_last_owner(lang),
        Reason::NoHardware => t::reason_no_hardware(lang),
        Reason::DeviceSilent => t::reason_device_silent(lang),
        Reason::Busy => t::reason_busy(lang),
        Reason::NoRoom => t::reason_no_room(lang),
        Reason::TimedOut => t::reason_timed_out(lang),
        Reason::Internal => t::reason_internal(lang),
    }
}

/// What `reason` says to a program and to whoever reads its log: an address instead of a page, a token instead of a log-in.
pub(crate) fn to_program(lang: Lang, why: Reason) -> &'static str {
    match why {
        Reason::NotLoggedIn => programs::not_logged_in(lang),
        Reason::Forbidden => programs::forbidden(lang),
        Reason::CrossSite => programs::cross_site(lang),
        Reason::NotFound => programs::not_found(lang),
        Reason::MethodNotAllowed => programs::method_not_allowed(lang),
        Reason::Invalid => programs::invalid(lang),
        Reason::Malformed => programs::malformed(lang),
        Reason::Conflict => programs::conflict(lang),
        other => reason(lang, other),
    }
}

mod programs {
    ui::texts! { @pub(super),
        not_logged_in = "Nobody is known by this request. Send a token that was not revoked." / "অনুরোধটি কার তা জানা যায়নি। বাতিল হয়নি এমন টোকেন পাঠান।";
        forbidden = "The token or log-in may not do this. Ask the owner for one that may." / "এই টোকেন বা লগ-ইনে এ কাজের অনুমতি নেই। মালিকের কাছে অনুমতিসহ টোকেন চান।";
        cross_site = "The request came from another site and was refused. Send it without an Origin header, or from here." / "অনুরোধটি অন্য সাইট থেকে এসেছে, তাই নেওয়া হয়নি। Origin হেডার ছাড়া বা এখান থেকে পাঠান।";
        not_found = "There is nothing at this address, or what it names does not exist. See openapi.json for the addresses." / "এই ঠিকানায় কিছু নেই, বা যার নাম দেওয়া হয়েছে তা নেই। ঠিকানাগুলো openapi.json-এ দেখুন।";
        method_not_allowed = "This address does not take this method. See openapi.json for those that it takes." / "এই ঠিকানায় এই মেথড চলে না। কোনটি চলে openapi.json-এ দেখুন।";
        invalid = "A value is missing or wrong. Correct what the detail names." / "কোনো মান নেই বা ভুল আছে। detail-এ যা লেখা তা ঠিক করুন।";
        malformed = "The body could not be read. Send what openapi.json describes." / "অনুরোধের ভেতরটা পড়া যায়নি। openapi.json-এ যেমন লেখা তেমন পাঠান।";
        conflict = "It exists already, or was changed meanwhile. Read it again, then decide." / "এটি আগে থেকেই আছে, বা এর মধ্যে বদলেছে। আবার পড়ে ঠিক করুন।";
    }
}

/// A text's first sentence, and the others.
pub fn first_sentence(text: &str) -> (&str, &str) {
    let end = text
        .find(". ")
        .map(|i| i + 1)
        .or_else(|| text.find("। ").map(|i| i + '।'.len_utf8()));
    let (first, rest) = text.split_at(end.unwrap_or(text.len()));
    (first, rest.trim_start())
}

/// The name of a quantity.
pub fn quantity(lang: Lang, quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Temperature => t::quantity_temperature(lang),
        Quantity::Humidity => t::quantity_humidity(lang),
        Quantity::Level => t::quantity_level(lang),
        Quantity::Distance => t::quantity_distance(lang),
        Quantity::MilkFlow => t::quantity_milk_flow(lang),
        Quantity::MilkTotal => t::quantity_milk_total(lang),
        Quantity::VisitYield => t::quantity_visit_yield(lang),
        Quantity::VisitCount => t::quantity_visit_count(lang),
        Quantity::LastYield => t::quantity_last_yield(lang),
        Quantity::Conductivity => t::quantity_conductivity(lang),
        Quantity::Fat => t::quantity_fat(lang),
        Quantity::Snf => t::quantity_snf(lang),
        Quantity::Protein => t::quantity_protein(lang),
        Quantity::Pressure => t::quantity_pressure(lang),
        Quantity::GasFlow => t::quantity_gas_flow(lang),
        Quantity::Methane => t::quantity_methane(lang),
        Quantity::CarbonDioxide => t::quantity_carbon_dioxide(lang),
        Quantity::Steps => t::quantity_steps(lang),
        Quantity::Rumination => t::quantity_rumination(lang),
        Quantity::Battery => t::quantity_battery(lang),
        Quantity::Weight => t::quantity_weight(lang),
        Quantity::SignalStrength => t::quantity_signal_strength(lang),
        Quantity::Vacuum => t::quantity_vacuum(lang),
        Quantity::Power => t::quantity_power(lang),
        Quantity::Energy => t::quantity_energy(lang),
        Quantity::Pulses => t::quantity_pulses(lang),
        Quantity::Thi => t::quantity_thi(lang),
    }
}

/// The unit of a quantity, as people write it.
pub fn unit(lang: Lang, quantity: Quantity) -> &'static str {
    match quantity.unit() {
        "°C" => t::unit_celsius(lang),
        "mm" => t::unit_millimetre(lang),
        "L/min" => t::unit_litre_minute(lang),
        "L" => t::unit_litre(lang),
        "m³/h" => t::unit_cubic_metre_hour(lang),
        "min" => t::unit_minute(lang),
        "V" => t::unit_volt(lang),
        "kg" => t::unit_kilogram(lang),
        "kW" => t::unit_kilowatt(lang),
        "kWh" => t::unit_kilowatt_hour(lang),
        "kPa" => t::unit_kilopascal(lang),
        international => international,
    }
}

/// Decimal places that a value of `quantity` deserves on a screen.
pub fn places(quantity: Quantity) -> u8 {
    match quantity {
        Quantity::Temperature
        | Quantity::Level
        | Quantity::Humidity
        | Quantity::VisitYield
        | Quantity::LastYield
        | Quantity::MilkTotal
        | Quantity::Weight
        | Quantity::Pressure
        | Quantity::Methane
        | Quantity::CarbonDioxide
        | Quantity::Power
        | Quantity::Energy
        | Quantity::Vacuum
        | Quantity::Thi => 1,
        Quantity::MilkFlow
        | Quantity::Conductivity
        | Quantity::Fat
        | Quantity::Snf
        | Quantity::Protein
        | Quantity::GasFlow
        | Quantity::Battery => 2,
        Quantity::Distance
        | Quantity::VisitCount
        | Quantity::Steps
        | Quantity::Rumination
        | Quantity::SignalStrength
        | Quantity::Pulses => 0,
    }
}

/// What a heat index means for a cow.
pub fn heat_stress(lang: Lang, stress: HeatStress) -> &'static str {
    match stress {
        HeatStress::None => t::heat_none(lang),
        HeatStress::Threshold => t::heat_threshold(lang),
        HeatStress::Moderate => t::heat_moderate(lang),
        HeatStress::Severe => t::heat_severe(lang),
        HeatStress::Danger => t::heat_danger(lang),
    }
}

/// A value without its unit, with the places it deserves.
pub fn number(lang: Lang, quantity: Quantity, value: Milli) -> String {
    fmt::decimal(lang, value.0, 3, places(quantity))
}

/// A value with its unit.
pub fn value(lang: Lang, quantity: Quantity, value: Milli) -> String {
    let number = number(lang, quantity, value);
    match unit(lang, quantity) {
        "" => number,
        "%" => format!("{number}%"),
        unit => t::value_with_unit(lang, number, unit),
    }
}

/// An animal's status.
pub fn status(lang: Lang, status: AnimalStatus) -> &'static str {
    match status {
        AnimalStatus::Calf => t::status_calf(lang),
        AnimalStatus::Heifer => t::status_heifer(lang),
        AnimalStatus::Lactating => t::status_lactating(lang),
        AnimalStatus::Dry => t::status_dry(lang),
        AnimalStatus::Bull => t::status_bull(lang),
        AnimalStatus::Sold => t::status_sold(lang),
        AnimalStatus::Dead => t::status_dead(lang),
    }
}

/// An animal's sex.
pub fn sex(lang: Lang, sex: Sex) -> &'static str {
    match sex {
        Sex::Female => t::sex_female(lang),
        Sex::Male => t::sex_male(lang),
    }
}

/// A role.
pub fn role(lang: Lang, role: Role) -> &'static str {
    match role {
        Role::Worker => t::role_worker(lang),
        Role::Manager => t::role_manager(lang),
        Role::Owner => t::role_owner(lang),
    }
}

/// The name of an account's part on a farm.
pub fn part(lang: Lang, part: Part) -> &'static str {
    match part {
        Part::Reader => t::part_reader(lang),
        Part::Vet => t::part_vet(lang),
        Part::Worker | Part::Manager | Part::Owner => role(lang, part.role()),
    }
}

/// What happens in a stall.
pub fn phase(lang: Lang, phase: Phase) -> &'static str {
    match phase {
        Phase::Empty => t::phase_empty(lang),
        Phase::Waiting => t::phase_waiting(lang),
        Phase::Milking => t::phase_milking(lang),
        Phase::Finishing => t::phase_finishing(lang),
        Phase::NoFlow => t::phase_no_flow(lang),
    }
}

/// What someone should know about a visit.
pub fn finding(lang: Lang, finding: Finding) -> &'static str {
    match finding {
        Finding::Unidentified => t::finding_unidentified(lang),
        Finding::UnknownTag => t::finding_unknown_tag(lang),
        Finding::TwoIdentities => t::finding_two_identities(lang),
        Finding::LateIdentity => t::finding_late_identity(lang),
        Finding::MilkedTwice => t::finding_milked_twice(lang),
        Finding::SwappedTag => t::finding_swapped_tag(lang),
        Finding::MeterRestarted => t::finding_meter_restarted(lang),
        Finding::Gap => t::finding_gap(lang),
        Finding::NoMilk => t::finding_no_milk(lang),
        Finding::ClockUnknown => t::finding_clock_unknown(lang),
        Finding::Withdrawal => t::finding_withdrawal(lang),
        Finding::TooMuch => t::finding_too_much(lang),
    }
}

/// Where milk went.
pub fn destination(lang: Lang, destination: Destination) -> &'static str {
    match destination {
        Destination::Tank => t::destination_tank(lang),
        Destination::Withheld => t::destination_withheld(lang),
        Destination::Discarded => t::destination_discarded(lang),
    }
}

/// What a device is for.
pub fn device_kind(lang: Lang, kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::RfidReader => t::device_rfid_reader(lang),
        DeviceKind::MilkMeter => t::device_milk_meter(lang),
        DeviceKind::TemperatureProbe => t::device_temperature_probe(lang),
        DeviceKind::LevelSensor => t::device_level_sensor(lang),
        DeviceKind::BiogasMonitor => t::device_biogas_monitor(lang),
        DeviceKind::Collar => t::device_collar(lang),
        DeviceKind::Sensor => t::device_sensor(lang),
    }
}

/// How far a value can be trusted.
pub fn quality(lang: Lang, quality: Quality) -> &'static str {
    match quality {
        Quality::Good => ui::t::quality_good(lang),
        Quality::Stale => ui::t::quality_stale(lang),
        Quality::Bad => ui::t::quality_bad(lang),
        Quality::Missing => ui::t::quality_missing(lang),
    }
}

/// What is wrong with a value.
pub fn flaw(lang: Lang, flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::OutOfPhysics => t::flaw_out_of_physics(lang),
        Flaw::Checksum => t::flaw_checksum(lang),
        Flaw::PowerOnReset => t::flaw_power_on_reset(lang),
        Flaw::BusLow => t::flaw_bus_low(lang),
        Flaw::BusHigh => t::flaw_bus_high(lang),
        Flaw::NotANumber => t::flaw_not_a_number(lang),
        Flaw::DeviceFault => t::flaw_device_fault(lang),
        Flaw::NotReady => t::flaw_not_ready(lang),
        Flaw::Timeout => t::flaw_timeout(lang),
        Flaw::Malformed => t::flaw_malformed(lang),
        Flaw::Exception => t::flaw_exception(lang),
        Flaw::Disconnected => t::flaw_disconnected(lang),
        Flaw::Stuck => t::flaw_stuck(lang),
        Flaw::Jump => t::flaw_jump(lang),
        Flaw::Converting => t::flaw_converting(lang),
        Flaw::CounterReset => t::flaw_counter_reset(lang),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_parts_behind_its_first_sentence() {
        let text = "There is no such page. Go back. Or stay.";
        assert_eq!(
            super::first_sentence(text),
            ("There is no such page.", "Go back. Or stay.")
        );
        let text = "এমন কোনো পাতা নেই। শুরুতে ফিরে যান।";
        assert_eq!(
            super::first_sentence(text),
            ("এমন কোনো পাতা নেই।", "শুরুতে ফিরে যান।")
        );
        assert_eq!(super::first_sentence("One."), ("One.", ""));
    }
}
