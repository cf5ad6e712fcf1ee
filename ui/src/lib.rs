//! The design system: page shell, components, SVG charts, icons, translations, live.js.
