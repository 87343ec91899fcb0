//! The viewer's time zone, from the browser: the crates that reckon with dates ask for its distance from UTC.

use dashboard::calendar::{Calendar, Weekday};
use std::{cell::RefCell, collections::HashMap};

/// Which zone times are shown in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    #[default]
    Browser,
    Utc,
    /// An IANA name that the browser knows.
    Named(String),
}

/// Changes of the clocks fall on full quarters of an hour: one answer holds for so long.
const CACHED_MS: i64 = 900_000;

/// Milliseconds to add to UTC, at an instant.
type Offset = &'static dyn Fn(i64) -> i64;

thread_local! {
    /// Asking the browser for the offset of a named zone is slow, axes ask often.
    static OFFSETS: RefCell<HashMap<(String, i64), i64>> = RefCell::new(HashMap::new());
}

impl Zone {
    /// `timezone` as addresses and dashboards write it; empty and unknown words are the browser's zone.
    pub fn parse(word: &str) -> Zone {
        match word {
            "" | "browser" => Zone::Browser,
            "utc" | "UTC" | "Etc/UTC" => Zone::Utc,
            name if named_offset_ms(name, 0).is_some() => Zone::Named(name.to_owned()),
            _ => Zone::Browser,
        }
    }

    /// Milliseconds to add to UTC at an instant.
    pub fn offset_ms(&self, utc_ms: i64) -> i64 {
        match self {
            Zone::Utc => 0,
            Zone::Browser => {
                let date = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(utc_ms as f64));
                -(date.get_timezone_offset() as i64) * 60_000
            }
            Zone::Named(name) => OFFSETS.with_borrow_mut(|offsets| {
                let key = (name.clone(), utc_ms.div_euclid(CACHED_MS));
                *offsets.entry(key).or_insert_with(|| named_offset_ms(name, utc_ms).unwrap_or(0))
            }),
        }
    }

    /// Calls `work` with the calendar of this zone; weeks begin on Monday.
    pub fn with_calendar<T>(&self, work: impl FnOnce(&Calendar<'_>) -> T) -> T {
        work(&self.calendar())
    }

    /// The calendar of this zone for as long as the page lives. There are as many as zones were looked at: few.
    pub fn calendar(&self) -> Calendar<'static> {
        thread_local! {
            static KNOWN: RefCell<Vec<(Zone, Offset)>> = const { RefCell::new(Vec::new()) };
        }
        let offset_ms: Offset = KNOWN.with_borrow_mut(|known| {
            if let Some((_, offset)) = known.iter().find(|(zone, _)| zone == self) {
                return *offset;
            }
            let zone = self.clone();
            let offset: Offset = Box::leak(Box::new(move |utc_ms| zone.offset_ms(utc_ms)));
            known.push((self.clone(), offset));
            offset
        });
        Calendar { offset_ms, week_start: Weekday::Monday, fiscal_year_start_month: 0 }
    }

    /// Beside a time range: `UTC`, `Europe/Paris`; nothing for the browser's own.
    pub fn word(&self) -> &str {
        match self {
            Zone::Browser => "",
            Zone::Utc => "UTC",
            Zone::Named(name) => name,
        }
    }
}

/// The offset of a named zone, `None` if the browser does not know it.
fn named_offset_ms(name: &str, utc_ms: i64) -> Option<i64> {
    let date = js_sys::Date::new(&wasm_bindgen::JsValue::from_f64(utc_ms as f64));
    let options = js_sys::Object::new();
    js_sys::Reflect::set(&options, &"timeZone".into(), &name.into()).ok()?;
    // Swedish is written as `2026-11-22 14:00:00`. Called through Reflect, because an unknown zone throws.
    let function = js_sys::Reflect::get(&date, &"toLocaleString".into()).ok().map(js_sys::Function::from)?;
    let text = function.call2(&date, &"sv-SE".into(), &options).ok()?.as_string()?;
    let local_ms = js_sys::Date::parse(&format!("{}Z", text.replace(' ', "T")));
    local_ms.is_finite().then(|| ((local_ms as i64) - utc_ms.div_euclid(1000) * 1000) / 60_000 * 60_000)
}

/// The browser's clock, Unix milliseconds.
pub fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}
