//! The starred dashboards, or all while nothing is starred, each with the course of its first number.

use crate::memo::{each_name, memo};
use crate::{
    client::{self, Answer, use_polled},
    controls::sparkline::Sparkline,
    kept::use_kept,
    pages::dashboard_list::Star,
    zone::now_ms,
};
use api::{dashboards::SearchHit, query::QueryResult};
use dashboard::sorting::Order;
use dashboard::{
    interpolate::{Purpose, interpolate},
    model::{Dashboard, Panel},
    time_range::Span,
    variables::VariableSet,
};
use leptos::prelude::*;

const INTERVAL_MS: u32 = 60_000;
const COURSE_INTERVAL_MS: u32 = 10_000;
const SHOWN_MAX: usize = 6;
/// What the lines show.
const SPAN_MS: i64 = 900_000;
/// Short, so that a server that has just been started shows a line as soon as it has two samples.
const STEP_MS: i64 = 5_000;

/// The section.
#[component]
pub fn Boards() -> impl IntoView {
    let kept = use_kept();
    let list = use_polled(INTERVAL_MS, || client::dashboards::search("", &[]));
    let any_star = memo(move || {
        list.data.with(|hits| {
            hits.as_deref().unwrap_or_default().iter().any(|hit| kept.is_starred(&hit.uid) || hit.is_starred)
        })
    });
    let shown = memo(move || {
        list.data.with(|hits| {
            let hits = hits.as_deref().unwrap_or_default().iter();
            let starred = hits.filter(|hit| !any_star.get() || hit.is_starred || kept.is_starred(&hit.uid));
            starred.take(SHOWN_MAX).cloned().collect::<Vec<_>>()
        })
    });
    let uids = move || shown.with(|hits| hits.iter().map(|hit| hit.uid.clone()).collect());
    let board = move |uid: String| {
        let hit = shown.with_untracked(|hits| hits.iter().find(|hit| hit.uid == uid).cloned());
        hit.map(|hit| view! { <Board hit /> })
    };
    let title = move || if any_star.get() { "Starred" } else { "Dashboards" };
    view! {
        <section>
            <h2 class="sec">
                {title} <span class="grow"></span> <a href="/dashboards">"All dashboards"</a>
            </h2>
            <ul class="boards" data-t="home-boards">
                {each_name(uids, board)}
            </ul>
        </section>
    }
}

/// The course of a dashboard's first figure.
#[derive(Clone, Debug, PartialEq)]
struct Course {
    values: Vec<f64>,
    unit: String,
}

/// The first query of the first panel that draws figures, with the variables as they are saved. Nothing for a dashboard
/// whose first query needs more than that.
async fn first_course(uid: String) -> Answer<Option<Course>> {
    let full = client::dashboards::dashboard(&uid).await?;
    let board = match dashboard::import::import(full.dashboard) {
        Ok(import) => import.dashboard,
        Err(_) => return Ok(None),
    };
    let Some((panel, expr)) = first_query(&board) else { return Ok(None) };
    let end = now_ms() / STEP_MS * STEP_MS;
    let span = Span { from_ms: end - SPAN_MS, to_ms: end };
    let mut set = VariableSet::new(&board.variables, &[], &[]);
    set.set_span(span);
    let mut scope = set.scope();
    scope.interval_ms = Some(STEP_MS);
    scope.scrape_interval_ms = Some(15_000);
    // An option that is not loaded yet stands for all.
    for variable in &mut scope.variables {
        if variable.values.is_empty() || variable.all {
            (variable.values, variable.all, variable.multi) = (vec![".*".to_owned()], true, true);
            variable.all_value = ".*".to_owned();
        }
    }
    let expr = interpolate(&expr, &scope, Purpose::PromQl);
    let result = client::prometheus::query_range(&expr, span.from_ms, span.to_ms, STEP_MS, None).await;
    let values = match result.map(|found| found.result) {
        Ok(QueryResult::Matrix(series)) => {
            series.into_iter().next().map(|series| series.values.iter().map(|point| point.value).collect())
        }
        _ => None,
    };
    let unit = panel.field_config.defaults.unit;
    Ok(values.filter(|values: &Vec<f64>| values.len() > 1).map(|values| Course { values, unit }))
}

fn first_query(board: &Dashboard) -> Option<(Panel, String)> {
    let mut panels: Vec<&Panel> = board.all_panels().collect();
    panels.order_by_key(|panel| (panel.grid.y, panel.grid.x));
    panels.into_iter().filter(|panel| matches!(panel.kind.as_str(), "timeseries" | "stat" | "gauge")).find_map(
        |panel| {
            let target = panel.targets.iter().find(|target| !target.hide && !target.expr.trim().is_empty())?;
            Some((panel.clone(), target.expr.clone()))
        },
    )
}

#[component]
fn Board(hit: SearchHit) -> impl IntoView {
    let color = hit.uid.bytes().fold(0_u32, |sum, byte| sum + u32::from(byte)) % 4 + 1;
    let uid = hit.uid.clone();
    let course = use_polled(COURSE_INTERVAL_MS, move || first_course(uid.clone()));
    let value = move || {
        course.data.with(|course| {
            let course = course.as_ref()?.as_ref()?;
            let last = course.values.iter().rev().find(|value| value.is_finite())?;
            Some(super::text(*last, &course.unit))
        })
    };
    let line = move || {
        let course = course.data.with(|course| course.clone().flatten())?;
        Some(view! { <Sparkline values=course.values color=format!("var(--c{})", color) area=true /> })
    };
    view! {
        <li class="card board">
            <div class="row">
                <a class="nm ell" href=hit.url.clone()>{hit.title.clone()}</a>
                <span class="grow"></span>
                <span class="board-value num">{value}</span>
                <Star uid=hit.uid.clone() title=hit.title.clone() />
            </div>
            <div class="board-line">{line}</div>
            <span class="dim small">{hit.folder_title.clone()}</span>
        </li>
    }
}
