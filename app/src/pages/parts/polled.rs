//! Data that is loaded, kept while it is loaded again, and refreshed while somebody looks.

use leptos::prelude::*;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::JsCast;

/// What is known of one source. `data` stays when a later load fails, so that a page never goes blank.
pub struct Polled<T: Send + Sync + 'static> {
    pub data: RwSignal<Option<Arc<T>>>,
    /// Why the last load failed; `None` after one that went well.
    pub error: RwSignal<Option<String>>,
    pub loading: RwSignal<bool>,
    reload: Trigger,
}

impl<T: Send + Sync + 'static> Clone for Polled<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Polled<T> {}

impl<T: Send + Sync + 'static> Polled<T> {
    /// Loads now.
    pub fn reload(&self) {
        self.reload.notify();
    }

    /// The data if there are any; tracked.
    pub fn get(&self) -> Option<Arc<T>> {
        self.data.get()
    }
}

/// Calls `load` now, whenever a signal that it reads before its first await changes, and every `interval` while the
/// page is visible. A page that comes back to view catches up at once. Only the answer to the latest call counts.
pub fn use_polled<T, F, L>(interval: Duration, load: F) -> Polled<T>
where
    T: Send + Sync + 'static,
    F: Fn() -> L + 'static,
    L: Future<Output = Result<T, String>> + 'static,
{
    let polled = Polled {
        data: RwSignal::new(None),
        error: RwSignal::new(None),
        loading: RwSignal::new(true),
        reload: Trigger::new(),
    };
    let latest = StoredValue::new(0_u64);
    Effect::new(move |_| {
        polled.reload.track();
        let answer = load();
        latest.update_value(|latest| *latest += 1);
        let mine = latest.get_value();
        polled.loading.set(true);
        leptos::task::spawn_local(async move {
            let answer = answer.await;
            // The page may be gone, or asked again, while the answer was on its way.
            if latest.try_get_value() != Some(mine) {
                return;
            }
            match answer {
                Ok(data) => {
                    polled.data.try_set(Some(Arc::new(data)));
                    polled.error.try_set(None);
                }
                Err(error) => {
                    polled.error.try_set(Some(error));
                }
            }
            polled.loading.try_set(false);
        });
    });
    repeat(interval, move || polled.reload.notify());
    polled
}

/// Calls `act` every `interval` while the document is visible, and once when it becomes visible after a missed call.
pub fn repeat(interval: Duration, act: impl Fn() + Clone + 'static) {
    let missed = StoredValue::new(false);
    let tick = {
        let act = act.clone();
        move || if document().hidden() { missed.set_value(true) } else { act() }
    };
    if let Ok(handle) = set_interval_with_handle(tick, interval) {
        on_cleanup(move || handle.clear());
    }
    let seen = move |_: web_sys::Event| {
        if !document().hidden() && missed.try_get_value() == Some(true) {
            missed.set_value(false);
            act();
        }
    };
    let listener = wasm_bindgen::closure::Closure::<dyn FnMut(web_sys::Event)>::new(seen);
    let target = document();
    let _ = target.add_event_listener_with_callback("visibilitychange", listener.as_ref().unchecked_ref());
    let listener = StoredValue::new_local(Some(listener));
    on_cleanup(move || {
        listener.update_value(|listener| {
            if let Some(listener) = listener.take() {
                let callback = listener.as_ref().unchecked_ref();
                let _ = document().remove_event_listener_with_callback("visibilitychange", callback);
            }
        });
    });
}
