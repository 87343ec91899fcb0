//! A panel's data: what to ask, asking it, and the answers as frames.

use crate::{
    board::Board,
    client::{
        ClientError, Watch,
        prometheus::{self, Found},
    },
    controls::query_editor::text::Fault,
};
use api::query::QueryResult;
use dashboard::{
    field::apply_config,
    frame::{self, Frame, HeatmapData, QueryInfo, Series},
    interpolate::{Purpose, interpolate},
    interval::{interval_ms, parse_interval_ms, safe_step_ms},
    model::{Panel, TargetFormat},
    time_range::Span,
    units::id_of_inferred,
};
use leptos::prelude::*;
use std::sync::Arc;

/// Prometheus refuses more points of one series.
const POINTS_MAX: i64 = 11_000;

/// One question, with everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub info: QueryInfo,
    /// As asked: variables filled in.
    pub expr: String,
    pub instant: bool,
    pub range: bool,
    pub format: TargetFormat,
    pub step_ms: i64,
}

/// All questions of a panel, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Questions {
    pub queries: Vec<Query>,
    pub span: Option<Span>,
    /// What cannot be asked, and why.
    pub notices: Vec<String>,
    /// Counts refreshes.
    pub round: u64,
}

/// What the answers came to.
#[derive(Clone, Debug, Default)]
pub struct PanelData {
    pub frames: Vec<Frame>,
    pub heatmap: Option<HeatmapData>,
    /// What shows the bounds of a heatmap's buckets where the panel says nothing; `""` for plain numbers.
    pub observed_unit: &'static str,
    pub span: Option<Span>,
    pub step_ms: i64,
    /// What was asked, for the inspector: expression, milliseconds it took, series.
    pub asked: Vec<Asked>,
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub ref_id: String,
    pub expr: String,
    pub took_ms: f64,
    pub series: usize,
    pub step_ms: i64,
}

/// A fault, and where in the expression it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelError {
    pub message: String,
    pub expr: String,
    pub fault: Option<(usize, usize)>,
}

/// Everything the frame of a panel shows.
#[derive(Clone, Debug, Default)]
pub struct PanelState {
    /// A question is on its way.
    pub busy: bool,
    pub data: Option<Arc<PanelData>>,
    pub error: Option<PanelError>,
    pub notices: Vec<String>,
    /// Why there is nothing.
    pub empty: String,
    /// The type asks nothing: it is ready at once.
    pub static_kind: bool,
}

impl PanelState {
    /// As in `data-state`.
    pub fn word(&self) -> &'static str {
        match self.shown() {
            "ready" if self.busy => "stale",
            shown => shown,
        }
    }

    /// What is inside the frame.
    pub fn shown(&self) -> &'static str {
        if self.static_kind {
            return "ready";
        }
        match (&self.error, &self.data) {
            (Some(_), _) => "error",
            (None, None) => "loading",
            (None, Some(data)) if data.is_empty() => "empty",
            (None, Some(_)) => "ready",
        }
    }
}

impl PanelData {
    fn is_empty(&self) -> bool {
        self.frames.iter().all(|frame| frame.rows() == 0)
            && self.heatmap.as_ref().is_none_or(|heatmap| heatmap.times.is_empty())
    }
}

/// Whether a type asks nothing.
pub fn is_static(kind: &str) -> bool {
    matches!(kind, "text" | "row" | "alertlist" | "dashlist" | "news" | "welcome")
}

