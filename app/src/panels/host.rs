//! A panel that lives: it asks when it is seen, asks again when the question changes, and takes back what is out of date.

use super::{
    PanelInput,
    data::{self, PanelState},
    frame::PanelFrame,
};
use crate::memo::{Memo, memo, memo_from};
use crate::{board::Board, client::Abort};
use dashboard::{
    interpolate::{Purpose, interpolate},
    model::Panel,
};
use leptos::{html, prelude::*, task::spawn_local};
use std::sync::Arc;
use wasm_bindgen::{JsCast as _, closure::Closure};

/// One panel of the dashboard by its key. `width` is what it can draw on, in CSS pixels.
#[component]
pub fn PanelHost(
    board: Board,
    #[prop(into)] key: String,
    #[prop(into)] width: Signal<f64>,
    #[prop(optional)] solo: bool,
) -> impl IntoView {
    let place = NodeRef::<html::Div>::new();
    let key_of = key.clone();
    let panel = memo_from(move |before: Option<&Arc<Panel>>| {
        match board.panel(&key_of) {
            Some(panel) => Arc::new(panel),
            // Removed a moment ago: this view goes away next.
            None => before.cloned().unwrap_or_else(|| Arc::new(Panel::read(&serde_json::Value::Null))),
        }
    });
    let seen = use_seen(place, board.dashboard.with_untracked(|dashboard| dashboard.preload) || solo);
    let state = RwSignal::new(PanelState {
        static_kind: panel.with_untracked(|panel| data::is_static(&panel.kind)),
        ..PanelState::default()
    });
    ask_when_seen(board, panel, width, seen, state);
    let fill = Callback::new(move |(text, purpose): (String, &'static str)| {
        panel.with(|panel| {
            if purpose == "html" {
                return board.with_scope(Some(panel), None, |scope| interpolate(&text, scope, Purpose::Text));
            }
            board.fill(Some(panel), &text)
        })
    });
    let data = leptos::prelude::Memo::new_with_compare(
        move |_| state.with(|state| state.data.clone()),
        |before, now| match (before, now) {
            (Some(Some(before)), Some(Some(now))) => !Arc::ptr_eq(before, now),
            (before, now) => before.is_none() || before.flatten().is_some() != now.flatten().is_some(),
        },
    );
    let input = PanelInput { board, panel, key: StoredValue::new(key), data: data.into(), look: board.look, fill };
    let drawn_key = input.key.get_value();
    board.drawn.update_value(|drawn| {
        drawn.retain(|(key, _)| *key != drawn_key);
        drawn.push((drawn_key.clone(), input));
    });
    on_cleanup(move || {
        board.drawn.try_update_value(|drawn| drawn.retain(|(key, _)| *key != drawn_key));
    });
    view! {
        <div class="panel-host" node_ref=place>
            <PanelFrame input state=state.into() solo />
        </div>
    }
}

/// The input of a panel that is drawn now.
pub fn drawn(board: Board, key: &str) -> Option<PanelInput> {
    board.drawn.with_value(|drawn| drawn.iter().find(|(drawn, _)| drawn == key).map(|(_, input)| *input))
}

fn ask_when_seen(
    board: Board,
    panel: Memo<Arc<Panel>>,
    width: Signal<f64>,
    seen: Signal<bool>,
    state: RwSignal<PanelState>,
) {
    // A little more or less width is no reason to ask again.
    let width = memo_from(move |before: Option<&f64>| {
        let now = width.get();
        before.copied().filter(|before| (now - before).abs() < before * 0.2).unwrap_or(now)
    });
    let wanted = memo(move || panel.with(|panel| data::questions(board, panel, width.get())));
    // What changes how answers are read without being part of a question.
    let reading = memo(move || {
        panel.with(|panel| {
            let transformations: Vec<serde_json::Value> =
                panel.transformations.iter().map(|step| step.options.clone()).collect();
            (
                panel.kind.clone(),
                panel.field_config.clone(),
                transformations,
                panel.json().get("transformations").cloned(),
            )
        })
    });
    let running = StoredValue::new_local(None::<(u64, Abort)>);
    let number = StoredValue::new(0_u64);
    // What was asked last: a panel that leaves the view and comes back asks nothing new.
    let asked = StoredValue::new(None);
    Effect::new(move |_| {
        let questions = wanted.get();
        let how_read = reading.get();
        if !seen.get() {
            return;
        }
        let panel = panel.get_untracked();
        if data::is_static(&panel.kind) {
            asked.set_value(None);
            state.update(|state| state.static_kind = true);
            return;
        }
        let questions = match questions {
            Ok(Some(questions)) => questions,
            Ok(None) => return,
            Err(error) => {
                asked.set_value(None);
                state.update(|state| (state.static_kind, state.busy, state.error) = (false, false, Some(error)));
                return;
            }
        };
        let this = Some((questions.clone(), how_read));
        if asked.with_value(|asked| *asked == this) {
            return;
        }
        asked.set_value(this);
        let mine = number
            .try_update_value(|number| {
                *number += 1;
                *number
            })
            .unwrap_or(0);
        let abort = Abort::default();
        let signal = abort.watch();
        running.set_value(Some((mine, abort)));
        state.update(|state| (state.static_kind, state.busy) = (false, true));
        spawn_local(async move {
            let answer = data::load(&panel, &questions, &signal).await;
            if number.try_get_value() != Some(mine) {
                return;
            }
            state.try_update(|state| {
                state.busy = false;
                match answer {
                    Ok((data, notices)) => {
                        state.error = None;
                        state.notices = notices;
                        state.empty = "The queries found nothing in this range.".to_owned();
                        state.data = Some(Arc::new(data));
                    }
                    Err(error) => state.error = Some(error),
                }
            });
            running.try_update_value(|running| {
                if running.as_ref().is_some_and(|(number, _)| *number == mine) {
                    *running = None;
                }
            });
        });
    });
    on_cleanup(move || {
        running.try_update_value(|running| *running = None);
    });
}

/// Whether an element is in view, or a little below; always true with `at_once`.
fn use_seen(place: NodeRef<html::Div>, at_once: bool) -> Signal<bool> {
    let seen = RwSignal::new(at_once);
    let kept = StoredValue::new_local(None::<(web_sys::IntersectionObserver, Closure<dyn Fn(js_sys::Array)>)>);
    Effect::new(move |_| {
        let Some(element) = place.get().filter(|_| !at_once) else { return };
        let callback = Closure::<dyn Fn(js_sys::Array)>::new(move |entries: js_sys::Array| {
            let last =
                entries.iter().last().and_then(|entry| entry.dyn_into::<web_sys::IntersectionObserverEntry>().ok());
            if let Some(entry) = last {
                let now = entry.is_intersecting();
                if seen.try_get_untracked().is_some_and(|before| before != now) {
                    seen.try_set(now);
                }
            }
        });
        let options = web_sys::IntersectionObserverInit::new();
        options.set_root_margin("60px 0px 60px 0px");
        if let Ok(observer) =
            web_sys::IntersectionObserver::new_with_options(callback.as_ref().unchecked_ref(), &options)
        {
            observer.observe(&element);
            kept.set_value(Some((observer, callback)));
        }
    });
    on_cleanup(move || {
        kept.try_update_value(|kept| {
            if let Some((observer, _)) = kept.take() {
                observer.disconnect();
            }
        });
    });
    seen.into()
}
