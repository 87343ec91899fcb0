//! One place of the grid: a row's head or a panel; in edit mode it moves and resizes, by pointer and by keys.

use super::grid::{Drag, css};
use crate::memo::{Memo, Show, live, memo, memo_from};
use crate::{board::Board, controls::icon::Icon, panels::host::PanelHost, url_state::Entry};
use dashboard::{
    layout,
    model::{GRID_COLUMNS, GridPos},
};
use leptos::{html, prelude::*};
use wasm_bindgen::JsCast as _;
use web_sys::{KeyboardEvent, PointerEvent};

type Positions = Memo<Vec<(String, GridPos)>>;

/// The place of one key.
#[component]
pub fn Cell(
    board: Board,
    key: String,
    positions: Positions,
    drag: RwSignal<Option<Drag>>,
    said: RwSignal<String>,
    phone: Memo<bool>,
) -> impl IntoView {
    let cell = NodeRef::<html::Div>::new();
    let key = StoredValue::new(key);
    let grid = memo_from(move |before: Option<&GridPos>| {
        let found = key
            .with_value(|key| positions.with(|all| all.iter().find(|(other, _)| other == key).map(|(_, grid)| *grid)));
        found.or(before.copied()).unwrap_or_default()
    });
    let is_row = key.with_value(|key| {
        board
            .placed
            .with_untracked(|placed| placed.iter().any(|placed| placed.panel.key() == *key && placed.panel.is_row()))
    });
    let mine = move || drag.with(|drag| drag.as_ref().is_some_and(|drag| key.with_value(|key| *key == drag.key)));
    let style = move || {
        let grid = grid.get();
        if phone.get() {
            let half = grid.w <= 8 && grid.h <= 5;
            let columns = if half { "span 1" } else { "1/-1" };
            let height =
                if is_row { 36.0 } else { layout::to_pixels(grid, 1200.0).h.max(if half { 108.0 } else { 180.0 }) };
            return format!("position:relative;grid-column:{columns};height:{height}px");
        }
        let mut rect = layout::to_pixels(grid, board.width.get());
        // The panel under the pointer follows it freely; its ghost shows where it will lie.
        if let Some((x, y, resizing, from)) = drag.with(|drag| {
            let drag = drag.as_ref().filter(|drag| key.with_value(|key| *key == drag.key))?;
            drag.moved.map(|(x, y)| (x, y, drag.resizing, drag.from))
        }) {
            let start = layout::to_pixels(from, board.width.get());
            rect = start;
            if resizing {
                rect.w = (start.w + x).max(60.0);
                rect.h = (start.h + y).max(60.0);
            } else {
                rect.x = start.x + x;
                rect.y = start.y + y;
            }
        }
        css(rect)
    };
    let width = Signal::derive(move || {
        if phone.get() { board.width.get() } else { layout::to_pixels(grid.get(), board.width.get()).w - 24.0 }
    });
    let begin = move |event: PointerEvent| begin(&event, board, key, grid, drag, cell);
    let inside = if is_row {
        view! { <RowHead board key /> }.into_any()
    } else {
        view! { <PanelHost board key=key.get_value() width /> }.into_any()
    };
    view! {
        <div
            class="cell"
            class:moving=move || mine() && drag.with(|drag| drag.as_ref().is_some_and(|drag| drag.moved.is_some()))
            class:picked=mine
            style=style
            node_ref=cell
            on:pointerdown=begin
            on:keydown:capture=move |event| place_by_keys(&event, board, key, grid, drag, said)
        >
            {inside}
            <Show when=move || board.editing.get() && !is_row>
                <span class="handle" data-resize aria-hidden="true"></span>
            </Show>
        </div>
    }
}

