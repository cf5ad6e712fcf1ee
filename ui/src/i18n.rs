//! Every text of the product, in Bengali and English.
//!
//! A text is a function of the language, made by [`texts!`](crate::texts!) with both languages side by side. A missing
//! language, a placeholder without a value and a value that one language forgets are compile errors; numbers given
//! as values come out in the language's own digits. [`faults`] finds what a compiler cannot see.

use std::borrow::Cow;

use crate::fmt;

/// A language of the screens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Lang {
    /// Bengali, the first language of the farm.
    #[default]
    Bn,
    /// English.
    En,
}

impl Lang {
    /// Every language, first choice first.
    pub const ALL: &[Self] = &[Self::Bn, Self::En];

    /// The BCP 47 tag: `bn` or `en`; used in `lang` attributes, cookies and translation tables.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Bn => "bn",
            Self::En => "en",
        }
    }

    /// The language called `tag`, region ignored (`bn-BD` is Bengali).
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or(tag);
        Self::ALL
            .iter()
            .copied()
            .find(|l| l.tag().eq_ignore_ascii_case(primary))
    }

    /// The first language of an `Accept-Language` header that we speak, Bengali when there is none.
    pub fn from_accept_language(header: &str) -> Self {
        Self::accepted(header).unwrap_or_default()
    }

    /// The first language of an `Accept-Language` header that we speak.
    pub fn accepted(header: &str) -> Option<Self> {
        let mut wishes: Vec<(u16, Self)> = header
            .split(',')
            .filter_map(|wish| {
                let mut parts = wish.split(';');
                let lang = Self::from_tag(parts.next()?.trim())?;
                let quality = parts
                    .find_map(|p| p.trim().strip_prefix("q="))
                    .and_then(|q| q.parse::<f32>().ok())
                    .unwrap_or(1.0);
                Some(((quality * 1000.0) as u16, lang))
            })
            .collect();
        wishes.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
        wishes.first().map(|(_, l)| *l)
    }

    /// What the language calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bn => "বাংলা",
            Self::En => "English",
        }
    }

    /// The other language, for the switch.
    pub fn other(self) -> Self {
        match self {
            Self::Bn => Self::En,
            Self::En => Self::Bn,
        }
    }
}

/// A value that can stand in a text: strings as they are, integers in the language's digits.
pub trait Say {
    /// The value in words or digits of `lang`.
    fn say(&self, lang: Lang) -> Cow<'_, str>;

    /// Whether an English noun after it is singular.
    fn is_one(&self) -> bool {
        false
    }
}

impl Say for str {
    fn say(&self, _: Lang) -> Cow<'_, str> {
        self.into()
    }
}

impl Say for String {
    fn say(&self, _: Lang) -> Cow<'_, str> {
        self.as_str().into()
    }
}

impl Say for Cow<'_, str> {
    fn say(&self, _: Lang) -> Cow<'_, str> {
        self.as_ref().into()
    }
}

impl<T: Say + ?Sized> Say for &T {
    fn say(&self, lang: Lang) -> Cow<'_, str> {
        (**self).say(lang)
    }

    fn is_one(&self) -> bool {
        (**self).is_one()
    }
}

macro_rules! say_integers {
    ($($int:ty),*) => {$(
        impl Say for $int {
            fn say(&self, lang: Lang) -> Cow<'_, str> {
                fmt::int(lang, *self as i64).into()
            }

            fn is_one(&self) -> bool {
                *self == 1
            }
        }
    )*};
}

say_integers!(u8, u16, u32, i32, i64, usize);

/// One entry of a table made by [`texts!`](crate::texts!), as written: placeholders in braces.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// The key, which is the function's name.
    pub key: &'static str,
    /// English; the singular first when there are two.
    pub en: &'static [&'static str],
    /// Bengali.
    pub bn: &'static str,
}

impl Text {
    /// The text as written in `lang`, with its placeholders; in English the last (plural) form.
    pub fn pattern(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::Bn => self.bn,
            Lang::En => self.en.last().copied().unwrap_or_default(),
        }
    }
}

/// Declares texts: one function each, and `ALL`, the table of them.
///
/// Each line reads `key = "English" / "Bengali";`. Values are named in parentheses and stand in braces; a second English
/// form after `|` is the plural, chosen by the first value. Whoever owns pages declares their texts in a module of its
/// own and calls them with the language of the request:
///
/// ```
/// mod t {
///     ui::texts! {
///         herd = "Herd" / "গোয়াল";
///         cows(count) = "{count} cow" | "{count} cows" / "{count}টি গরু";
///         milked(cow, litres) = "{cow} gave {litres} L" / "{cow} দিয়েছে {litres} লিটার";
///     }
/// }
/// use ui::Lang::{Bn, En};
///
/// assert_eq!(t::herd(Bn), "গোয়াল");
/// assert_eq!(t::cows(En, 1), "1 cow");
/// assert_eq!(t::cows(Bn, 125_000), "১,২৫,০০০টি গরু");
/// assert_eq!(t::milked(En, "Lali", ui::fmt::litres(En, 12_400)), "Lali gave 12.4 L");
/// ```
///
/// A test comes with each table and finds its [`faults`](crate::i18n::faults). The functions are `pub`, or what follows `@` at the head of
/// the table: `@pub(super),`.
///
/// A Bengali text that forgets a value does not compile:
///
/// ```compile_fail
/// ui::texts! { cows(count) = "{count} cows" / "গরু"; }
/// ```
#[macro_export]
macro_rules! texts {
    (@$vis:vis, $($key:ident $(($($arg:ident),+))? = $en:literal $(| $many:literal)? / $bn:literal;)*) => {
        $($crate::text!($vis $key $(($($arg),+))? $en $(| $many)? / $bn);)*

        /// Every text of this table.
        $vis const ALL: &[$crate::i18n::Text] = &[$(
            $crate::i18n::Text { key: stringify!($key), en: &[$en $(, $many)?], bn: $bn },
        )*];

        const _: &[$crate::i18n::Text] = ALL;

        #[cfg(test)]
        #[test]
        fn texts_are_right_in_both_languages() {
            assert_eq!($crate::i18n::faults(ALL), Vec::<String>::new());
        }
    };
    ($($table:tt)*) => {
        $crate::texts! { @pub, $($table)* }
    };
}

