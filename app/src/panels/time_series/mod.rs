//! Time series: lines, bars and points over time, with legend, crosshair and tooltip.

mod legend;
mod picture;
mod pointer;
mod tooltip;

pub use picture::Picture;

use super::PanelInput;
use crate::memo::{Memo, memo};
use crate::{board::Cursor, canvas::Surface};
use dashboard::{
    model::{CursorSync, LegendOptions},
    url::YZoom,
};
use leptos::{html, prelude::*};
use tooltip::Spot;
use wasm_bindgen::{JsCast as _, closure::Closure};

/// The panel.
#[component]
pub fn TimeSeries(input: PanelInput) -> impl IntoView {
    let legend = memo(move || input.panel.with(|panel| LegendOptions::read(&panel.options)));
    view! {
        <div class="ts" class:right=move || legend.with(legend::at_right)>
            <PlotBox input />
            <legend::Legend input options=legend />
        </div>
    }
}

/// The drawing with what lies over it.
#[component]
fn PlotBox(input: PanelInput) -> impl IntoView {
    let board = input.board;
    let (base, over, place) =
        (NodeRef::<html::Canvas>::new(), NodeRef::<html::Canvas>::new(), NodeRef::<html::Div>::new());
    let picture = StoredValue::new_local(None::<Picture>);
    // Counts drawings: what lies over them looks again.
    let drawn = RwSignal::new(0_u64);
    let size = use_size(place);
    let key = input.key.get_value();
    let selection_key = key.clone();
    let selection = memo(move || board.url.with(|url| url.view.legend_of(&selection_key).cloned()));
    let zoom_key = key.clone();
    let y_zoom = memo(move || {
        board.url.with(|url| {
            url.view.y_zoom.iter().find(|(id, _)| *id == zoom_key).and_then(|(_, zoom)| match zoom {
                YZoom::Range(low, high) => Some((*low, *high)),
                YZoom::Scale(_) => None,
            })
        })
    });
    Effect::new(move |_| {
        size.track();
        let (look, selection, y_zoom) = (input.look.get(), selection.get(), y_zoom.get());
        let Some(canvas) = base.get() else { return };
        let shown = |name: &str| selection.as_ref().is_none_or(|selection| selection.shows(name));
        let new =
            input.data.with(|data| data.as_ref().and_then(|data| picture::draw(&canvas, data, &look, y_zoom, &shown)));
        picture.set_value(new);
        drawn.update(|drawn| *drawn += 1);
    });
    let pin_key = key.clone();
    let pinned = memo(move || {
        board.url.with(|url| url.view.pin.clone()).filter(|(panel, _)| *panel == pin_key).map(|(_, ms)| ms)
    });
    let selecting = RwSignal::new(None::<(f64, f64)>);
    draw_over(input, over, picture, drawn, pinned, selecting);
    let spot_key = key;
    let spot = memo(move || spot(input, &spot_key, picture, drawn, pinned));
    let summary = move || {
        drawn.track();
        picture.with_value(|picture| picture.as_ref().map_or_else(|| "Chart".to_owned(), summary))
    };
    let state = pointer::Pointer { input, picture, selecting, place };
    view! {
        <div class="plot-box" node_ref=place>
            <canvas node_ref=base data-t="plot"></canvas>
            <canvas class="over" node_ref=over></canvas>
            <div
                class="plot-hit"
                tabindex="0"
                role="img"
                aria-label=summary
                data-t="plot-hit"
                on:pointermove=move |event| state.moved(&event)
                on:pointerleave=move |_| state.left()
                on:pointerdown=move |event| state.pressed(&event)
                on:dblclick=move |_| state.zoom_out()
                on:keydown=move |event| state.key(&event)
            ></div>
            <tooltip::Tooltip input picture spot drawn />
        </div>
    }
}

/// One sentence for those who listen: what, how much, the latest.
fn summary(picture: &Picture) -> String {
    let visible: Vec<_> = picture.scene.series.iter().filter(|series| !series.hidden).collect();
    let latest: Vec<String> = visible
        .iter()
        .take(4)
        .filter_map(|series| {
            let value = series.values.iter().rev().find(|value| value.is_finite())?;
            let axis = picture.scene.axes.get(series.axis)?;
            Some(format!("{} {}", series.name, dashboard::units::format_text(*value, &axis.unit, axis.decimals)))
        })
        .collect();
    let calendar = picture.scene.calendar;
    let end = |ms| dashboard::time_range::format_local(ms, &calendar);
    format!(
        "Chart of {} series from {} to {}; latest: {}",
        visible.len(),
        end(picture.scene.from_ms),
        end(picture.scene.to_ms),
        latest.join(", ")
    )
}