/// What a panel asks now, at a width; tracked. `None` while variables it needs are on their way.
pub fn questions(board: Board, panel: &Panel, width: f64) -> Result<Option<Questions>, PanelError> {
    let texts: Vec<&str> =
        panel.targets.iter().flat_map(|target| [target.expr.as_str(), target.interval.as_str()]).collect();
    if let Some((name, why)) = board.failed_variable(&texts) {
        let message = format!("variable \"{name}\" has no values: {why}");
        return Err(PanelError { message, expr: String::new(), fault: None });
    }
    if board.waits_for(&texts) || !board.sources.known() {
        return Ok(None);
    }
    let span = own_span(board, panel);
    let points = panel.max_data_points.unwrap_or((width.max(50.0)) as u32);
    let scrape_ms = board.sources.scrape_interval_ms();
    let mut out = Questions { span: Some(span), round: board.round.get(), ..Questions::default() };
    let only_last = matches!(panel.kind.as_str(), "table");
    let (matchers, inexpressible) = board.filters();
    out.notices.extend(inexpressible.into_iter().map(|filter| format!("a query cannot be filtered by {filter}")));
    for target in panel.targets.iter().filter(|target| !target.hide && !target.expr.trim().is_empty()) {
        let source = target.datasource.as_ref().or(panel.datasource.as_ref());
        let foreign = source
            .map(|source| source.kind.as_str())
            .filter(|kind| !matches!(*kind, "" | "prometheus" | "datasource" | "mixed"));
        if let Some(kind) = foreign {
            out.notices
                .push(format!("query {} asks a source of type \"{kind}\", which is not connected", target.ref_id));
            continue;
        }
        let minimum = [&target.interval, &panel.interval].into_iter().find(|text| !text.is_empty());
        let minimum = minimum.map(|text| board.fill(Some(panel), text.trim_start_matches('>')));
        let minimum_ms = minimum.as_deref().and_then(parse_interval_ms).filter(|ms| *ms > 0);
        let calculated = interval_ms(span.length_ms(), points, minimum_ms.unwrap_or(scrape_ms));
        let step = safe_step_ms(span.length_ms(), calculated * i64::from(target.interval_factor.max(1)), POINTS_MAX);
        let expr =
            board.with_scope(Some(panel), Some(calculated), |scope| interpolate(&target.expr, scope, Purpose::PromQl));
        let expr = promql_syntax::narrow(&expr, &matchers).unwrap_or(expr);
        let instant = target.instant || (only_last && !target.range);
        out.queries.push(Query {
            info: QueryInfo {
                ref_id: target.ref_id.clone(),
                expr: expr.clone(),
                legend_format: target.legend_format.clone(),
                step_ms: if instant { 0 } else { step },
            },
            expr,
            instant,
            range: target.range,
            format: target.format,
            step_ms: step,
        });
    }
    Ok(Some(out))
}

/// The dashboard's range, or the panel's own: `timeFrom`, `timeShift`; tracked.
fn own_span(board: Board, panel: &Panel) -> Span {
    let span = board.span.get();
    if panel.time_from.is_empty() && panel.time_shift.is_empty() {
        return span;
    }
    let mut out = span;
    let from = board.fill(Some(panel), &panel.time_from);
    if !from.is_empty() {
        let range = if from.contains("now") {
            dashboard::time_range::TimeRange::new(&from, "now")
        } else {
            dashboard::time_range::TimeRange::new(&format!("now-{from}"), "now")
        };
        let now = board.now.get();
        let resolved = board.zone.with(|zone| zone.with_calendar(|calendar| range.resolve(now, calendar)));
        out = resolved.unwrap_or(out);
    }
    let shift = board.fill(Some(panel), &panel.time_shift);
    let shift = shift.trim_start_matches("now").trim_start_matches('-');
    if let Some(ms) = parse_interval_ms(shift) {
        out = Span { from_ms: out.from_ms - ms, to_ms: out.to_ms - ms };
    }
    out
}

/// Asks everything at once and gives frames with the panel's field options on them; also what is to be noted.
pub async fn load(panel: &Panel, questions: &Questions, abort: &Watch) -> Result<(PanelData, Vec<String>), PanelError> {
    let span = questions.span.unwrap_or(Span { from_ms: 0, to_ms: 0 });
    let mut data = PanelData {
        span: Some(span),
        step_ms: questions.queries.first().map_or(0, |query| query.step_ms),
        ..PanelData::default()
    };
    let mut notices = questions.notices.clone();
    let several = questions.queries.len() > 1;
    let mut histograms = Vec::new();
    let mut buckets = Vec::new();
    let (mut inferred, mut observed) = (Vec::new(), Vec::new());
    for query in &questions.queries {
        let started = now();
        let found = ask(query, span, abort).await.map_err(|error| explain(&query.expr, &error))?;
        notices.extend(found.warnings);
        inferred.push((query.info.ref_id.clone(), found.inferred.unit));
        observed.push(found.inferred.observed);
        let (series, native, scalar) = series_of(found.result);
        data.asked.push(Asked {
            ref_id: query.info.ref_id.clone(),
            expr: query.expr.clone(),
            took_ms: now() - started,
            series: series.len(),
            step_ms: query.step_ms,
        });
        histograms.extend(native);
        if panel.kind == "heatmap" {
            buckets.extend(series.iter().cloned());
        }
        if let Some((ms, value)) = scalar {
            data.frames.extend(frame::from_scalar(&query.info, ms, value));
        } else if query.format == TargetFormat::Table {
            data.frames.push(frame::to_table(&query.info, &series, several));
        } else {
            data.frames.extend(frame::from_matrix(&query.info, series));
        }
    }
    dashboard::units::suggest(&mut data.frames, &inferred, shares_axis(&panel.kind));
    if panel.kind == "heatmap" {
        data.heatmap = Some(if histograms.is_empty() {
            frame::heatmap_from_buckets(&buckets)
        } else {
            frame::heatmap_from_histograms(&histograms)
        });
        let unit = observed.first().cloned().flatten().filter(|_| observed.windows(2).all(|pair| pair[0] == pair[1]));
        data.observed_unit = unit.map_or("", |unit| id_of_inferred(&unit, None));
    }
    if !panel.transformations.is_empty() {
        // Steps name fields as they are shown.
        dashboard::field::name_fields(&mut data.frames);
        let (frames, skipped) = dashboard::transform::apply(std::mem::take(&mut data.frames), &panel.transformations);
        data.frames = frames;
        notices.extend(skipped.into_iter().map(|id| format!("transformation not known here: {id}")));
    }
    let unknown = apply_config(&mut data.frames, &panel.field_config);
    notices.extend(unknown.into_iter().map(|what| format!("not known here: {what}")));
    Ok((data, notices))
}