/// The line of a row: a press folds it, which the address keeps.
#[component]
fn RowHead(board: Board, key: StoredValue<String>) -> impl IntoView {
    let panel = memo(move || key.with_value(|key| board.panel(key)));
    let title = move || {
        panel.with(|panel| panel.as_ref().map(|panel| board.fill(Some(panel), &panel.title))).unwrap_or_default()
    };
    let id = move || panel.with(|panel| panel.as_ref().map_or(0, |panel| panel.id));
    let folded = move || {
        let id = id();
        let toggled = board.url.with(|location| location.view.toggled_rows.contains(&id));
        panel.with(|panel| panel.as_ref().is_some_and(|panel| panel.collapsed)) != toggled
    };
    let toggle = move |_| {
        let id = id();
        board.url.change(Entry::Push, |location| {
            let rows = &mut location.view.toggled_rows;
            match rows.iter().position(|row| *row == id) {
                Some(at) => {
                    rows.remove(at);
                }
                None => rows.push(id),
            }
        });
    };
    let inside = move || match panel.with(|panel| panel.as_ref().map_or(0, |panel| panel.panels.len())) {
        0 => String::new(),
        1 => "1 panel".to_owned(),
        count => format!("{count} panels"),
    };
    let rename = move |event| {
        let title = event_target_value(&event);
        board.edit_panel(id(), "Title", true, |panel| panel["title"] = title.into());
    };
    view! {
        <div class="board-row-head" data-t="row" data-drag>
            <button aria-expanded=move || (!folded()).to_string() on:click=toggle data-t="row-toggle">
                {live(move || if folded() { Icon::Right.view() } else { Icon::Down.view() })}
                {title}
            </button>
            <span class="dim num">{live(move || folded().then(inside))}</span>
            <Show when=move || board.editing.get()>
                <input class="inp row-title" aria-label="Title of the row" prop:value=title on:change=rename />
                <button class="btn sq" aria-label="Remove row" on:click=move |_| board.remove(&key.get_value())>{Icon::Trash.view()}</button>
            </Show>
            <span class="rule"></span>
        </div>
    }
}

/// A press on a header (or on the corner) in edit mode begins to move (or to resize).
fn begin(
    event: &PointerEvent,
    board: Board,
    key: StoredValue<String>,
    grid: Memo<GridPos>,
    drag: RwSignal<Option<Drag>>,
    cell: NodeRef<html::Div>,
) {
    let Some(target) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else { return };
    let within = |selector: &str| target.closest(selector).ok().flatten().is_some();
    let resizing = within("[data-resize]");
    let busy = within("button, a, input") || !(resizing || within("[data-drag]"));
    if !board.editing.get_untracked() || busy || event.button() != 0 {
        return;
    }
    let Some(id) = board.id_of(&key.get_value()) else { return };
    event.prevent_default();
    let (start_x, start_y) = (f64::from(event.client_x()), f64::from(event.client_y()));
    let from = grid.get_untracked();
    let scroll = move || leptos::tachys::dom::window().scroll_y().unwrap_or(0.0);
    let scrolled = scroll();
    if let Some(cell) = cell.get_untracked() {
        let _ = cell.set_pointer_capture(event.pointer_id());
    }
    let move_handle = StoredValue::new_local(None::<WindowListenerHandle>);
    let end_handle = StoredValue::new_local(None::<WindowListenerHandle>);
    let esc_handle = StoredValue::new_local(None::<WindowListenerHandle>);
    let stop = move || {
        for handle in [move_handle, end_handle, esc_handle] {
            handle.try_update_value(|handle| {
                if let Some(handle) = handle.take() {
                    handle.remove();
                }
            });
        }
    };
    move_handle.set_value(Some(window_event_listener(leptos::ev::pointermove, move |event| {
        let dx = f64::from(event.client_x()) - start_x;
        let dy = f64::from(event.client_y()) - start_y + scroll() - scrolled;
        if dx.hypot(dy) < 4.0 && drag.with_untracked(Option::is_none) {
            return;
        }
        let width = board.width.get_untracked();
        let rect = layout::to_pixels(from, width);
        let to = if resizing {
            let (right, bottom) = layout::cell_at(
                rect.x + rect.w + dx + layout::GAP_PX,
                rect.y + rect.h + dy + layout::GAP_PX,
                width + 60.0,
            );
            let right = (right + 1).max(from.x + 1).min(GRID_COLUMNS);
            GridPos {
                w: (right - from.x).clamp(1, GRID_COLUMNS - from.x),
                h: bottom.saturating_sub(from.y).max(2),
                ..from
            }
        } else {
            let (x, y) = layout::cell_at((rect.x + dx).max(0.0), (rect.y + dy).max(0.0), width);
            GridPos { x: x.min(GRID_COLUMNS - from.w), y, ..from }
        };
        drag.set(Some(Drag { key: key.get_value(), id, from, to, moved: Some((dx, dy)), resizing }));
    })));
    end_handle.set_value(Some(window_event_listener(leptos::ev::pointerup, move |_| {
        stop();
        if let Some(done) = drag.get_untracked() {
            drag.set(None);
            drop_at(board, &done);
        }
    })));
    esc_handle.set_value(Some(window_event_listener(leptos::ev::keydown, move |event| {
        if event.key() == "Escape" {
            stop();
            drag.set(None);
        }
    })));
}

