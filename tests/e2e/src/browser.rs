//! Debian's Chromium, driven over WebDriver.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use serde_json::{Value, json};

/// How long an element may take to come.
const PATIENCE: Duration = Duration::from_secs(15);

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

    /// Opens an address.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("the browser goes there");
    }

    /// The first element that matches, waited for.
    ///
    /// # Panics
    /// When it does not come; what the page says is printed.
    pub async fn see(&self, css: &str) -> Element {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = self.client.wait().at_most(left);
            match wait.for_element(Locator::Css(css)).await {
                Ok(element) => return element,
                // The page goes to another while it is asked.
                Err(error)
                    if !left.is_zero() && error.to_string().contains("aborted by navigation") => {}
                Err(error) => panic!("{css} is never there: {error}\n{}", self.text("body").await),
            }
        }
    }

    /// Taps it where a person would: out of reach of the bars that stay at the edges of the page.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn tap(&self, css: &str) {
        let element = self.see(css).await;
        let script = "document.querySelector(arguments[0])?.scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.ask(script, vec![json!(css)]).await;
        element.click().await.expect("it can be tapped");
    }

    /// Types into a field.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.see(css).await;
        field.send_keys(text).await.expect("it takes what is typed");
    }

    /// What it says. Asked in one step: a live page may replace the element between two.
    pub async fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText", json!(css));
        let text = self.run(&script).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script.
    pub async fn run(&self, script: &str) -> Value {
        self.ask(script, vec![]).await
    }

    /// Runs a script that is given something.
    ///
    /// # Panics
    /// When it throws.
    pub async fn ask(&self, script: &str, given: Vec<Value>) -> Value {
        let answer = self.client.execute(script, given).await;
        answer.expect("the script runs")
    }

    /// Runs a script that answers when it is done.
    ///
    /// # Panics
    /// When it throws.
    pub async fn ask_later(&self, script: &str) -> Value {
        let answer = self.client.execute_async(script, vec![]).await;
        answer.expect("the script runs")
    }

    /// Asks the driver for something of its own.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn driver(&self, command: &str, body: Value) -> Value {
        let session = self.client.session_id().await.expect("the driver answers");
        let session = session.expect("it has a session");
        let url = format!("{}/session/{session}/{command}", self.driver_url);
        let request = reqwest::Client::new().post(url).json(&body);
        let answer = request.send().await.expect("the driver answers");
        assert!(answer.status().is_success(), "{command}");
        let answer: Value = answer.json().await.expect("in JSON");
        answer["value"].clone()
    }

    /// A command of Chromium's own protocol.
    ///
    /// # Panics
    /// When it refuses.
    pub async fn command(&self, name: &str, params: Value) {
        let body = json!({ "cmd": name, "params": params });
        self.driver("goog/cdp/execute", body).await;
    }

    /// What the device prefers, as style sheets ask: `prefers-color-scheme`, `prefers-reduced-motion`.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let media = json!({ "features": features });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// Leaves a picture of the screen in `target/screenshots`, for a person to look at.
    ///
    /// # Panics
    /// When the browser is gone or the file can't be written.
    pub async fn picture(&self, name: &str) {
        let program = crate::program("edge-node");
        let folder = program.ancestors().nth(2).expect("it is in target/debug");
        let folder = folder.join("screenshots");
        std::fs::create_dir_all(&folder).expect("target is writable");
        let png = self.client.screenshot().await.expect("a screenshot");
        std::fs::write(folder.join(format!("{name}.png")), png).expect("the folder is writable");
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
