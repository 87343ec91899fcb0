//! A browser for one journey: Chromium behind its driver, ended with the test.

mod axe;
mod hands;

pub use axe::violations;
pub use hands::Point;

use anyhow::{Context, Result, bail, ensure};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use harness::{Program, free_port};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long anything on a page may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// A size of the window, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    pub phone: bool,
}

pub const DESKTOP: Window = Window { width: 1440, height: 900, phone: false };
pub const PHONE: Window = Window { width: 390, height: 844, phone: true };

/// A browser with one window.
pub struct Browser {
    pub client: Client,
    _driver: Program,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a fresh browser: no cache, no storage.
    ///
    /// # Errors
    /// There is no Chromium or no driver; `cargo xtask browser` installs them.
    pub async fn start(window: Window) -> Result<Browser> {
        let profile = tempfile::Builder::new().prefix("browser-").tempdir()?;
        let port = free_port()?;
        let driver = Program::start(
            "chromedriver",
            Command::new("chromedriver").args([format!("--port={port}"), "--silent".to_owned()]),
            profile.path(),
        )
        .context("chromedriver: `cargo xtask tools` installs it")?;
        let mut args: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
        ]
        .map(str::to_owned)
        .to_vec();
        args.push(format!("--user-data-dir={}", profile.path().join("profile").display()));
        args.push(format!("--window-size={},{}", window.width, window.height));
        let mut options = json!({"args": args});
        if window.phone {
            options["mobileEmulation"] = json!({"deviceMetrics": {"width": window.width, "height": window.height, "pixelRatio": 2.0, "touch": true}});
        }
        let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(capabilities) = capabilities else { bail!("capabilities are an object") };
        let started = Instant::now();
        let client = loop {
            let connected = ClientBuilder::new(HttpConnector::new())
                .capabilities(capabilities.clone())
                .connect(&format!("http://127.0.0.1:{port}"))
                .await;
            match connected {
                Ok(client) => break client,
                Err(error) if started.elapsed() > SOON => return Err(error).context("connect to chromedriver"),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        Ok(Browser { client, _driver: driver, _profile: profile })
    }

    /// # Errors
    /// The address cannot be opened.
    pub async fn goto(&self, url: &str) -> Result<()> {
        Ok(self.client.goto(url).await?)
    }

    /// Waits for an element.
    ///
    /// # Errors
    /// It does not appear; with what the page shows and its errors.
    pub async fn find(&self, css: &str) -> Result<Element> {
        let started = Instant::now();
        loop {
            match self.client.find(Locator::Css(css)).await {
                Ok(element) => return Ok(element),
                Err(_) if started.elapsed() < SOON => tokio::time::sleep(PAUSE).await,
                Err(_) => {
                    let address = self.address().await.unwrap_or_default();
                    let text = self.eval("return document.body.innerText.slice(0, 1500)").await.unwrap_or_default();
                    let errors = self.errors().await.unwrap_or_default();
                    bail!(
                        "{css} did not appear at {address}; errors {errors:?}; the page says:\n{}",
                        text.as_str().unwrap_or_default()
                    );
                }
            }
        }
    }

    /// Waits for an element and clicks it.
    ///
    /// # Errors
    /// As [`Browser::find`]; something covers it.
    pub async fn click(&self, css: &str) -> Result<()> {
        // Elements are re-rendered while data arrives: a click on one that was just replaced is tried again.
        let started = Instant::now();
        loop {
            match self.find(css).await?.click().await {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > Duration::from_secs(5) => return Err(error).context(css.to_owned()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Runs a script in the page and returns what it returns.
    ///
    /// # Errors
    /// The script fails.
    pub async fn eval(&self, script: &str) -> Result<Value> {
        self.client.execute(script, vec![]).await.with_context(|| script.to_owned())
    }

    /// Waits until a script returns true.
    ///
    /// # Errors
    /// It does not; with the last value.
    pub async fn until(&self, what: &str, script: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let value = self.eval(script).await?;
            if value == Value::Bool(true) {
                return Ok(());
            }
            ensure!(
                started.elapsed() < SOON,
                "{what}: {script} is still {value} at {}; errors {:?}",
                self.address().await?,
                self.errors().await?
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The address bar.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn address(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// Waits until the address contains `part`.
    ///
    /// # Errors
    /// It does not.
    pub async fn address_has(&self, part: &str) -> Result<()> {
        let script = format!("return decodeURIComponent(location.href).includes({})", json!(part));
        self.until(&format!("the address has {part}"), &script).await
    }

    /// Waits until the panel has drawn series: coloured pixels, which axes and grid have none of.
    /// (Greyest colours of the palette: a spread of 41 and 58; of the grid and letters: 27.)
    ///
    /// # Errors
    /// It does not.
    pub async fn drawn(&self, panel: &str) -> Result<()> {
        let script = format!(
            "const c = document.querySelector({}); if (!c || !c.width) return false;
             const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0;
             for (let i = 0; i < d.length; i += 4)
               if (d[i + 3] > 60 && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 35) n++;
             return n > 60",
            json!(format!("{panel} canvas[data-t=\"plot\"]"))
        );
        self.until(&format!("{panel} has drawn"), &script).await
    }

    /// What went wrong in the page: errors, rejections and what was written to `console.error`.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn errors(&self) -> Result<Vec<String>> {
        let errors = self.eval("return window.__vigie_errors || []").await?;
        Ok(errors.as_array().into_iter().flatten().map(|e| e.as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Fails if anything went wrong in the page.
    ///
    /// # Errors
    /// The errors.
    pub async fn no_errors(&self) -> Result<()> {
        let errors = self.errors().await?;
        ensure!(errors.is_empty(), "errors at {}: {errors:?}", self.address().await?);
        Ok(())
    }

    /// Keeps a picture as `NAME.png` in `VIGIE_SCREENSHOTS`, if that is set.
    ///
    /// # Errors
    /// The picture cannot be taken or written.
    pub async fn screenshot(&self, name: &str) -> Result<()> {
        let Some(folder) = std::env::var_os("VIGIE_SCREENSHOTS").map(PathBuf::from) else { return Ok(()) };
        std::fs::create_dir_all(&folder)?;
        let png = self.client.screenshot().await?;
        std::fs::write(folder.join(format!("{name}.png")), png)?;
        Ok(())
    }

    /// Ends the browser.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}