/// Writes the new place. The drawn places of all go with it: files may have gaps that the screen has not.
fn drop_at(board: Board, done: &Drag) {
    if done.from == done.to {
        return;
    }
    let drawn: Vec<(i64, GridPos)> = board.placed.with_untracked(|placed| {
        placed
            .iter()
            .filter(|placed| placed.panel.repeated.is_none())
            .map(|placed| (placed.panel.id, placed.grid))
            .collect()
    });
    let (id, to) = (done.id, done.to);
    board.edit(if done.resizing { "Resize panel" } else { "Move panel" }, false, move |json| {
        if let Some(list) = json.get_mut("panels").and_then(serde_json::Value::as_array_mut) {
            for panel in list {
                let own = panel.get("id").and_then(serde_json::Value::as_i64);
                if let Some((_, grid)) = drawn.iter().find(|(id, _)| Some(*id) == own) {
                    panel["gridPos"] = grid.to_json();
                }
            }
        }
        layout::move_panel(json, id, to);
    });
}

/// Enter picks up and puts down, arrows move, with Shift they resize, Escape takes back; each step is said.
fn place_by_keys(
    event: &KeyboardEvent,
    board: Board,
    key: StoredValue<String>,
    grid: Memo<GridPos>,
    drag: RwSignal<Option<Drag>>,
    said: RwSignal<String>,
) {
    if !board.editing.get_untracked() || crate::board::keys::is_typing(event) {
        return;
    }
    let on_panel = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        .is_some_and(|target| target.get_attribute("data-t").as_deref() == Some("panel"));
    if !on_panel {
        return;
    }
    let held = drag.get_untracked().filter(|drag| drag.moved.is_none() && key.with_value(|key| *key == drag.key));
    let place = |grid: GridPos| format!("column {}, row {}, {} wide, {} high", grid.x + 1, grid.y + 1, grid.w, grid.h);
    let next = match (event.key().as_str(), held) {
        ("Enter", None) => {
            let Some(id) = board.id_of(&key.get_value()) else { return };
            let from = grid.get_untracked();
            drag.set(Some(Drag { key: key.get_value(), id, from, to: from, moved: None, resizing: false }));
            said.set(format!(
                "Picked up at {}. Arrows move, Shift and arrows resize, Enter drops, Escape cancels.",
                place(from)
            ));
            None
        }
        ("Enter", Some(held)) => {
            drag.set(None);
            said.set(format!("Dropped at {}.", place(held.to)));
            drop_at(board, &held);
            None
        }
        ("Escape", Some(held)) => {
            drag.set(None);
            said.set(format!("Back at {}.", place(held.from)));
            None
        }
        (arrow @ ("ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown"), Some(held)) => {
            Some((step(held.to, arrow, event.shift_key()), held))
        }
        _ => return,
    };
    event.prevent_default();
    event.stop_propagation();
    if let Some((to, held)) = next {
        said.set(place(to));
        drag.set(Some(Drag { to, resizing: event.shift_key(), ..held }));
    }
}

fn step(grid: GridPos, arrow: &str, resize: bool) -> GridPos {
    let mut to = grid;
    match (arrow, resize) {
        ("ArrowLeft", false) => to.x = to.x.saturating_sub(1),
        ("ArrowRight", false) => to.x = (to.x + 1).min(GRID_COLUMNS - to.w),
        ("ArrowUp", false) => to.y = to.y.saturating_sub(1),
        ("ArrowDown", false) => to.y += 1,
        ("ArrowLeft", true) => to.w = to.w.saturating_sub(1).max(1),
        ("ArrowRight", true) => to.w = (to.w + 1).min(GRID_COLUMNS - to.x),
        ("ArrowUp", true) => to.h = to.h.saturating_sub(1).max(1),
        _ => to.h += 1,
    }
    to
}
