//! Debian's Chromium, driven over WebDriver.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use fantoccini::{Client, ClientBuilder};
use serde_json::json;

/// A headless Chromium with an empty profile, and the driver that steers it.
pub struct Browser {
    /// Steers the browser.
    pub client: Client,
    /// Where its driver listens: for what `client` has no word for.
    pub driver_url: String,
    driver: Child,
    profile: tempfile::TempDir,
}

/// How a [`Browser`] looks at pages.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Width in CSS pixels.
    pub width: u32,
    /// Height in CSS pixels.
    pub height: u32,
}

/// A cheap phone.
pub const PHONE: Screen = Screen {
    width: 390,
    height: 844,
};
/// The narrowest phone that must work.
pub const NARROW: Screen = Screen {
    width: 320,
    height: 640,
};
/// A manager's desk.
pub const DESK: Screen = Screen {
    width: 1280,
    height: 900,
};

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// When Debian's `chromium` or `chromium-driver` is not installed.
    pub async fn start(screen: Screen) -> Self {
        let mut driver = Command::new("/usr/bin/chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts (install Debian's chromium-driver, or run `cargo xtask setup`)");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            // The first line names the port that was asked for, which is any: 0.
            .find_map(|line| {
                let port = line.split("on port ").nth(1)?;
                let port = port.trim_end_matches('.').parse::<u16>().ok()?;
                (port != 0).then_some(port)
            })
            .expect("chromedriver says its port");
        std::thread::spawn(move || lines.for_each(drop));

        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut options = json!({
            "binary": "/usr/bin/chromium",
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
                user_data(profile.path()),
                format!("--window-size={},{}", screen.width, screen.height),
            ],
            "mobileEmulation": { "deviceMetrics": { "width": screen.width, "height": screen.height, "pixelRatio": 1.0 } },
        });
        if screen.width >= 1000 {
            options
                .as_object_mut()
                .expect("an object")
                .remove("mobileEmulation");
        }
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let driver_url = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver_url)
            .await
            .expect("Chromium starts (install Debian's chromium, or run `cargo xtask setup`)");
        Self {
            client,
            driver_url,
            driver,
            profile,
        }
    }

    /// Saves what the screen shows, for a person to look at.
    ///
    /// # Panics
    /// When the browser is gone or the file can't be written.
    pub async fn screenshot(&self, path: &Path) {
        let png = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(path, png).expect("the file is writable");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // A driver that is killed leaves its browser running.
        for browser in processes_with(&user_data(self.profile.path())) {
            let _ = rustix::process::kill_process(browser, rustix::process::Signal::KILL);
        }
    }
}

fn user_data(profile: &Path) -> String {
    format!("--user-data-dir={}", profile.display())
}

/// The processes that were started with `argument`.
fn processes_with(argument: &str) -> Vec<rustix::process::Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return vec![];
    };
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            // Chromium writes its title over its arguments, with spaces between them.
            String::from_utf8_lossy(&line)
                .split(['\0', ' '])
                .any(|a| a == argument)
                .then(|| rustix::process::Pid::from_raw(id))?
        })
        .collect()
}
