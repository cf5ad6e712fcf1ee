//! The sample texts of the style guide.

crate::texts! {
    @pub(super),
    title = "Design system" / "নকশার ভাষা";
    lede = "Every part of Khamar's screens, in both languages, by day and by night." / "খামারের পর্দার সব অংশ, দুই ভাষায়, দিনে ও রাতে।";
    milk = "Record milk" / "দুধ লিখুন";
    figures = "Figures" / "এক নজরে";
    stalls = "Parlour" / "দোহন ঘর";
    charts = "Charts" / "লেখচিত্র";
    herd = "Herd" / "গোয়াল";
    buttons = "Buttons" / "বোতাম";
    forms = "Forms" / "ফরম";
    first_page = "Tiles and rows" / "টালি ও সারি";
    words = "Messages and states" / "বার্তা ও অবস্থা";
    lists = "One animal" / "একটি গরু";
    calendar = "Calendar" / "পঞ্জিকা";
    icons = "Icons" / "চিহ্ন";

    today_milk = "Milk today" / "আজকের দুধ";
    litre = "L" / "লি";
    celsius = "°C" / "°সে";
    degrees(n) = "{n} °C" / "{n} °সে";
    methane = "% methane" / "% মিথেন";
    litres(n) = "{n} L" / "{n} লি";
    above(n) = "{n}% over usual" / "স্বাভাবিকের চেয়ে {n}% বেশি";
    cows_milked = "Cows milked" / "দোহন হয়েছে";
    of(n) = "of {n}" / "/ {n}টি";
    of_cows(n, all) = "{n} of {all}" / "{all}টির মধ্যে {n}টি";
    four_left(n) = "{n} to come" / "বাকি {n}টি";
    tank_temperature = "Tank temperature" / "ট্যাংকের তাপমাত্রা";
    cold = "Cold enough" / "যথেষ্ট ঠান্ডা";
    to_settle = "To settle" / "দেখতে হবে";
    oldest = "Oldest since 05:12" / "পুরোনোটি ০৫:১২ থেকে";

    milking = "Milking" / "দোহন চলছে";
    finishing = "Nearly done" / "প্রায় শেষ";
    waiting = "Waiting" / "অপেক্ষায়";
    empty_stall = "Empty" / "খালি";
    stop = "Stop!" / "থামুন!";
    no_flow = "No milk" / "দুধ নামছে না";
    unknown_cow = "Which cow?" / "কোন গরু?";
    who = "?" / "?";
    not_in_tank = "Medicine: keep this milk out of the tank" / "ওষুধ চলছে: এই দুধ ট্যাংকে দেবেন না";
    check_cluster = "Check the cluster" / "মেশিন দেখুন";
    tag_not_read = "Tag not read. Touch to choose." / "ট্যাগ পড়া যায়নি। চেপে গরু বাছুন।";
    per_minute(litres) = "{litres} L/min" / "{litres} লি/মি";
    lali = "Lali" / "লালী";
    kajli = "Kajli" / "কাজলী";
    shyamoli = "Shyamoli" / "শ্যামলী";
    budhi = "Budhi" / "বুধি";
    moyna = "Moyna" / "ময়না";
    dhobli = "Dhobli" / "ধবলী";

    yield_title = "Milk a day" / "দিনে দুধ";
    days_in_milk = "Days in milk" / "দুধের দিন";
    expected = "Expected" / "প্রত্যাশিত";
    normal = "Normal range" / "স্বাভাবিক সীমা";
    time = "Time" / "সময়";
    tank_n(n) = "Tank {n}" / "ট্যাংক {n}";
    limit = "Limit" / "সীমা";
    milk_by_day = "Milk by day" / "দিন অনুযায়ী দুধ";
    day = "Day" / "দিন";
    morning = "Morning" / "সকাল";
    evening = "Evening" / "বিকাল";
    conductivity = "Conductivity" / "পরিবাহিতা";
    composition = "Where today's milk went" / "আজকের দুধ কোথায় গেল";
    into_tank = "Tank" / "ট্যাংক";
    calves = "Calves" / "বাছুর";
    withheld = "Withheld" / "আলাদা রাখা";
    tank_level = "Tank 1: 64% full" / "ট্যাংক ১: ৬৪% ভরা";
    biogas = "Biogas" / "বায়োগ্যাস";
    yield_run = "Milk of the last days" / "গত কদিনের দুধ";

    cow = "Cow" / "গরু";
    state = "State" / "অবস্থা";
    milk_today = "Milk today (L)" / "আজ দুধ (লি)";
    seven_days = "7 days" / "৭ দিন";
    in_milk = "In milk" / "দুধেল";
    hold = "Withheld" / "দুধ আলাদা";
    drop = "Drop" / "দুধ কমেছে";
    name_or_number = "Name or number" / "নাম বা নম্বর";
    every = "All" / "সব";

    open_dialog = "Open dialog" / "ডায়ালগ খুলুন";
    open_sheet = "Open sheet" / "পাতা খুলুন";
    form_wrong = "Not saved: one field needs a look." / "সংরক্ষণ হয়নি: একটি ঘর ঠিক করুন।";
    milk_amount = "How much milk?" / "কত দুধ?";
    name = "Name" / "নাম";
    name_hint = "What people call her" / "যে নামে ডাকা হয়";
    number = "Number" / "নম্বর";
    number_taken = "Another cow has this number. Choose another." / "এই নম্বর আরেক গরুর। অন্য নম্বর দিন।";
    born = "Born" / "জন্ম";
    breed = "Breed" / "জাত";
    sahiwal = "Sahiwal" / "শাহিওয়াল";
    friesian = "Friesian cross" / "ফ্রিজিয়ান সংকর";
    session = "Session" / "বেলা";
    watch = "Watch her closely" / "নজরে রাখুন";
    watch_hint = "A drop in milk is reported the same day" / "দুধ কমলে সেদিনই জানানো হবে";
    note = "Note" / "মন্তব্য";
    pin = "PIN" / "পিন";

    heat = "In heat" / "গরম হয়েছে";
    saved = "12.4 L saved for Lali." / "লালীর ১২.৪ লিটার লেখা হয়েছে।";
    silent = "Stall 4's meter has been silent for 3 minutes. Check its cable." / "৪ নম্বর মিটার ৩ মিনিট চুপ। তার দেখুন।";
    warm = "Tank 1 is at 7.2 °C. Start the cooler." / "ট্যাংক ১ এখন ৭.২ °সে। কুলার চালু করুন।";
    inbox_empty = "Nothing to settle" / "কিছু বাকি নেই";
    inbox_empty_text = "Milk without a cow and silent devices would be here." / "গরু ছাড়া দুধ আর চুপ যন্ত্র এখানে আসবে।";

    overview = "Overview" / "সারাংশ";
    milk_short = "Milk" / "দুধ";
    health = "Health" / "স্বাস্থ্য";
    gave = "12.4 L in the morning" / "সকালে ১২.৪ লিটার";
    treated = "Mastitis treated, milk withheld 4 days" / "ওলান প্রদাহের চিকিৎসা, ৪ দিন দুধ আলাদা";
    tagged = "New ear tag" / "নতুন কানের ট্যাগ";
    about = "About" / "পরিচয়";
    confirm_title = "Delete this milking?" / "এই দোহন মুছবেন?";
    confirm_text = "8.4 L of Lali leave today's total. It stays in the log." / "লালীর ৮.৪ লিটার আজকের হিসাব থেকে বাদ যাবে। লগে থাকবে।";
    confirm_deed = "Delete milking" / "দোহন মুছুন";
}
