//! Hands and eyes: keys, the pointer, what the page says.

use crate::{Browser, PAUSE, SOON};
use anyhow::{Context, Result, ensure};
use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A place in the window, in CSS pixels.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    /// Beside this place.
    #[must_use]
    pub fn by(self, x: f64, y: f64) -> Point {
        Point { x: self.x + x, y: self.y + y }
    }
}

impl Browser {
    /// Replaces the text of a field, as by typing.
    ///
    /// # Errors
    /// There is no such field.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let field = self.find(css).await?;
        field.click().await.with_context(|| css.to_owned())?;
        let select = "\u{e009}a\u{e000}\u{e017}";
        field.send_keys(select).await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Presses keys one after another, wherever the focus is.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn keys(&self, keys: &[char]) -> Result<()> {
        for key in keys {
            let presses = KeyActions::new("keys".to_owned())
                .then(KeyAction::Down { value: *key })
                .then(KeyAction::Up { value: *key });
            self.client.perform_actions(presses).await?;
        }
        Ok(())
    }

    /// Presses a key while another is held.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn chord(&self, held: char, key: char) -> Result<()> {
        let presses = KeyActions::new("keys".to_owned())
            .then(KeyAction::Down { value: held })
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key })
            .then(KeyAction::Up { value: held });
        Ok(self.client.perform_actions(presses).await?)
    }

    /// Gives an element the focus.
    ///
    /// # Errors
    /// There is none.
    pub async fn focus(&self, css: &str) -> Result<()> {
        self.find(css).await?;
        self.until(
            &format!("{css} has the focus"),
            &format!(
                "const e = document.querySelector({0}); if (!e) return false; e.focus(); return document.activeElement === e",
                json!(css)
            ),
        )
        .await
    }

    /// Waits until an element's text contains `part`.
    ///
    /// # Errors
    /// It does not; with what it says.
    pub async fn says(&self, css: &str, part: &str) -> Result<()> {
        let script = format!(
            "const e = document.querySelector({}); const t = e ? e.textContent + ' ' + (e.value || '') : 'not there';
             return t.includes({}) || t.slice(0, 400)",
            json!(css),
            json!(part)
        );
        self.until(&format!("{css} says {part:?}"), &script).await
    }

    /// Waits until there are exactly `count` elements.
    ///
    /// # Errors
    /// There are others.
    pub async fn count_is(&self, css: &str, count: usize) -> Result<()> {
        let script = format!("const n = document.querySelectorAll({}).length; return n === {count} || n", json!(css));
        self.until(&format!("{count} of {css}"), &script).await
    }

    /// Waits until there is no such element.
    ///
    /// # Errors
    /// There still is.
    pub async fn gone(&self, css: &str) -> Result<()> {
        self.count_is(css, 0).await
    }

    /// The text of an element.
    ///
    /// # Errors
    /// There is none.
    pub async fn text(&self, css: &str) -> Result<String> {
        self.find(css).await?;
        let text = self.eval(&format!("return document.querySelector({}).innerText", json!(css))).await?;
        Ok(text.as_str().unwrap_or_default().trim().to_owned())
    }

    /// A place within an element, by shares of its width and height; scrolled to where it can be seen.
    ///
    /// # Errors
    /// There is none.
    pub async fn spot(&self, css: &str, x: f64, y: f64) -> Result<Point> {
        self.find(css).await?;
        let script = format!(
            "const e = document.querySelector({}); let r = e.getBoundingClientRect();
             if (r.top < 60 || r.bottom > innerHeight - 10) {{ e.scrollIntoView({{block: 'center'}}); r = e.getBoundingClientRect(); }}
             return [r.left + r.width * {x}, r.top + r.height * {y}]",
            json!(css)
        );
        point(&self.eval(&script).await?)
    }

    /// Waits until the panel's line is drawn and answers a place on it, in the window.
    ///
    /// # Errors
    /// There is no line.
    pub async fn on_line(&self, panel: &str) -> Result<Point> {
        self.drawn(panel).await?;
        self.spot(panel, 0.5, 0.5).await?;
        let script = format!(
            "const c = document.querySelector({}), r = c.getBoundingClientRect(), k = c.width / r.width;
             const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
             for (let x = Math.floor(c.width * 0.99); x > c.width * 0.2; x--)
               for (let y = Math.floor(c.height * 0.05); y < c.height * 0.85; y++) {{
                 const i = 4 * (y * c.width + x);
                 if (d[i + 3] > 160 && Math.max(d[i], d[i + 1], d[i + 2]) - Math.min(d[i], d[i + 1], d[i + 2]) > 35)
                   return [r.left + (x - 6) / k, r.top + y / k];
               }}
             return null",
            json!(format!("{panel} canvas[data-t=\"plot\"]"))
        );
        // On a server that was just started the line has yet to come in from the right.
        let started = Instant::now();
        loop {
            match point(&self.eval(&script).await?) {
                Ok(found) => return Ok(found),
                Err(_) if started.elapsed() < SOON => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error).with_context(|| format!("no line in {panel}")),
            }
        }
    }

    async fn pointer(&self, steps: Vec<PointerAction>) -> Result<()> {
        let mut mouse = MouseActions::new("mouse".to_owned());
        for step in steps {
            mouse = mouse.then(step);
        }
        Ok(self.client.perform_actions(mouse).await?)
    }

    /// Moves the pointer.
    ///
    /// # Errors
    /// The place is outside of the window.
    pub async fn hover(&self, at: Point) -> Result<()> {
        self.pointer(vec![go(at.by(-2.0, 0.0)), go(at)]).await
    }

    /// Moves the pointer and clicks.
    ///
    /// # Errors
    /// The place is outside of the window.
    pub async fn press(&self, at: Point) -> Result<()> {
        self.pointer(vec![go(at.by(-2.0, 0.0)), go(at), down(), up()]).await
    }

    /// Clicks twice, quickly.
    ///
    /// # Errors
    /// The place is outside of the window.
    pub async fn double_press(&self, at: Point) -> Result<()> {
        self.pointer(vec![go(at), down(), up(), down(), up()]).await
    }

    /// Presses, moves and lets go.
    ///
    /// # Errors
    /// A place is outside of the window.
    pub async fn drag(&self, from: Point, to: Point) -> Result<()> {
        let middle = Point { x: f64::midpoint(from.x, to.x), y: f64::midpoint(from.y, to.y) };
        self.pointer(vec![go(from), down(), go(middle), go(to), up()]).await
    }

    /// Chooses an option of a native list by its value.
    ///
    /// # Errors
    /// There is no such list or value.
    pub async fn choose(&self, css: &str, value: &str) -> Result<()> {
        self.find(css).await?.select_by_value(value).await.with_context(|| format!("{css}: {value}"))?;
        Ok(())
    }

    /// What a query of the address holds, decoded; empty where it is absent.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn parameter(&self, name: &str) -> Result<String> {
        let value =
            self.eval(&format!("return new URL(location.href).searchParams.get({}) || ''", json!(name))).await?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// Fails where the page is wider than its window.
    ///
    /// # Errors
    /// It is; with the widest elements.
    pub async fn fits(&self) -> Result<()> {
        let found = self
            .eval(
                "const w = document.documentElement.clientWidth;
                 if (document.documentElement.scrollWidth <= w) return '';
                 return document.documentElement.scrollWidth + ' > ' + w + ': ' + [...document.querySelectorAll('body *')]
                   .filter(e => e.getBoundingClientRect().right > w + 1).slice(0, 6)
                   .map(e => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right)).join('; ')",
            )
            .await?;
        ensure!(found == Value::String(String::new()), "{} scrolls sideways: {found}", self.address().await?);
        Ok(())
    }
}

fn point(value: &Value) -> Result<Point> {
    let at = |i: usize| value.get(i).and_then(Value::as_f64).context("no place");
    Ok(Point { x: at(0)?, y: at(1)? })
}

fn go(to: Point) -> PointerAction {
    PointerAction::MoveTo { duration: Some(Duration::from_millis(20)), x: to.x, y: to.y }
}

fn down() -> PointerAction {
    PointerAction::Down { button: fantoccini::actions::MOUSE_BUTTON_LEFT }
}

fn up() -> PointerAction {
    PointerAction::Up { button: fantoccini::actions::MOUSE_BUTTON_LEFT }
}
