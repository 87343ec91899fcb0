//! What lies under the pointer, in words: the nearest series first in weight, all of them in order. A press pins it.

use super::picture::Picture;
use crate::memo::{Memo, memo};
use crate::{
    controls::icon::Icon,
    panels::{
        PanelInput,
        links::{Link, LinkPlace, fill_links},
        values::Look,
    },
    url_state::Entry,
};
use chart::Hit;
use dashboard::sorting::Order;
use dashboard::{
    field::Displayer,
    model::{TooltipMode, TooltipOptions, TooltipSort},
    units::FormatContext,
};
use leptos::prelude::*;

/// More lines than this do not fit beside a pointer.
const LINES_MAX: usize = 24;

/// Where the tooltip is, and whether it stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// CSS pixels in the plot's box.
    pub x: f64,
    pub y: f64,
    pub pinned: bool,
    /// Another panel's pointer: no nearest series.
    pub foreign: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    color: String,
    value: String,
    near: bool,
}

/// The tooltip over a picture.
#[component]
pub fn Tooltip(
    input: PanelInput,
    picture: StoredValue<Option<Picture>, LocalStorage>,
    spot: Memo<Option<Spot>>,
    drawn: RwSignal<u64>,
) -> impl IntoView {
    let options = memo(move || input.panel.with(|panel| TooltipOptions::read(&panel.options)));
    let content = move || {
        let spot = spot.get()?;
        drawn.track();
        let (options, look) = (options.get(), input.look.get());
        if options.mode == TooltipMode::None {
            return None;
        }
        picture.with_value(|picture| {
            let picture = picture.as_ref()?;
            let hits = chart::hits_at(&picture.scene, &picture.plot, spot.x as f32, spot.y as f32);
            let near = if spot.foreign { None } else { chart::nearest(&picture.scene, &picture.plot, spot.x as f32, spot.y as f32) };
            let time = picture.plot.time_at(spot.x as f32);
            let rows = rows(input, picture, &hits, near, &options, &look);
            if rows.is_empty() && !spot.pinned {
                return None;
            }
            let links = if spot.pinned { near.map(|hit| links_of(input, picture, &hit)).unwrap_or_default() } else { Vec::new() };
            let moment = near.or_else(|| hits.first().copied()).map_or(time, |hit| hit.time_ms);
            Some(view! { <Box input spot rows links time=dashboard::time_range::format_local(moment, &look.zone.calendar()) width=f64::from(picture.scene.width) /> })
        })
    };
    view! { {content} }
}

fn rows(
    input: PanelInput,
    picture: &Picture,
    hits: &[Hit],
    near: Option<Hit>,
    options: &TooltipOptions,
    look: &Look,
) -> Vec<Row> {
    let nearest = near.map(|hit| hit.series);
    let mut chosen: Vec<&Hit> = hits
        .iter()
        .filter(|hit| options.mode == TooltipMode::Multi || nearest.is_none() || nearest == Some(hit.series))
        .filter(|hit| !options.hide_zeros || hit.value != 0.0)
        .collect();
    match options.sort {
        TooltipSort::None => {}
        TooltipSort::Ascending => chosen.order_by(|a, b| a.value.total_cmp(&b.value)),
        TooltipSort::Descending => chosen.order_by(|a, b| b.value.total_cmp(&a.value)),
    }
    // The nearest is always among those shown.
    if let Some(at) = chosen.iter().position(|hit| nearest == Some(hit.series))
        && at >= LINES_MAX
    {
        let hit = chosen.remove(at);
        chosen.insert(0, hit);
    }
    let context = FormatContext { calendar: look.zone.calendar(), now_ms: look.now_ms };
    input.data.with_untracked(|data| {
        let frames = data.as_ref().map(|data| data.frames.as_slice()).unwrap_or_default();
        chosen
            .into_iter()
            .take(LINES_MAX)
            .filter_map(|hit| {
                let series = picture.scene.series.get(hit.series)?;
                let field = frames.get(series.frame)?.fields.get(series.field)?;
                let value = Displayer::new(&field.config, look.theme, context, (0.0, 1.0), None)
                    .display(dashboard::frame::Cell::Number(hit.value));
                Some(Row {
                    name: series.name.clone(),
                    color: series.color.css(),
                    value: value.text.to_string(),
                    near: nearest == Some(hit.series) && options.mode == TooltipMode::Multi,
                })
            })
            .collect()
    })
}

/// Data links of the point.
pub fn links_of(input: PanelInput, picture: &Picture, hit: &Hit) -> Vec<Link> {
    let Some(series) = picture.scene.series.get(hit.series) else { return Vec::new() };
    input.data.with_untracked(|data| {
        let frame = data.as_ref().and_then(|data| data.frames.get(series.frame));
        let Some((frame, field)) = frame.and_then(|frame| Some((frame, frame.fields.get(series.field)?))) else {
            return Vec::new();
        };
        let text = dashboard::units::format_text(hit.value, &field.config.unit, field.config.decimals);
        let place = LinkPlace { frame, field: series.field, row: Some(hit.point), text: &text };
        fill_links(input, &field.config.links, Some(&place))
    })
}

#[component]
fn Box(input: PanelInput, spot: Spot, rows: Vec<Row>, links: Vec<Link>, time: String, width: f64) -> impl IntoView {
    // Beside the crosshair, on the side with room, so that the point itself stays seen.
    let side = if spot.x > width * 0.55 {
        format!("right:{}px", width - spot.x + 14.0)
    } else {
        format!("left:{}px", spot.x + 14.0)
    };
    let style = format!("{side};top:{}px", (spot.y - 20.0).max(0.0));
    let unpin = move |_| input.board.url.change(Entry::Replace, |url| url.view.pin = None);
    let lines = rows.into_iter().map(|row| {
        view! {
            <li class:near=row.near>
                <span><i class="sw" style=format!("--sw:{}", row.color)></i>{row.name}</span>
                <b>{row.value}</b>
            </li>
        }
    });
    let pinned = spot.pinned;
    let hint = if pinned {
        let links = links.into_iter().map(|link| {
            view! { <a href=link.href target=link.new_tab.then_some("_blank") rel="noopener noreferrer" data-t="data-link">{link.title}</a> }
        });
        let links = links.collect_view();
        view! { <div class="hint">{links}<button type="button" class="unpin" on:click=unpin>{Icon::Close.view()} "Unpin"</button></div> }.into_any()
    } else {
        ().into_any()
    };
    view! {
        <div class="tip num" class:pinned=pinned style=style data-t="tooltip">
            <div class="tt"><span>{time}</span></div>
            <ul>{lines.collect_view()}</ul>
            {hint}
        </div>
    }
}
