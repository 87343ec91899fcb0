//! Heatmap: counts in buckets over time as cells, with the count under the pointer in words.

use super::{PanelInput, time_series::use_size, values::Look};
use crate::memo::memo;
use crate::{board::Cursor, canvas::Surface};
use chart::{HeatCell, Plot, Scene, YAxis, heatmap_cells, heatmap_scale};
use dashboard::{
    frame::HeatmapData,
    model::{AxisStyle, CursorSync, HeatmapOptions},
};
use leptos::{html, prelude::*};
use web_sys::HtmlCanvasElement;

/// What was drawn last.
struct Picture {
    plot: Plot,
    cells: Vec<HeatCell>,
}

/// The panel.
#[component]
pub fn Heatmap(input: PanelInput) -> impl IntoView {
    let (base, over, place) =
        (NodeRef::<html::Canvas>::new(), NodeRef::<html::Canvas>::new(), NodeRef::<html::Div>::new());
    let options = memo(move || input.panel.with(|panel| HeatmapOptions::read(&panel.options)));
    let picture = StoredValue::new_local(None::<Picture>);
    let drawn = RwSignal::new(0_u64);
    let size = use_size(place);
    Effect::new(move |_| {
        size.track();
        let (look, options) = (input.look.get(), options.get());
        let Some(canvas) = base.get() else { return };
        let new = input.data.with(|data| {
            let data = data.as_ref()?;
            let options = with_unit(options, data.observed_unit);
            draw(&canvas, data.heatmap.as_ref()?, data.span?, &options, &look)
        });
        picture.set_value(new);
        drawn.update(|drawn| *drawn += 1);
    });
    let pointer = RwSignal::new(None::<(f64, f64)>);
    let key = input.key.get_value();
    let moved = move |event: web_sys::PointerEvent| {
        let Some(rect) = place.get_untracked().map(|place| place.get_bounding_client_rect()) else { return };
        let (x, y) = (f64::from(event.client_x()) - rect.left(), f64::from(event.client_y()) - rect.top());
        pointer.set(Some((x, y)));
        let ms = picture.with_value(|picture| picture.as_ref().map(|picture| picture.plot.time_at(x as f32)));
        input.board.cursor.set(ms.map(|ms| Cursor { panel: key.clone(), ms: ms as f64, y_share: 0.2 }));
    };
    let left = move |_| {
        pointer.set(None);
        input.board.cursor.set(None);
    };
    Effect::new(move |_| {
        drawn.track();
        let cursor = input.board.cursor.get();
        let own = cursor.as_ref().is_some_and(|cursor| input.key.with_value(|key| *key == cursor.panel));
        let Some(surface) = over.get().and_then(|canvas| Surface::prepare(&canvas)) else { return };
        let Some(cursor) = cursor.filter(|_| own || input.board.cursor_sync() != CursorSync::Off) else { return };
        picture.with_value(|picture| {
            if let Some(Picture { plot, .. }) = picture {
                let x = plot.x(cursor.ms as i64);
                if x >= plot.rect.x && x <= plot.rect.right() {
                    let color = input.look.with_untracked(|look| look.theme.tokens().t3.css());
                    surface.crosshair(f64::from(x), f64::from(plot.rect.y), f64::from(plot.rect.bottom()), &color);
                }
            }
        });
    });
    let summary = move || {
        let rows = input.data.with(|data| {
            data.as_ref().and_then(|data| data.heatmap.as_ref()).map_or(0, |heatmap| heatmap.bounds.len())
        });
        format!("Heatmap of {rows} buckets over time")
    };
    let tip = move || {
        let (x, y) = pointer.get()?;
        drawn.track();
        picture.with_value(|picture| {
            let picture = picture.as_ref()?;
            let cell = picture.cells.iter().find(|cell| cell.rect.contains(x as f32, y as f32))?;
            input.data.with(|data| {
                let data = data.as_ref()?;
                tooltip(
                    data.heatmap.as_ref()?,
                    cell,
                    &with_unit(options.get(), data.observed_unit),
                    &input.look.get(),
                    (x, y),
                    f64::from(picture.plot.rect.right()),
                )
            })
        })
    };
    view! {
        <div class="plot-box" node_ref=place>
            <canvas node_ref=base data-t="plot"></canvas>
            <canvas class="over" node_ref=over></canvas>
            <div class="plot-hit" role="img" tabindex="0" aria-label=summary on:pointermove=moved on:pointerleave=left></div>
            {tip}
        </div>
    }
}

/// The panel's own unit, or else the inferred one.
fn with_unit(mut options: HeatmapOptions, inferred: &str) -> HeatmapOptions {
    if options.y_unit.is_empty() {
        inferred.clone_into(&mut options.y_unit);
    }
    options
}

fn draw(
    canvas: &HtmlCanvasElement,
    data: &HeatmapData,
    span: dashboard::time_range::Span,
    options: &HeatmapOptions,
    look: &Look,
) -> Option<Picture> {
    let surface = Surface::prepare(canvas)?;
    let scale = heatmap_scale(data);
    let mut scene =
        Scene::new(surface.width as f32, surface.height as f32, span.from_ms, span.to_ms, look.zone.calendar());
    scene.theme = look.theme;
    scene.axes = vec![YAxis {
        unit: options.y_unit.clone(),
        decimals: options.y_decimals,
        min: Some(scale.min),
        max: Some(scale.max),
        style: AxisStyle { scale: scale.kind, ..AxisStyle::default() },
        ..YAxis::default()
    }];
    let mut plot = chart::draw_frame(&mut surface.backend(), &scene).ok()?;
    plot.scales = vec![scale];
    let cells = heatmap_cells(data, &plot, options, look.theme, 1.0);
    let mut colors: Vec<String> = Vec::new();
    let (mut rectangles, mut indices) = (Vec::with_capacity(cells.len() * 4), Vec::with_capacity(cells.len()));
    for cell in &cells {
        let css = cell.color.css();
        let index = colors.iter().position(|known| *known == css).unwrap_or_else(|| {
            colors.push(css);
            colors.len() - 1
        });
        rectangles.extend([cell.rect.x, cell.rect.y, cell.rect.w, cell.rect.h]);
        indices.push(index as u32);
    }
    surface.cells(&rectangles, &indices, &colors);
    Some(Picture { plot, cells })
}

fn tooltip(
    data: &HeatmapData,
    cell: &HeatCell,
    options: &HeatmapOptions,
    look: &Look,
    (x, y): (f64, f64),
    width: f64,
) -> Option<impl IntoView + use<>> {
    let (low, high) = data.bounds.get(cell.row)?;
    let time = dashboard::time_range::format_local(*data.times.get(cell.column)?, &look.zone.calendar());
    let bound = |value: f64| match value {
        f64::INFINITY => "∞".to_owned(),
        f64::NEG_INFINITY => "−∞".to_owned(),
        value => dashboard::units::format_text(value, &options.y_unit, options.y_decimals),
    };
    let count = dashboard::units::format_text(cell.count, &options.cell_unit, None);
    let side = if x > width * 0.55 { format!("right:{}px", width - x + 14.0) } else { format!("left:{}px", x + 14.0) };
    let color = cell.color.css();
    Some(view! {
        <div class="tip num" style=format!("{side};top:{}px", (y - 20.0).max(0.0)) data-t="tooltip">
            <div class="tt"><span>{time}</span></div>
            <ul><li><span><i class="sw" style=format!("--sw:{color}")></i>{format!("{} to {}", bound(*low), bound(*high))}</span><b>{count}</b></li></ul>
        </div>
    })
}
