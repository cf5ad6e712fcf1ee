//! The files that pages refer to, each under a name that holds a hash of its content, so that they may be cached for good.
//!
//! The server mounts [`all`] with `Cache-Control: public, max-age=31536000, immutable`; pages take addresses from [`url`].

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::theme;

/// Folder under which the assets are served.
pub const PREFIX: &str = "/assets/";

/// A file to serve.
#[derive(Debug)]
pub struct Asset {
    /// Name in the source: `app.css`.
    pub name: &'static str,
    /// Address with the content's hash: `/assets/app.1f0c9a2e.css`.
    pub url: String,
    /// Media type.
    pub content_type: &'static str,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Every asset.
pub fn all() -> &'static [Asset] {
    static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
        // what the manifest refers to comes before it
        let icon = asset(
            "icon.svg",
            "image/svg+xml",
            include_str!("../assets/icon.svg").into(),
        );
        let manifest = include_str!("../assets/manifest.json").replace("icon.svg", &icon.url);
        vec![
            asset(
                "app.css",
                "text/css; charset=utf-8",
                format!("{}\n{}", theme::css(), include_str!("../assets/app.css")),
            ),
            asset(
                "live.js",
                "text/javascript; charset=utf-8",
                include_str!("../assets/live.js").into(),
            ),
            asset(
                "scan.js",
                "text/javascript; charset=utf-8",
                include_str!("../assets/scan.js").into(),
            ),
            asset("icons.svg", "image/svg+xml", crate::icons::sprite()),
            asset("manifest.json", "application/manifest+json", manifest),
            icon,
        ]
    });
    &ASSETS
}

/// The asset served at `path`, if there is one.
pub fn by_url(path: &str) -> Option<&'static Asset> {
    all().iter().find(|a| a.url == path)
}

/// The address of the asset called `name` in the source.
///
/// # Panics
/// When there is no such asset, which is a mistake in the calling page.
pub fn url(name: &str) -> &'static str {
    &all()
        .iter()
        .find(|a| a.name == name)
        .expect("pages name assets that exist")
        .url
}

fn asset(name: &'static str, content_type: &'static str, content: String) -> Asset {
    let hash = Sha256::digest(content.as_bytes());
    let hex: String = hash[..5].iter().map(|b| format!("{b:02x}")).collect();
    let (stem, extension) = name.split_once('.').unwrap_or((name, "bin"));
    Asset {
        name,
        url: format!("{PREFIX}{stem}.{hex}.{extension}"),
        content_type,
        bytes: content.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_hashed_address() {
        for asset in all() {
            assert_eq!(by_url(url(asset.name)).unwrap().bytes, asset.bytes);
        }
        assert!(by_url("/assets/app.css").is_none());
    }

    #[test]
    fn the_manifest_names_the_icon_that_is_served() {
        let manifest = by_url(url("manifest.json")).unwrap();
        assert!(String::from_utf8_lossy(&manifest.bytes).contains(url("icon.svg")));
    }

    /// What Chromium says of each script, one line for each, without running any.
    fn parsed(scripts: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        let mut html = String::from("<meta charset=utf-8><body>");
        for script in scripts {
            assert!(!script.contains("</"), "a page would end the script there");
            html += &format!("<script type='text/plain'>{script}</script>\n");
        }
        html += "<script>document.body.innerText = [...document.querySelectorAll('[type]')].map(({ text }) => {
            try { new Function(text); return 'whole'; } catch (error) { return String(error); }
        }).join('\\n')</script>";
        std::fs::write(&page, html).unwrap();
        let output = std::process::Command::new("/usr/bin/chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("Debian's chromium starts (`cargo xtask test` installs it)");
        let dom = String::from_utf8(output.stdout).unwrap();
        let (_, body) = dom.split_once("<body>").expect("Chromium shows the page");
        let (said, _) = body.split_once("</body>").expect("a page ends");
        said.trim().split("<br>").map(str::to_owned).collect()
    }

    #[test]
    fn a_browser_understands_each_script() {
        let scripts = all().iter().filter(|a| a.name.ends_with(".js"));
        let mut texts: Vec<_> = scripts.map(|a| str::from_utf8(&a.bytes).unwrap()).collect();
        assert_eq!(texts.len(), 2, "live.js and scan.js");
        texts.push("const a = 1; const a = 2;");
        let said = parsed(&texts);
        assert_eq!(said[..2], ["whole", "whole"]);
        assert!(said[2].starts_with("SyntaxError"), "{said:?}");
    }
}
