//! The design system of every screen: page shell, components, SVG charts, icons, texts in Bengali and English, styles and
//! `live.js`.
//!
//! Pages are pure functions of data that give [`maud::Markup`]. Invariants: no inline script and no inline style, so
//! that the content security policy can be `'self'`; nothing is asked of another origin; every page works without
//! JavaScript; every text comes from [`texts!`] in both languages. This crate knows no farm: what a menu, a stall or a
//! chart shows is given to it.

pub mod assets;
pub mod chart;
pub mod components;
pub mod fmt;
pub mod i18n;
pub mod icons;
pub mod shell;
pub mod styleguide;
pub mod t;
mod theme;

pub use i18n::Lang;
