//! The icons: 24-pixel strokes drawn for this product, one symbol each in `icons.svg`, used by reference.
//!
//! An icon never stands alone for a meaning: a word is beside it, or [`Icon::named`] gives it one. Strokes take the colour
//! of the text around them.

use maud::{Markup, html};

use crate::assets;

macro_rules! icons {
    ($($(#[$doc:meta])* $name:ident = $id:literal: $path:literal,)*) => {
        /// A picture of the set.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Icon { $($(#[$doc])* $name,)* }

        impl Icon {
            /// Every icon.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The symbol's name in the sprite.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            fn paths(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }
        }
    };
}

icons! {
    /// A cow's head.
    Cow = "cow": "M7 8C4.5 8 3 7 2.5 5M17 8c2.5 0 4-1 4.5-3M7 8c0-2 2-3.5 5-3.5S17 6 17 8v4c0 1-.3 1.8-.8 2.5M7 8v4c0 1 .3 1.8.8 2.5M7 9.5c-2 .8-3.5.8-4.5 0M17 9.5c2 .8 3.5.8 4.5 0M8 20.5c-1.5-1-2-2.5-1.7-4C6.8 14.3 9 13.5 12 13.5s5.2.8 5.7 3c.3 1.5-.2 3-1.7 4-1 .7-2.3 1-4 1s-3-.3-4-1zM10 17.5v.01M14 17.5v.01M10 10v.01M14 10v.01",
    /// A drop of milk.
    Drop = "drop": "M12 3c3.5 4.2 6 7.3 6 11a6 6 0 0 1-12 0c0-3.7 2.5-6.8 6-11zM9 14.5a3 3 0 0 0 2.5 2.8",
    /// A bulk tank on its feet.
    Tank = "tank": "M5 7h14a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2zM6.5 17v3M17.5 17v3M10 7V4h4v3M6.5 12h2.5M6.5 14.5h2.5",
    /// A thermometer.
    Thermometer = "thermometer": "M14 13.5V5a2 2 0 1 0-4 0v8.5a4 4 0 1 0 4 0zM12 9v7",
    /// An ear tag.
    Tag = "tag": "M4 4h7.5L20.5 13a2 2 0 0 1 0 2.8l-4.7 4.7a2 2 0 0 1-2.8 0L4 11.5zM8.5 8.5v.01",
    /// A dial.
    Meter = "meter": "M4 17a8.5 8.5 0 1 1 16 0M12 14.5l4-5M7 20h10M12 14.5v.01",
    /// A ringing bell: an alarm.
    Bell = "bell": "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5a2.2 2.2 0 0 0 4 0M12 5V3.5",
    /// A bell crossed out.
    BellOff = "bell-off": "M6 16.5V11c0-1 .2-2 .7-2.8M9 5.8A6 6 0 0 1 18 11v4M15.5 18h-11L6 16.5M10 20.5a2.2 2.2 0 0 0 4 0M4 4l16 16",
    /// A tray with work in it.
    Inbox = "inbox": "M4 13l2.5-8h11L20 13v5a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18zM4 13h4.5c.5 2 1.7 3 3.5 3s3-1 3.5-3H20",
    /// Two people.
    Staff = "staff": "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.4-3.7 2.8-5.7 6.5-5.7s6.1 2 6.5 5.7M15.5 4.8a3.5 3.5 0 0 1 0 6.4M18 14.8c2 .8 3.2 2.6 3.5 5.2",
    /// One person.
    Person = "person": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.5-4 3.3-6 7.5-6s7 2 7.5 6",
    /// A network that is there.
    Wifi = "wifi": "M2.5 9.5a14 14 0 0 1 19 0M5.8 13a9.2 9.2 0 0 1 12.4 0M9 16.5a4.5 4.5 0 0 1 6 0M12 20v.01",
    /// A network that is not.
    WifiOff = "wifi-off": "M4 4l16 16M2.5 9.5A14 14 0 0 1 7 6.7M11 5.8a14 14 0 0 1 10.5 3.7M5.8 13a9.2 9.2 0 0 1 4.2-2.3M15.5 11.3a9 9 0 0 1 2.7 1.7M9 16.5a4.5 4.5 0 0 1 6 0M12 20v.01",
    /// Stalls side by side.
    Parlour = "parlour": "M3 20V6l4.5-2.5L12 6l4.5-2.5L21 6v14M12 6v14M3 14h18M7.5 9.5v.01M16.5 9.5v.01",
    /// A bucket with a pen mark: record milk.
    Bucket = "bucket": "M5 9h14l-1.5 11h-11zM5 9a7 4.5 0 0 1 14 0M8.5 14c1.2-.9 2.3-.9 3.5 0s2.3.9 3.5 0",
    /// A cow from the side: the herd.
    Herd = "herd": "M3 8h11.5l2-1.5H20L21.5 9v3H18l-1.5 3.5v4H14V16H8v3.5H5.5V15C4 14 3 12 3 10zM17 6.5v-2M20 6.5c.8-.3 1.2-1 1.2-2M3 8c-1.2 1-1.5 3-1.2 5M9.5 16v1.5h3V16M6.5 8c0 2 1 3 2.5 3s2.5-1.5 2.5-3M18.5 9v.01",
    /// A sensor that sends.
    Sensor = "sensor": "M12 13a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM12 13v8M7.8 15.2a6 6 0 0 1 0-8.4M16.2 6.8a6 6 0 0 1 0 8.4M5 18a10 10 0 0 1 0-14M19 4a10 10 0 0 1 0 14",
    /// A chip: devices.
    Device = "device": "M7 7h10v10H7zM10 10h4v4h-4zM9.5 7V3.5M14.5 7V3.5M9.5 20.5V17M14.5 20.5V17M7 9.5H3.5M7 14.5H3.5M20.5 9.5H17M20.5 14.5H17",
    /// A line that rises.
    Chart = "chart": "M4 4v16h16M7.5 15.5l3.5-5 3.5 3L20 6.5",
    /// A calendar.
    Calendar = "calendar": "M4 6h16v14H4zM4 10.5h16M8 3.5V7M16 3.5V7M8 14.5h2M14 14.5h2",
    /// A clock.
    Clock = "clock": "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
    /// A magnifying glass.
    Search = "search": "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.3 15.3L20.5 20.5",
    /// A plus.
    Plus = "plus": "M12 5v14M5 12h14",
    /// A minus.
    Minus = "minus": "M5 12h14",
    /// A tick.
    Check = "check": "M4.5 12.5l5 5L19.5 7",
    /// A tick in a ring: all well.
    CheckRing = "check-ring": "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM8 12.3l2.8 2.7L16 9.5",
    /// A cross.
    Cross = "cross": "M6 6l12 12M18 6L6 18",
    /// A triangle with a mark: look here.
    Warning = "warning": "M12 4L2.5 20h19zM12 10v4.5M12 17.3v.01",
    /// An octagon: stop.
    Stop = "stop": "M8.3 3.5h7.4l4.8 4.8v7.4l-4.8 4.8H8.3l-4.8-4.8V8.3zM12 7.5v5.5M12 16.3v.01",
    /// A ring with an i.
    Info = "info": "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 11v5.5M12 7.8v.01",
    /// A ring with a question mark: not known.
    Unknown = "unknown": "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9.5 9.5a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.1.9-1.1 1.7M12 16.5v.01",
    /// An arrow to the right.
    Next = "next": "M9 5l7 7-7 7",
    /// An arrow to the left.
    Previous = "previous": "M15 5l-7 7 7 7",
    /// An arrow up.
    Up = "up": "M12 19V5M6 11l6-6 6 6",
    /// An arrow down.
    Down = "down": "M12 5v14M6 13l6 6 6-6",
    /// An arrow that turns back.
    Undo = "undo": "M8.5 4.5L4 9l4.5 4.5M4 9h9.5a6 6 0 0 1 0 12H9",
    /// A tray with an arrow down.
    Download = "download": "M12 4v11M7 10.5l5 5 5-5M4.5 20h15",
    /// A pencil.
    Edit = "edit": "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19zM13.5 7l3.5 3.5",
    /// A bin.
    Bin = "bin": "M4.5 7h15M9.5 7V4h5v3M6.5 7l1 13.5h9l1-13.5M10.5 11v5.5M13.5 11v5.5",
    /// Sliders.
    Settings = "settings": "M4 7h8M17 7h3M14.5 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM4 17h3M12 17h8M9.5 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
    /// Three bars: more.
    Menu = "menu": "M4 7h16M4 12h16M4 17h16",
    /// A door with an arrow.
    LogOut = "log-out": "M10 4H5v16h5M14.5 8l4 4-4 4M18.5 12H9.5",
    /// Two sheets: copy.
    Copy = "copy": "M9 9h11v11H9zM15 9V4H4v11h5",
    /// A padlock.
    Lock = "lock": "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 14.5v2",
    /// A syringe.
    Syringe = "syringe": "M14.5 4l5.5 5.5M17.5 6.5l-2 2M6 14.5l7.5-7.5L17 10.5 9.5 18H6zM6 18l-3 3M10 10.5l2 2",
    /// A sun.
    Sun = "sun": "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
    /// A moon.
    Moon = "moon": "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
    /// A disc half shaded: brightness by itself.
    Contrast = "contrast": "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 3.5v17M12 8.5l5-2.5M12 12.5l8-4M12 16.5l7.5-3.7",
    /// An arrow-shaped key with a cross: take the last one away.
    Backspace = "backspace": "M9 5h11.5v14H9l-6-7zM12 9.5l5 5M17 9.5l-5 5",
    /// A flame: biogas.
    Flame = "flame": "M12 3c.5 3.5 5.5 5.5 5.5 11a5.5 5.5 0 0 1-11 0c0-2 .8-3.5 2-4.7.3 1.5 1 2.2 1.7 2.4C10 8.5 10.5 5.5 12 3z",
}

impl Icon {
    /// The icon as decoration beside a word.
    pub fn draw(self) -> Markup {
        html! {
            svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
                use href=(sprite_ref(self)) {}
            }
        }
    }

    /// The icon where no word can stand: a screen reader says `name`.
    pub fn named(self, name: &str) -> Markup {
        html! {
            svg class="icon" viewBox="0 0 24 24" role="img" aria-label=(name) {
                use href=(sprite_ref(self)) {}
            }
        }
    }
}

impl maud::Render for Icon {
    fn render(&self) -> Markup {
        self.draw()
    }
}

/// The sprite: every icon as a symbol of one SVG file.
pub(crate) fn sprite() -> String {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" {
            @for icon in Icon::ALL {
                symbol id=(icon.id()) viewBox="0 0 24 24" fill="none" stroke="currentColor"
                    stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" {
                    path d=(icon.paths()) {}
                }
            }
        }
    }
    .into_string()
}

fn sprite_ref(icon: Icon) -> String {
    format!("{}#{}", assets::url("icons.svg"), icon.id())
}