/// Where the tooltip stands: pinned, under the own pointer, or moving along with another panel's.
fn spot(
    input: PanelInput,
    key: &str,
    picture: StoredValue<Option<Picture>, LocalStorage>,
    drawn: RwSignal<u64>,
    pinned: Memo<Option<i64>>,
) -> Option<Spot> {
    drawn.track();
    let cursor = input.board.cursor.get();
    let sync = input.board.cursor_sync();
    picture.with_value(|picture| {
        let plot = &picture.as_ref()?.plot;
        if let Some(ms) = pinned.get() {
            return Some(Spot {
                x: f64::from(plot.x(ms)),
                y: f64::from(plot.rect.y) + 20.0,
                pinned: true,
                foreign: false,
            });
        }
        let Cursor { panel, ms, y_share } = cursor?;
        let own = panel == key;
        if !own && sync != CursorSync::Tooltip {
            return None;
        }
        let x = f64::from(plot.x(ms as i64));
        let y = f64::from(plot.rect.y) + y_share * f64::from(plot.rect.h);
        Some(Spot { x, y, pinned: false, foreign: !own })
    })
}

/// The crosshair, the points on it, and the span that is being selected: on a canvas of their own, so that moving
/// never draws the series again.
fn draw_over(
    input: PanelInput,
    canvas: NodeRef<html::Canvas>,
    picture: StoredValue<Option<Picture>, LocalStorage>,
    drawn: RwSignal<u64>,
    pinned: Memo<Option<i64>>,
    selecting: RwSignal<Option<(f64, f64)>>,
) {
    Effect::new(move |was_empty: Option<bool>| {
        drawn.track();
        let (cursor, pinned, selecting) = (input.board.cursor.get(), pinned.get(), selecting.get());
        let own_key = input.key.get_value();
        let own = cursor.as_ref().is_some_and(|cursor| cursor.panel == own_key);
        let synced = input.board.cursor_sync() != CursorSync::Off;
        let at =
            pinned.map(|ms| ms as f64).or_else(|| cursor.as_ref().filter(|_| own || synced).map(|cursor| cursor.ms));
        let nothing = at.is_none() && selecting.is_none();
        if nothing && was_empty == Some(true) {
            return true;
        }
        let Some(surface) = canvas.get().and_then(|canvas| Surface::prepare(&canvas)) else { return false };
        picture.with_value(|picture| {
            let Some(Picture { scene, plot }) = picture else { return };
            let tokens = scene.theme.tokens();
            let (top, bottom) = (f64::from(plot.rect.y), f64::from(plot.rect.bottom()));
            if let Some((from, to)) = selecting {
                surface.fill(from.min(to), top, (to - from).abs(), bottom - top, &tokens.accent.with_alpha(0.18).css());
            }
            let Some(at) = at else { return };
            let x = plot.x(at as i64);
            if x < plot.rect.x || x > plot.rect.right() {
                return;
            }
            surface.crosshair(f64::from(x), top, bottom, &tokens.t3.css());
            if own || pinned.is_some() {
                for hit in chart::hits_at(scene, plot, x, 0.0) {
                    if let Some(series) = scene.series.get(hit.series) {
                        surface.ringed_point(
                            f64::from(hit.x),
                            f64::from(hit.y),
                            &series.color.css(),
                            &tokens.bg1.css(),
                        );
                    }
                }
            }
        });
        nothing
    });
}

/// Size of an element in CSS pixels, as it changes.
pub fn use_size(place: NodeRef<html::Div>) -> ReadSignal<(f64, f64)> {
    let (size, set_size) = signal((0.0, 0.0));
    let kept = StoredValue::new_local(None::<(web_sys::ResizeObserver, Closure<dyn Fn()>)>);
    Effect::new(move |_| {
        let Some(element) = place.get() else { return };
        let measured: web_sys::Element = element.clone().into();
        let callback = Closure::<dyn Fn()>::new(move || {
            let now = (f64::from(measured.client_width()), f64::from(measured.client_height()));
            if size.try_get_untracked().is_some_and(|before| before != now) {
                set_size.try_set(now);
            }
        });
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
    size
}