fn now() -> f64 {
    leptos::tachys::dom::window().performance().map_or(0.0, |performance| performance.now())
}

/// Whether the values of all queries stand on the same scale.
fn shares_axis(kind: &str) -> bool {
    !matches!(kind, "table" | "stat" | "gauge" | "bargauge" | "singlestat" | "table-old")
}

async fn ask(query: &Query, span: Span, abort: &Watch) -> Result<Found, ClientError> {
    if query.instant {
        return prometheus::query(&query.expr, span.to_ms, abort.signal()).await;
    }
    // Aligned, so that points stay in place from one refresh to the next.
    let step = query.step_ms.max(1);
    let start = span.from_ms.div_euclid(step) * step;
    let end = span.to_ms.div_euclid(step) * step;
    prometheus::query_range(&query.expr, start, end.max(start), step, abort.signal()).await
}

type NativeHistograms = Vec<frame::HistogramPoint>;

fn series_of(result: QueryResult) -> (Vec<Series>, NativeHistograms, Option<(i64, f64)>) {
    match result {
        QueryResult::Matrix(matrix) => {
            let mut native = Vec::new();
            let mut all = Vec::with_capacity(matrix.len());
            for series in matrix {
                native.extend(series.histograms.iter().map(|point| (point.timestamp_ms, cells(&point.histogram))));
                if !series.values.is_empty() {
                    let points = series.values.iter().map(|point| (point.timestamp_ms, point.value)).collect();
                    all.push(Series { labels: series.metric, points });
                }
            }
            (all, native, None)
        }
        QueryResult::Vector(vector) => {
            let series = vector
                .into_iter()
                .filter_map(|sample| {
                    let point = sample.value?;
                    Some(Series { labels: sample.metric, points: vec![(point.timestamp_ms, point.value)] })
                })
                .collect();
            (series, Vec::new(), None)
        }
        QueryResult::Scalar(point) => (Vec::new(), Vec::new(), Some((point.timestamp_ms, point.value))),
        QueryResult::String(_) => (Vec::new(), Vec::new(), None),
    }
}

fn cells(histogram: &api::query::HistogramJson) -> Vec<(f64, f64, f64)> {
    let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
    histogram.buckets.iter().map(|(_, low, high, count)| (number(low), number(high), number(count))).collect()
}

/// The server's message with the place it means: our own check finds the same fault, else the message names it.
pub fn explain(expr: &str, error: &ClientError) -> PanelError {
    let message = error.to_string();
    let found = match error {
        ClientError::Refused { .. } => crate::controls::query_editor::text::check(expr, |_| None),
        _ => None,
    };
    let fault = found.map(|Fault { start, end, .. }| (start, end)).or_else(|| named_place(expr, &message));
    PanelError { message, expr: expr.to_owned(), fault }
}

/// `… 1:12: …` in a message of the server.
fn named_place(expr: &str, message: &str) -> Option<(usize, usize)> {
    let mut parts = message
        .split(|c: char| !c.is_ascii_digit() && c != ':')
        .find(|part| part.split(':').filter(|number| !number.is_empty()).count() == 2)?
        .split(':');
    let line: usize = parts.next()?.parse().ok()?;
    let column: usize = parts.next()?.parse().ok()?;
    let before: usize = expr.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let start = before + column.checked_sub(1)?;
    (start < expr.len()).then(|| {
        let rest = expr.get(start..).unwrap_or_default();
        let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()).max(1);
        (start, start + length)
    })
}
