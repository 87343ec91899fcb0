//! The panels in their places.

use super::cell::Cell;
use crate::memo::{Show, memo};
use crate::{board::Board, controls::icon::Icon};
use dashboard::{
    layout::{self, Rect},
    model::GridPos,
};
use leptos::{html, prelude::*};
use wasm_bindgen::{JsCast as _, closure::Closure};

/// Below this width panels stand below one another.
pub const PHONE_PX: f64 = 760.0;

/// A panel on its way to another place or size.
#[derive(Clone, Debug, PartialEq)]
pub struct Drag {
    pub key: String,
    pub id: i64,
    pub from: GridPos,
    pub to: GridPos,
    /// Pixels the pointer moved; none for the keyboard.
    pub moved: Option<(f64, f64)>,
    pub resizing: bool,
}

/// The grid.
#[component]
pub fn Grid(board: Board) -> impl IntoView {
    let place = NodeRef::<html::Div>::new();
    follow_width(board, place);
    let drag = RwSignal::new(None::<Drag>);
    let said = RwSignal::new(String::new());
    let keys =
        memo(move || board.placed.with(|placed| placed.iter().map(|placed| placed.panel.key()).collect::<Vec<_>>()));
    let phone = memo(move || board.width.get() < PHONE_PX - 24.0);
    // Positions with the dragged panel in its new place, the others making room.
    let positions = memo(move || {
        board.placed.with(|placed| {
            let grids: Vec<GridPos> = placed.iter().map(|placed| placed.grid).collect();
            let moved = drag.with(|drag| {
                let drag = drag.as_ref()?;
                let at = placed.iter().position(|placed| placed.panel.key() == drag.key)?;
                Some(layout::moved(&grids, at, drag.to))
            });
            let grids = moved.unwrap_or(grids);
            placed.iter().zip(grids).map(|(placed, grid)| (placed.panel.key(), grid)).collect::<Vec<_>>()
        })
    });
    let height = move || positions.with(|positions| layout::height_px(positions.iter().map(|(_, grid)| *grid)));
    let style = move || if phone.get() { String::new() } else { format!("height:{}px", height()) };
    let ghost = move || {
        drag.with(|drag| {
            let drag = drag.as_ref().filter(|drag| drag.moved.is_some())?;
            let grid = positions
                .with(|positions| positions.iter().find(|(key, _)| *key == drag.key).map(|(_, grid)| *grid))?;
            Some(view! { <div class="ghost" style=css(layout::to_pixels(grid, board.width.get()))></div> })
        })
    };
    view! {
        <div class="grid" class:phone=move || phone.get() class:editing=move || board.editing.get() style=style node_ref=place data-t="grid">
            {ghost}
            <For each=move || keys.get() key=Clone::clone let:key>
                <Cell board key positions drag said phone />
            </For>
        </div>
        <Empty board />
        <div class="sr" role="status" aria-live="assertive" data-t="announce">{said}</div>
    }
}

#[component]
fn Empty(board: Board) -> impl IntoView {
    let none = move || board.dashboard.with(|dashboard| dashboard.panels.is_empty());
    view! {
        <Show when=none>
            <div class="state empty-board" data-t="empty-board">
                <b>"Start with a panel"</b>
                <span>"A panel shows the answer to a query as a graph, a figure or a table."</span>
                <button
                    class="btn pri"
                    data-t="add-first-panel"
                    on:click=move |_| crate::edit::add_panel(board, "timeseries")
                >
                    {Icon::Plus.view()}
                    "Add a panel"
                </button>
            </div>
        </Show>
    }
}

/// A rectangle as CSS.
pub fn css(rect: Rect) -> String {
    format!("left:{}px;top:{}px;width:{}px;height:{}px", rect.x, rect.y, rect.w, rect.h)
}

/// Keeps the board's width in step with an element.
pub fn follow_width(board: Board, place: NodeRef<html::Div>) {
    let kept = StoredValue::new_local(None::<(web_sys::ResizeObserver, Closure<dyn Fn()>)>);
    Effect::new(move |_| {
        let Some(element) = place.get() else { return };
        let measured: web_sys::Element = element.clone().into();
        let measure = move || {
            let width = f64::from(measured.client_width());
            if width > 0.0 && board.width.try_get_untracked().is_some_and(|before| (before - width).abs() > 0.5) {
                board.width.try_set(width);
            }
        };
        measure();
        let callback = Closure::<dyn Fn()>::new(measure);
        if let Ok(observer) = web_sys::ResizeObserver::new(callback.as_ref().unchecked_ref()) {
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
}
