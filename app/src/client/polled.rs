//! Answers that renew themselves while somebody looks.

use super::{Answer, ClientError, transport::Asked};
use leptos::{prelude::*, task::spawn_local};
use std::{pin::Pin, time::Duration};

/// The latest answer, the latest fault, and a way to ask again. Old data stays while new data is fetched and when
/// fetching fails.
pub struct Polled<T: Send + Sync + 'static> {
    pub data: ReadSignal<Option<T>>,
    /// The fault of the latest try; `None` after a good one.
    pub error: ReadSignal<Option<ClientError>>,
    tick: RwSignal<u64>,
}

impl<T: Send + Sync + 'static> Clone for Polled<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Send + Sync + 'static> Copy for Polled<T> {}

impl<T: Send + Sync + 'static> Polled<T> {
    /// Asks now, whatever the clock says.
    pub fn reload(&self) {
        self.tick.update(|tick| *tick += 1);
    }
}

/// Asks at once, then every `interval_ms` while the tab is visible, and whenever a signal changes that `fetch` reads
/// before its first await. Late answers to old questions are dropped.
pub fn use_polled<T, F, Fut>(interval_ms: u32, fetch: F) -> Polled<T>
where
    T: Send + Sync + 'static,
    F: Fn() -> Fut + 'static,
    Fut: Future<Output = Answer<T>> + 'static,
{
    poll(interval_ms, Box::new(move || Box::pin(fetch())))
}

/// [`use_polled`] without the type of the question: one for each type of answer.
fn poll<T: Send + Sync + 'static>(interval_ms: u32, fetch: Box<dyn Fn() -> Asked<T>>) -> Polled<T> {
    let (data, set_data) = signal(None::<T>);
    let (error, set_error) = signal(None::<ClientError>);
    let latest = StoredValue::new(0_u64);
    let tick = ask_again_and_again(
        interval_ms,
        Box::new(move || {
            let mine = latest
                .try_update_value(|number| {
                    *number += 1;
                    *number
                })
                .unwrap_or(0);
            let question = fetch();
            Box::pin(async move {
                let answer = question.await;
                if latest.try_get_value() != Some(mine) {
                    return;
                }
                let fault = match answer {
                    Ok(answer) => {
                        set_data.try_set(Some(answer));
                        None
                    }
                    Err(ClientError::Aborted) => return,
                    Err(fault) => Some(fault),
                };
                set_error.try_set(fault);
            })
        }),
    );
    Polled { data, error, tick }
}

/// The clock of [`poll`]. `ask` reads its signals and gives the work to do with the answer.
fn ask_again_and_again(interval_ms: u32, ask: Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()>>>>) -> RwSignal<u64> {
    let tick = RwSignal::new(0_u64);
    Effect::new(move |_| {
        tick.track();
        spawn_local(ask());
    });
    every_while_visible(interval_ms, move || tick.update(|tick| *tick += 1));
    tick
}

/// Calls `work` every `interval_ms`, not while the tab is hidden, and once when it comes back. Stops with its owner.
pub fn every_while_visible(interval_ms: u32, work: impl Fn() + Clone + 'static) {
    let visible = || !document().hidden();
    let again = work.clone();
    if let Ok(handle) = set_interval_with_handle(
        move || {
            if visible() {
                again();
            }
        },
        Duration::from_millis(u64::from(interval_ms)),
    ) {
        on_cleanup(move || handle.clear());
    }
    let listener = window_event_listener_untyped("visibilitychange", move |_| {
        if visible() {
            work();
        }
    });
    on_cleanup(move || listener.remove());
}