/// One line of [`texts!`](crate::texts!).
#[doc(hidden)]
#[macro_export]
macro_rules! text {
    ($vis:vis $key:ident $en:literal / $bn:literal) => {
        #[doc = $en]
        $vis fn $key(lang: $crate::Lang) -> &'static str {
            match lang {
                $crate::Lang::En => $en,
                $crate::Lang::Bn => $bn,
            }
        }
    };
    ($vis:vis $key:ident ($first:ident $(, $arg:ident)*) $one:literal | $many:literal / $bn:literal) => {
        #[doc = $many]
        $vis fn $key(lang: $crate::Lang, $first: impl $crate::i18n::Say $(, $arg: impl $crate::i18n::Say)*) -> String {
            let one = $first.is_one();
            let $first = $first.say(lang);
            $(let $arg = $arg.say(lang);)*
            match lang {
                $crate::Lang::En if one => format!($one, $first = $first $(, $arg = $arg)*),
                $crate::Lang::En => format!($many, $first = $first $(, $arg = $arg)*),
                $crate::Lang::Bn => format!($bn, $first = $first $(, $arg = $arg)*),
            }
        }
    };
    ($vis:vis $key:ident ($($arg:ident),+) $en:literal / $bn:literal) => {
        #[doc = $en]
        $vis fn $key(lang: $crate::Lang, $($arg: impl $crate::i18n::Say),+) -> String {
            $(let $arg = $arg.say(lang);)+
            match lang {
                $crate::Lang::En => format!($en, $($arg = $arg),+),
                $crate::Lang::Bn => format!($bn, $($arg = $arg),+),
            }
        }
    };
}

/// What is wrong with a table of texts that compiles: a key declared for nothing, Bengali that is still English or has
/// Latin digits, English that has Bengali letters, stray blanks, marks that change direction, other values than its peer.
pub fn faults(texts: &[Text]) -> Vec<String> {
    let mut faults = Vec::new();
    for text in texts {
        for pattern in text.en.iter().chain([&text.bn]) {
            if pattern.trim() != *pattern || pattern.is_empty() {
                faults.push(format!("{}: blank at an end of {pattern:?}", text.key));
            }
            if pattern.contains(['\u{2068}', '\u{2069}', '\u{200e}', '\u{200f}']) {
                faults.push(format!("{}: direction mark in {pattern:?}", text.key));
            }
            if placeholders(pattern) != placeholders(text.bn) {
                faults.push(format!("{}: the languages use other values", text.key));
            }
        }
        let bengali = |s: &str| s.chars().any(|c| ('\u{980}'..='\u{9ff}').contains(&c));
        let prose = without_placeholders(text.bn);
        if prose.chars().any(|c| c.is_ascii_digit()) {
            faults.push(format!("{}: Latin digits in {:?}", text.key, text.bn));
        }
        if prose.chars().any(|c| c.is_ascii_lowercase()) && !bengali(&prose) {
            faults.push(format!("{}: {:?} is not Bengali", text.key, text.bn));
        }
        if text.en.iter().any(|en| bengali(en)) {
            faults.push(format!("{}: Bengali letters in {:?}", text.key, text.en));
        }
    }
    faults
}

fn placeholders(pattern: &str) -> Vec<&str> {
    let mut names: Vec<&str> = pattern
        .split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn without_placeholders(pattern: &str) -> String {
    pattern
        .split('{')
        .enumerate()
        .map(|(i, part)| match part.split_once('}') {
            Some((_, after)) if i > 0 => after,
            _ => part,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_we_speak_wins() {
        assert_eq!(
            Lang::from_accept_language("fr, en-GB;q=0.8, bn;q=0.9"),
            Lang::Bn
        );
        assert_eq!(Lang::from_accept_language("en-US,en;q=0.9"), Lang::En);
        assert_eq!(Lang::from_accept_language(""), Lang::Bn);
        assert_eq!(Lang::from_tag("bn-BD"), Some(Lang::Bn));
        assert_eq!(Lang::from_tag("bnx"), None);
    }

    #[test]
    fn faults_are_found() {
        let text = |en, bn| Text {
            key: "k",
            en: std::slice::from_ref(en),
            bn,
        };
        assert!(faults(&[text(&"{n} cows", "{n}টি গরু")]).is_empty());
        for (en, bn) in [
            ("Cows", "Cows today"),
            ("5 cows", "5টি গরু"),
            ("{n} cows", "{m}টি গরু"),
            ("Cows ", "গরু"),
            ("গরু", "গরু"),
            ("Cow", "\u{2068}গরু\u{2069}"),
        ] {
            let found = match en {
                "Cows" => faults(&[text(&"Cows", bn)]),
                "5 cows" => faults(&[text(&"5 cows", bn)]),
                "{n} cows" => faults(&[text(&"{n} cows", bn)]),
                "Cows " => faults(&[text(&"Cows ", bn)]),
                "গরু" => faults(&[text(&"গরু", bn)]),
                _ => faults(&[text(&"Cow", bn)]),
            };
            assert!(!found.is_empty(), "{en:?} / {bn:?}");
        }
    }
}
