//! The images on the shelf, those that were refused, and the form that adds one.

use farm::firmware::{Image, Shelf};
use farm_firmware::Header;
use maud::{Markup, html};
use ui::{
    Lang,
    components::{Button, Choice, Confirm, Field, Select, time_ago},
    fmt,
    icons::Icon,
};

use super::{View, say};
use crate::address::to;

pub(crate) mod t {
    ui::texts! {
        images = "Images" / "জমা থাকা ফার্মওয়্যার";
        none = "No image yet. Add the file that the vendor gave you." / "এখনো কিছু নেই। বিক্রেতার দেওয়া ফাইল যোগ করুন।";
        was_refused = "Refused" / "বাতিল";
        size(kb) = "{kb} KB" / "{kb} কিলোবাইট";
        offer = "Offer it" / "যন্ত্রে দিন";
        share = "To how many" / "কতগুলোয়";
        share_hint = "Of the devices of this hardware and channel. One goes first in any case." / "এই ধরন ও চ্যানেলের যন্ত্রের মধ্যে। যাই হোক, আগে একটিতে যায়।";
        all = "All" / "সবগুলোয়";
        percent(n) = "{n}%" / "{n}%";
        only = "Or only to these" / "অথবা শুধু এগুলোয়";
        only_hint = "Short names, with spaces between them; the first one goes first." / "ছোট নাম, মাঝে ফাঁকা দিয়ে; প্রথমটিতে আগে যাবে।";
        remove = "Remove" / "সরান";
        remove_ask(name) = "Remove {name}?" / "{name} সরাবেন?";
        remove_text = "Devices that run it keep it. To offer it again, add the file again." / "যেসব যন্ত্রে চলছে সেগুলোয় থাকবে। আবার দিতে ফাইলটি আবার যোগ করুন।";
        add = "Add an image" / "ফার্মওয়্যার যোগ করুন";
        file = "The vendor's file" / "বিক্রেতার ফাইল";
        file_hint = "Ends in .khfw, at most 16 MB." / "শেষে .khfw, সর্বোচ্চ ১৬ মেগাবাইট।";
        sending = "Being sent" / "পাঠানো হচ্ছে";
        trusted = "Vendors this farm trusts" / "যাদের বিশ্বাস করা হয়";
        trusted_none = "None yet: no image is accepted. Whoever looks after the machine adds a vendor's key in its configuration." / "এখনো কেউ নেই, তাই কোনো ফাইল নেওয়া হবে না। যিনি মেশিন দেখেন তিনি কনফিগারেশনে বিক্রেতার চাবি যোগ করবেন।";
    }
}

pub(super) fn section(lang: Lang, view: &View) -> Markup {
    html! {
        section.section #firmware-images {
            h2 { (t::images(lang)) }
            @if view.images.is_empty() { p.hint { (t::none(lang)) } }
            ul.readings { @for image in &view.images { (line(lang, image, view)) } }
        }
    }
}

fn line(lang: Lang, image: &Image, view: &View) -> Markup {
    let name = match &image.header {
        Some(header) => format!("{} · {}", header.version, header.hardware),
        None => image.file.clone(),
    };
    let dialog = format!("remove-{}", image.id);
    let remove = Confirm {
        lang,
        id: dialog.clone(),
        title: t::remove_ask(lang, &name),
        text: t::remove_text(lang).into(),
        deed: t::remove(lang).into(),
        action: to!("/devices/firmware/images/{}/remove", image.id),
        fields: Vec::new(),
    };
    html! {
        li {
            div.reading-row {
                strong { (name) }
                small.hint {
                    @if let Some(header) = &image.header { (header.channel) " · " (size(lang, header)) " · " }
                    (time_ago(lang, image.added.0, view.now.0))
                }
                (Button::quiet(t::remove(lang)).icon(Icon::Bin).opens(&dialog))
            }
            @match (image.refused, &image.header) {
                (Some(why), _) => p.advice { strong { (t::was_refused(lang)) ": " } (say::refusal(lang, why)) },
                (None, Some(_)) => details.fold id={ "offer-" (image.id) } {
                    summary { (t::offer(lang)) }
                    (offer_form(lang, image.id))
                },
                (None, None) => {},
            }
            (remove)
        }
    }
}

fn size(lang: Lang, header: &Header) -> String {
    t::size(lang, fmt::int(lang, i64::from(header.size.div_ceil(1024))))
}

fn offer_form(lang: Lang, image: i64) -> Markup {
    let shares = [10, 25, 50].map(|n| Choice::new(n.to_string(), t::percent(lang, n)));
    let mut choices = vec![Choice::new("100", t::all(lang))];
    choices.extend(shares);
    html! {
        form.form method="post" action=(to!("/devices/firmware/images/{image}/offer")) {
            (Select::new("percent", t::share(lang), choices).hint(t::share_hint(lang)))
            (Field::text("devices", t::only(lang)).hint(t::only_hint(lang)))
            div.actions { (Button::primary(t::offer(lang))) }
        }
    }
}

/// The form that adds an image; `refused` is why the last one was not taken.
pub(super) fn add_form(lang: Lang, shelf: &Shelf, refused: Option<String>) -> Markup {
    html! {
        section.section #firmware-add {
            h2 { (t::add(lang)) }
            @if shelf.keys().is_empty() {
                p.advice { (t::trusted_none(lang)) }
            }
            form.form method="post" action=(to!("/devices/firmware")) enctype="multipart/form-data" data-upload="#firmware-add #firmware-images" {
                div.field {
                    label for="f-file" { (t::file(lang)) }
                    p.hint id="f-file-hint" { (t::file_hint(lang)) }
                    input #f-file type="file" name="file" accept=".khfw" required
                        aria-describedby={ "f-file-hint" @if refused.is_some() { " f-file-error" } }
                        aria-invalid=[refused.as_ref().map(|_| "true")];
                    @if let Some(why) = refused { p.error id="f-file-error" role="alert" { (Icon::Warning) span { (why) } } }
                }
                progress.upload max="1000" value="0" hidden aria-label=(t::sending(lang)) {}
                div.actions { (Button::primary(t::add(lang)).icon(Icon::Plus)) }
            }
            @if !shelf.keys().is_empty() {
                details.fold {
                    summary { (t::trusted(lang)) }
                    ul { @for key in shelf.keys() { li { code { (key) } } } }
                }
            }
        }
    }
}
