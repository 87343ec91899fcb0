//! Pointer and keys on a chart: crosshair, selecting a span, pinning, zooming out.

use super::{picture::Picture, tooltip::links_of};
use crate::{board::Cursor, panels::PanelInput, url_state::Entry};
use dashboard::time_range::{Span, TimeRange};
use leptos::{ev, html, prelude::*};
use web_sys::{KeyboardEvent, PointerEvent};

/// A press that moves less than this is a click.
const CLICK_PX: f64 = 5.0;
/// The shortest span worth zooming to.
const SPAN_MS_MIN: i64 = 1_000;

/// What handles the events of one chart.
#[derive(Clone, Copy)]
pub struct Pointer {
    pub input: PanelInput,
    pub picture: StoredValue<Option<Picture>, LocalStorage>,
    pub selecting: RwSignal<Option<(f64, f64)>>,
    pub place: NodeRef<html::Div>,
}

impl Pointer {
    fn spot(self, event: &PointerEvent) -> Option<(f64, f64)> {
        let rect = self.place.get_untracked()?.get_bounding_client_rect();
        Some((f64::from(event.client_x()) - rect.left(), f64::from(event.client_y()) - rect.top()))
    }

    fn time_at(self, x: f64) -> Option<i64> {
        self.picture.with_value(|picture| {
            let plot = &picture.as_ref()?.plot;
            let x = x.clamp(f64::from(plot.rect.x), f64::from(plot.rect.right()));
            Some(plot.time_at(x as f32))
        })
    }

    pub fn moved(self, event: &PointerEvent) {
        let Some((x, y)) = self.spot(event) else { return };
        let cursor = self.picture.with_value(|picture| {
            let plot = &picture.as_ref()?.plot;
            let inside = x >= f64::from(plot.rect.x) - 4.0 && x <= f64::from(plot.rect.right()) + 4.0;
            inside.then(|| Cursor {
                panel: self.input.key.get_value(),
                ms: plot.time_at(x as f32) as f64,
                y_share: ((y - f64::from(plot.rect.y)) / f64::from(plot.rect.h.max(1.0))).clamp(0.0, 1.0),
            })
        });
        if self.input.board.cursor.with_untracked(|now| *now != cursor) {
            self.input.board.cursor.set(cursor);
        }
    }

    pub fn left(self) {
        if self.selecting.with_untracked(Option::is_none) {
            self.input.board.cursor.set(None);
        }
    }

    /// A press may become a selection or a click; a finger only looks.
    pub fn pressed(self, event: &PointerEvent) {
        self.moved(event);
        if event.button() != 0 || event.pointer_type() == "touch" {
            return;
        }
        let Some((start, start_y)) = self.spot(event) else { return };
        let handles = StoredValue::new_local(Vec::<WindowListenerHandle>::new());
        let stop = move || {
            handles.try_update_value(|handles| handles.drain(..).for_each(WindowListenerHandle::remove));
            self.selecting.set(None);
        };
        let moving = window_event_listener(ev::pointermove, move |event| {
            if let Some((x, _)) = self.spot(&event)
                && ((x - start).abs() > CLICK_PX || self.selecting.with_untracked(Option::is_some))
            {
                let (from, to) = self.inside(start, x);
                self.selecting.set(Some((from, to)));
            }
        });
        let up = window_event_listener(ev::pointerup, move |event| {
            let selected = self.selecting.get_untracked();
            stop();
            match selected {
                Some((from, to)) => self.zoom_to(from, to),
                None => {
                    if self.spot(&event).is_some_and(|(x, y)| (x - start).hypot(y - start_y) <= CLICK_PX) {
                        self.clicked(start, start_y);
                    }
                }
            }
        });
        let escape = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" {
                event.prevent_default();
                stop();
            }
        });
        handles.update_value(|handles| handles.extend([moving, up, escape]));
    }

    fn inside(self, from: f64, to: f64) -> (f64, f64) {
        self.picture.with_value(|picture| match picture {
            Some(Picture { plot, .. }) => {
                let (low, high) = (f64::from(plot.rect.x), f64::from(plot.rect.right()));
                (from.clamp(low, high), to.clamp(low, high))
            }
            None => (from, to),
        })
    }

    fn zoom_to(self, from: f64, to: f64) {
        let (Some(a), Some(b)) = (self.time_at(from), self.time_at(to)) else { return };
        let span = Span { from_ms: a.min(b), to_ms: a.max(b) };
        if span.to_ms - span.from_ms >= SPAN_MS_MIN {
            self.input.board.set_range(TimeRange::absolute(span), Entry::Push);
        }
    }

    pub fn zoom_out(self) {
        let span = self.input.board.span.get_untracked();
        self.input.board.set_range(TimeRange::absolute(span.zoom_out()), Entry::Push);
    }

    /// One link that wants one click is followed; anything else pins the tooltip, or takes the pin away.
    fn clicked(self, x: f64, y: f64) {
        let links = self.picture.with_value(|picture| {
            let picture = picture.as_ref()?;
            let hit = chart::nearest(&picture.scene, &picture.plot, x as f32, y as f32)?;
            Some(links_of(self.input, picture, &hit))
        });
        if let Some(link) = links.and_then(|links| links.into_iter().find(|link| link.one_click)) {
            if link.new_tab {
                let _ = leptos::tachys::dom::window().open_with_url_and_target(&link.href, "_blank");
            } else {
                self.input.board.url.go(&link.href);
            }
            return;
        }
        let Some(ms) = self.time_at(x) else { return };
        let key = self.input.key.get_value();
        self.input.board.url.change(Entry::Replace, |url| {
            url.view.pin = match &url.view.pin {
                Some((panel, _)) if *panel == key => None,
                _ => Some((key, ms)),
            };
        });
    }

    /// Arrows move along the chart, Enter pins.
    pub fn key(self, event: &KeyboardEvent) {
        let span = self.input.board.span.get_untracked();
        let step = self
            .input
            .data
            .with_untracked(|data| data.as_ref().map_or(0, |data| data.step_ms))
            .max(span.length_ms() / 500)
            .max(1);
        let steps = if event.shift_key() { 10 } else { 1 };
        let now = self.input.board.cursor.get_untracked();
        let at = now.as_ref().map_or(span.to_ms, |cursor| cursor.ms as i64);
        let next = match event.key().as_str() {
            "ArrowLeft" => at - step * steps,
            "ArrowRight" => at + step * steps,
            "Home" => span.from_ms,
            "End" => span.to_ms,
            "Enter" if now.is_some() => {
                let key = self.input.key.get_value();
                self.input.board.url.change(Entry::Replace, |url| url.view.pin = Some((key, at)));
                event.prevent_default();
                event.stop_propagation();
                return;
            }
            _ => return,
        };
        if self.input.board.keys.pending() {
            return;
        }
        event.prevent_default();
        event.stop_propagation();
        let ms = next.clamp(span.from_ms, span.to_ms) as f64;
        self.input.board.cursor.set(Some(Cursor { panel: self.input.key.get_value(), ms, y_share: 0.1 }));
    }
}
