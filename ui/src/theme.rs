//! The colours, each defined once for light and for dark; the style sheet is given them as variables.
//!
//! Brand: green 500 `#2E7D32`, blue 500 `#1976D2`, accent `#FF6F00`. A test computes the contrast of each pair that is put on
//! each other: 4.5 for text, 3 for the edges of controls and the lines of charts (WCAG 2.2, 1.4.3 and 1.4.11).

/// Name, value on light, value on dark.
const TOKENS: &[(&str, &str, &str)] = &[
    // surfaces
    ("paper", "#F7F5EE", "#0D130F"),
    ("surface", "#FFFFFF", "#161E18"),
    ("sunken", "#EDEAE0", "#202A22"),
    ("rail", "#12351A", "#0A1C0F"),
    ("rail-current", "#235A2D", "#1B4424"),
    // ink
    ("ink", "#16211A", "#EEF3EE"),
    ("ink-soft", "#4B574E", "#AFBCB2"),
    ("rail-ink", "#E6F2E7", "#DCEBDE"),
    ("line", "#DDD9CC", "#2C382F"),
    ("edge", "#767F77", "#7F8D82"),
    // brand
    ("green", "#2E7D32", "#7ACB80"),
    ("on-green", "#FFFFFF", "#05220A"),
    ("green-press", "#1B5E20", "#A3DDA7"),
    ("link", "#1565C0", "#8FC0F5"),
    ("blue", "#1976D2", "#64A8EE"),
    ("on-blue", "#FFFFFF", "#04203D"),
    ("accent", "#FF6F00", "#FF8A2B"),
    ("on-accent", "#241000", "#241000"),
    ("focus", "#0B4FA0", "#9CCBFF"),
    // states: ground and ink
    ("neutral-bg", "#EBE8DD", "#29342C"),
    ("neutral", "#3F4A42", "#C3CEC5"),
    ("info-bg", "#E0EDFB", "#12283F"),
    ("info", "#0C4A8C", "#A9D0FA"),
    ("good-bg", "#DDEFDE", "#15331A"),
    ("good", "#1B5E20", "#A3DDA7"),
    ("warn-bg", "#FFE8C7", "#3D2709"),
    ("warn", "#7A3D00", "#FFCB8C"),
    ("bad-bg", "#FBE1DF", "#471512"),
    ("bad", "#9F1616", "#FFB8B0"),
    ("danger", "#B71C1C", "#C62828"),
    ("danger-stripe", "#8E1010", "#961414"),
    ("on-danger", "#FFFFFF", "#FFFFFF"),
    ("caution", "#FFB300", "#FFB300"),
    ("on-caution", "#241800", "#241800"),
    // series of charts
    ("c0", "#2E7D32", "#7ACB80"),
    ("c1", "#1976D2", "#64A8EE"),
    ("c2", "#C85200", "#FF9A4A"),
    ("c3", "#7B3FA6", "#C79BE8"),
    ("c4", "#00796B", "#4FC3B3"),
    ("c5", "#5D5A4E", "#B5B19F"),
];

/// The variables as a style sheet: light, dark by the device's wish, dark by the user's.
pub(crate) fn css() -> String {
    let light: String = TOKENS
        .iter()
        .map(|(name, light, _)| format!("--{name}:{light};"))
        .collect();
    let dark: String = TOKENS
        .iter()
        .map(|(name, _, dark)| format!("--{name}:{dark};"))
        .collect();
    format!(
        ":root{{color-scheme:light;{light}}}\
         @media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}\
         @media print{{:root:root:root{{color-scheme:light;{light}}}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(name: &str) -> [[u8; 3]; 2] {
        let (_, light, dark) = TOKENS.iter().find(|(n, _, _)| *n == name).expect(name);
        [light, dark].map(|hex| {
            let n = u32::from_str_radix(&hex[1..], 16).unwrap();
            [(n >> 16) as u8, (n >> 8) as u8, n as u8]
        })
    }

    /// Relative luminance and contrast as WCAG 2.2 defines them.
    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let luminance = |c: [u8; 3]| {
            let [r, g, b] = c.map(|v| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 {
                    v / 12.92
                } else {
                    ((v + 0.055) / 1.055).powf(2.4)
                }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn check(front: &str, back: &str, least: f64) {
        for (theme, (f, b)) in ["light", "dark"]
            .iter()
            .zip(colours(front).into_iter().zip(colours(back)))
        {
            let found = contrast(f, b);
            assert!(
                found >= least,
                "{front} on {back}, {theme}: {found:.2} is under {least}"
            );
        }
    }

    #[test]
    fn contrast_is_computed_as_wcag_says() {
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 0.01);
        assert!((contrast([0x77; 3], [255; 3]) - 4.48).abs() < 0.01);
    }

    #[test]
    fn text_can_be_read_in_both_themes() {
        for back in ["paper", "surface", "sunken"] {
            for front in ["ink", "ink-soft", "link", "bad", "good", "warn"] {
                check(front, back, 4.5);
            }
        }
        for (front, back) in [
            ("green", "surface"),
            ("green", "paper"),
            ("on-green", "green"),
            ("on-green", "green-press"),
            ("on-blue", "blue"),
            ("on-accent", "accent"),
            ("on-danger", "danger"),
            ("on-danger", "danger-stripe"),
            ("on-caution", "caution"),
            ("rail-ink", "rail"),
            ("rail-ink", "rail-current"),
            ("neutral", "neutral-bg"),
            ("info", "info-bg"),
            ("good", "good-bg"),
            ("warn", "warn-bg"),
            ("bad", "bad-bg"),
        ] {
            check(front, back, 4.5);
        }
    }

    #[test]
    fn edges_lines_and_focus_can_be_seen_in_both_themes() {
        for back in ["paper", "surface"] {
            for front in ["edge", "focus", "c0", "c1", "c2", "c3", "c4", "c5"] {
                check(front, back, 3.0);
            }
        }
        check("edge", "sunken", 3.0);
        check("accent", "rail", 3.0);
    }

    #[test]
    fn every_colour_that_the_style_sheet_uses_is_defined() {
        let sheet = include_str!("../assets/app.css");
        for used in sheet
            .split("var(--")
            .skip(1)
            .filter_map(|s| s.split([')', ',']).next())
        {
            let defined =
                TOKENS.iter().any(|(n, _, _)| *n == used) || sheet.contains(&format!("--{used}:"));
            assert!(defined, "--{used}");
        }
    }
}
