//! What this browser remembers for its viewer: stars and the places last looked at. Both survive without an account.

use leptos::{prelude::*, tachys::dom::window};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const STARS_KEY: &str = "vigie.stars";
const PLACES_KEY: &str = "vigie.places";
/// As many as the home page shows, and a few more.
const PLACES_MAX: usize = 12;

/// A page that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Path and query.
    pub url: String,
    pub title: String,
    /// What distinguishes it: variables, time range.
    pub detail: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// Stars and places, as signals.
#[derive(Clone, Copy)]
pub struct Kept {
    pub stars: RwSignal<Vec<String>>,
    pub places: RwSignal<Vec<Place>>,
}

/// Reads what was kept; once, by the shell.
pub fn provide_kept() {
    provide_context(Kept { stars: RwSignal::new(read(STARS_KEY)), places: RwSignal::new(read(PLACES_KEY)) });
}

/// What is kept.
///
/// # Panics
/// Outside of the shell.
pub fn use_kept() -> Kept {
    expect_context::<Kept>()
}

impl Kept {
    /// Whether a dashboard is starred; tracked.
    pub fn is_starred(self, uid: &str) -> bool {
        self.stars.with(|stars| stars.iter().any(|star| star == uid))
    }

    /// Gives a dashboard a star, or takes it.
    pub fn toggle_star(self, uid: &str) {
        self.stars.update(|stars| match stars.iter().position(|star| star == uid) {
            Some(at) => {
                stars.remove(at);
            }
            None => stars.push(uid.to_owned()),
        });
        self.stars.with_untracked(|stars| write(STARS_KEY, stars));
    }

    /// Puts a place first; an earlier visit of the same page (query aside) goes away.
    pub fn visit(self, place: Place) {
        let path = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        self.places.update(|places| {
            places.retain(|old| path(&old.url) != path(&place.url));
            places.insert(0, place);
            places.truncate(PLACES_MAX);
        });
        self.places.with_untracked(|places| write(PLACES_KEY, places));
    }
}

fn read<T: DeserializeOwned + Default>(key: &str) -> T {
    let stored = window().local_storage().ok().flatten().and_then(|storage| storage.get_item(key).ok().flatten());
    stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn write<T: Serialize>(key: &str, value: &T) {
    // A browser that keeps nothing (private mode, full storage) just forgets.
    if let (Ok(Some(storage)), Ok(text)) = (window().local_storage(), serde_json::to_string(value)) {
        let _ = storage.set_item(key, &text);
    }
}
