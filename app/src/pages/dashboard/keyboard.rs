//! Keys of the page: `t` and a second letter for time, `d` and a second for the dashboard, undo, redo, save, Escape.

use crate::{
    board::{Board, keys::is_typing},
    url_state::Entry,
};
use dashboard::{time_range::TimeRange, url::Kiosk};
use leptos::{ev, prelude::*};
use web_sys::KeyboardEvent;

/// Listens as long as the page is open.
pub fn listen(board: Board) {
    let listener = window_event_listener(ev::keydown, move |event| {
        if !event.default_prevented() && handle(board, &event) {
            event.prevent_default();
        }
    });
    on_cleanup(move || listener.remove());
}

fn handle(board: Board, event: &KeyboardEvent) -> bool {
    let key = event.key();
    if event.ctrl_key() || event.meta_key() {
        return match (key.to_lowercase().as_str(), event.shift_key()) {
            ("s", _) => {
                crate::edit::open_save(board);
                true
            }
            ("z", false) if board.editing.get_untracked() && !is_typing(event) => {
                board.undo();
                true
            }
            ("z", true) | ("y", _) if board.editing.get_untracked() && !is_typing(event) => {
                board.redo();
                true
            }
            _ => false,
        };
    }
    if is_typing(event) || event.alt_key() {
        return false;
    }
    if key == "Escape" {
        return escape(board);
    }
    match board.keys.take() {
        Some('t') => time(board, &key),
        Some('d') => dashboard(board, &key),
        _ => {
            if let first @ ("t" | "d") = key.as_str() {
                board.keys.begin(first.chars().next().unwrap_or('t'));
                return true;
            }
            false
        }
    }
}

/// Leaves the innermost thing: a panel alone, the editor, the kiosk, edit mode without changes.
fn escape(board: Board) -> bool {
    let (viewing, editing, kiosk) = board.url.peek(|location| {
        (!location.view_panel.is_empty(), !location.edit_panel.is_empty(), location.kiosk != Kiosk::Off)
    });
    if viewing {
        board.url.change(Entry::Push, |location| location.view_panel.clear());
    } else if editing {
        board.url.change(Entry::Push, |location| location.edit_panel.clear());
    } else if kiosk {
        board.url.change(Entry::Push, |location| location.kiosk = Kiosk::Off);
    } else {
        return false;
    }
    true
}

fn time(board: Board, key: &str) -> bool {
    let span = board.span.get_untracked();
    let next = match key {
        "-" | "z" => span.zoom_out(),
        "+" | "=" => span.zoom_in(),
        "ArrowLeft" => span.shift(-1),
        "ArrowRight" => span.shift(1),
        "a" => span,
        _ => return false,
    };
    board.set_range(TimeRange::absolute(next), Entry::Push);
    true
}

fn dashboard(board: Board, key: &str) -> bool {
    match key {
        "r" => board.refresh_now(),
        "k" => board.url.change(Entry::Push, |location| {
            location.kiosk = if location.kiosk == Kiosk::Off { Kiosk::Full } else { Kiosk::Off };
        }),
        "s" => board.url.change(Entry::Push, |location| location.editview = "settings".to_owned()),
        "e" => board.editing.set(true),
        _ => return false,
    }
    true
}
