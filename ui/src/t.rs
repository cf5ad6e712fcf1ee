//! The texts of the design system itself and the few words that every page shares.

crate::texts! {
    litres_of(litres) = "{litres} L" / "{litres} লি";
    litre = "L" / "লি";
    just_now = "just now" / "এইমাত্র";
    seconds_ago(n) = "{n} second ago" | "{n} seconds ago" / "{n} সেকেন্ড আগে";
    minutes_ago(n) = "{n} minute ago" | "{n} minutes ago" / "{n} মিনিট আগে";
    hours_ago(n) = "{n} hour ago" | "{n} hours ago" / "{n} ঘণ্টা আগে";
    days_ago(n) = "{n} day ago" | "{n} days ago" / "{n} দিন আগে";
    in_seconds(n) = "in {n} second" | "in {n} seconds" / "{n} সেকেন্ডের মধ্যে";
    in_minutes(n) = "in {n} minute" | "in {n} minutes" / "{n} মিনিটের মধ্যে";
    in_hours(n) = "in {n} hour" | "in {n} hours" / "{n} ঘণ্টার মধ্যে";
    in_days(n) = "in {n} day" | "in {n} days" / "{n} দিনের মধ্যে";
    short_days(n) = "{n} d" / "{n} দিন";
    short_hours(n) = "{n} h" / "{n} ঘ";
    short_minutes(n) = "{n} min" / "{n} মি";
    short_seconds(n) = "{n} s" / "{n} সে";

    khamar = "Khamar" / "খামার";
    skip_to_content = "Skip to content" / "মূল অংশে যান";
    main_menu = "Main menu" / "মূল মেনু";
    more = "More" / "আরও";
    language = "Language" / "ভাষা";
    theme = "Theme" / "রং";
    theme_light = "Light" / "আলো";
    theme_dark = "Dark" / "আঁধার";
    theme_auto = "Automatic" / "স্বয়ংক্রিয়";
    account = "My account" / "আমার অ্যাকাউন্ট";
    log_out = "Log out" / "বেরিয়ে যান";
    alerts(n) = "{n} alert" | "{n} alerts" / "{n}টি সতর্কতা";
    no_alerts = "No alerts" / "সতর্কতা নেই";
    mute = "Mute the alarm" / "শব্দ বন্ধ";
    unmute = "Sound on" / "শব্দ চালু";
    live = "Live" / "সরাসরি";
    connecting = "Connecting" / "যুক্ত হচ্ছে";
    offline_since(time) = "Offline, showing values from {time}" / "সংযোগ নেই, {time}-এর মান দেখাচ্ছে";

    not_sent = "Not sent. Check the network, then press again." / "পাঠানো যায়নি। সংযোগ দেখে আবার চাপুন।";
    unsent_away = "The farm's box cannot be reached: go nearer to the Wi-Fi. What you typed is still here." / "খামারের যন্ত্রের সঙ্গে সংযোগ নেই: ওয়াই-ফাইয়ের কাছে যান। যা লিখেছেন তা এখানেই আছে।";
    unsent_busy = "The farm's box could not store it just now. What you typed is still here." / "খামারের যন্ত্র এখনই রাখতে পারছে না। যা লিখেছেন তা এখানেই আছে।";
    unsent_here = "What you typed is still here." / "যা লিখেছেন তা এখানেই আছে।";
    unsent_once = "It is sent again by itself until it arrives; stay on this page." / "না পৌঁছানো পর্যন্ত নিজে থেকেই আবার পাঠানো হবে; এই পাতায় থাকুন।";
    unsent_look = "Then send it again." / "তারপর আবার পাঠান।";
    send_again = "Send again" / "আবার পাঠান";
    search = "Search" / "খুঁজুন";
    search_hint = "Cow, tank, device or page" / "গরু, ট্যাংক, যন্ত্র বা পাতা";
    save = "Save" / "সংরক্ষণ করুন";
    cancel = "Cancel" / "বাতিল";
    close = "Close" / "বন্ধ করুন";
    back = "Back" / "ফিরে যান";
    undo = "Undo" / "ফিরিয়ে নিন";
    edit = "Edit" / "বদলান";
    delete = "Delete" / "মুছুন";
    yes = "Yes" / "হ্যাঁ";
    no = "No" / "না";
    optional = "optional" / "ঐচ্ছিক";
    show = "Show" / "দেখুন";
    apply_filters = "Apply" / "প্রয়োগ করুন";
    export_csv = "Download CSV" / "CSV নামান";
    next_page = "Next" / "পরের পাতা";
    previous_page = "Previous" / "আগের পাতা";
    first_page = "First" / "প্রথম পাতা";
    sorted_up = "sorted, smallest first" / "ছোট থেকে বড়";
    sorted_down = "sorted, largest first" / "বড় থেকে ছোট";
    nothing_found = "Nothing found. Try a number or fewer letters." / "কিছু পাওয়া যায়নি। নম্বর বা কম অক্ষর দিয়ে খুঁজুন।";
    nothing_here = "Nothing here yet" / "এখানে এখনো কিছু নেই";
    copy = "Copy" / "কপি করুন";
    copied = "Copied" / "কপি হয়েছে";
    scan = "Scan with the camera" / "ক্যামেরায় স্ক্যান করুন";
    next_month = "Next month" / "পরের মাস";
    previous_month = "Previous month" / "আগের মাস";
    today = "Today" / "আজ";
    digits = "Digits" / "অঙ্ক";
    clear = "Clear" / "মুছে দিন";

    quality_good = "Good" / "ঠিক আছে";
    quality_stale = "Old" / "পুরোনো";
    quality_bad = "Doubtful" / "সন্দেহজনক";
    quality_missing = "No value" / "মান নেই";

    chart_summary(name, last, unit, low, high) =
        "{name}: now {last} {unit}, lowest {low}, highest {high}."
        / "{name}: এখন {last} {unit}, সর্বনিম্ন {low}, সর্বোচ্চ {high}।";
    bar_summary(best, most, worst, least, unit) =
        "Most on {best}: {most} {unit}; least on {worst}: {least} {unit}."
        / "সবচেয়ে বেশি {best}: {most} {unit}; সবচেয়ে কম {worst}: {least} {unit}।";
    chart_table = "Show as a table" / "ছক আকারে দেখুন";
    no_data = "No data in this period" / "এই সময়ে কোনো তথ্য নেই";

    add_to_cart = "Add to cart" / "ঝুড়িতে রাখুন";
    checkout = "Check out" / "দাম মেটান";
    milk_recording = "Milk recording" / "দুধের হিসাব";
    vaccination_due = "Vaccination due" / "টিকার সময় হয়েছে";
    daily_summary = "Daily summary" / "আজকের সারাংশ";
}
