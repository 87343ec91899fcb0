//! What the server answers to the queries of a pane.

use super::Tab;
use crate::memo::Memo;
use crate::{
    client::{self, Abort, Answer, ClientError, prometheus::Found},
    pages::parts::time_text::{format_seconds, now_ms},
};
use api::query::{Inferred, InstantSample, QueryResult, RangeSeries};
use dashboard::{
    calendar::{Calendar, Weekday},
    interval::{interval_ms, safe_step_ms},
    time_range::{Span, TimeRange},
    units::id_of_inferred,
    url::ExplorePane,
};
use leptos::{prelude::*, task::spawn_local};

/// Points a line has at most: more than a screen has pixels is not seen.
const POINTS_MAX: u32 = 600;
/// The server refuses more a series.
const SERVER_POINTS_MAX: i64 = 11_000;
/// No step is shorter: few targets are scraped more often than once a second.
const STEP_MS_MIN: i64 = 1_000;

/// The answer to one query.
#[derive(Clone, Debug)]
pub struct Answered {
    pub name: String,
    pub expr: String,
    pub result: Result<QueryResult, ClientError>,
    pub inferred: Inferred,
}

impl Answered {
    /// The id of what shows values of this query that lie between two; `""` for plain numbers.
    pub fn unit(&self, bounds: Option<(f64, f64)>) -> &'static str {
        self.inferred.unit.as_deref().map_or("", |unit| id_of_inferred(unit, bounds))
    }
}

/// Smallest and largest of the finite values.
pub fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |found, value| {
        let (low, high) = found.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// The answers to all of them, of one time.
#[derive(Clone, Debug)]
pub struct Answers {
    pub queries: Vec<Answered>,
    /// The server's warnings and infos, each once.
    pub warnings: Vec<String>,
    pub span: Span,
    pub step_ms: i64,
    pub took_ms: i64,
}

impl Answers {
    /// What failed, by the name of its query.
    pub fn problems(&self) -> Vec<(String, String)> {
        let fault = |query: &Answered| Some((query.name.clone(), query.result.as_ref().err()?.to_string()));
        self.queries.iter().filter_map(fault).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.series() == 0
    }

    fn series(&self) -> usize {
        let count = |query: &Answered| match &query.result {
            Ok(QueryResult::Matrix(series)) => series.len(),
            Ok(QueryResult::Vector(samples)) => samples.len(),
            Ok(QueryResult::Scalar(_) | QueryResult::String(_)) => 1,
            Err(_) => 0,
        };
        self.queries.iter().map(count).sum()
    }

    /// What shows the values of all queries, if all are in one unit.
    pub fn unit(&self) -> &'static str {
        if self.queries.windows(2).any(|pair| pair[0].inferred.unit != pair[1].inferred.unit) {
            return "";
        }
        let lines = self.lines();
        let values = lines.iter().flat_map(|(_, series)| series.values.iter().map(|point| point.value));
        self.queries.first().map_or("", |query| query.unit(bounds(values)))
    }

    /// `12 series, 34 ms, step 15 s`.
    pub fn describe(&self) -> String {
        let step = match self.step_ms {
            0 => String::new(),
            step_ms => format!(", step {}", model::duration::format_duration_ms(step_ms)),
        };
        format!("{} series, {}{step}", self.series(), format_seconds(self.took_ms as f64 / 1000.0))
    }

    /// Every line, with the query it belongs to.
    pub fn lines<'a>(&'a self) -> Vec<(&'a Answered, &'a RangeSeries)> {
        let lines = |query: &'a Answered| match &query.result {
            Ok(QueryResult::Matrix(series)) => series.as_slice(),
            _ => &[],
        };
        self.queries.iter().flat_map(|query| lines(query).iter().map(move |series| (query, series))).collect()
    }

    /// Every value of an instant, with the query it belongs to.
    pub fn samples(&self) -> Vec<(&Answered, InstantSample)> {
        let samples = |query: &Answered| match &query.result {
            Ok(QueryResult::Vector(samples)) => samples.clone(),
            Ok(QueryResult::Scalar(point)) => vec![InstantSample { value: Some(*point), ..InstantSample::default() }],
            // A range at an instant: its last point.
            Ok(QueryResult::Matrix(series)) => series
                .iter()
                .map(|series| InstantSample {
                    metric: series.metric.clone(),
                    value: series.values.last().copied(),
                    histogram: series.histograms.last().cloned(),
                })
                .collect(),
            _ => Vec::new(),
        };
        self.queries.iter().flat_map(|query| samples(query).into_iter().map(move |sample| (query, sample))).collect()
    }
}

/// The viewer's clock: the browser's zone, weeks from Monday.
pub fn with_calendar<T>(read: impl FnOnce(&Calendar<'_>) -> T) -> T {
    let offset = |utc_ms: i64| js_sys::Date::new(&(utc_ms as f64).into()).get_timezone_offset() as i64 * -60_000;
    read(&Calendar { offset_ms: &offset, week_start: Weekday::Monday, fiscal_year_start_month: 0 })
}

/// Asks when the pane changes and when `again` says so. The old answers stay until the new ones are there.
pub fn use_answers(pane: Memo<ExplorePane>, tab: Memo<Tab>, again: Trigger) -> RwSignal<Option<Answers>> {
    let answers = RwSignal::new(None);
    let turn = StoredValue::new(0_u64);
    // Dropping it takes back what is still being asked.
    let running = StoredValue::new_local(None::<Abort>);
    Effect::new(move |_| {
        again.track();
        let (pane, tab) = (pane.get(), tab.get());
        if tab == Tab::Explain {
            return;
        }
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        let abort = Abort::default();
        let signal = abort.signal();
        running.set_value(Some(abort));
        spawn_local(async move {
            let found = ask(&pane, tab, signal).await;
            let aborted = found.queries.iter().any(|query| query.result == Err(ClientError::Aborted));
            if turn.try_get_value() == Some(mine) && !aborted {
                answers.try_set(Some(found));
            }
        });
    });
    answers
}

/// Start, end and step of a graph over a range, in Unix milliseconds.
pub fn times(range: &TimeRange) -> Answer<(i64, i64, i64)> {
    let span = with_calendar(|calendar| range.resolve(now_ms(), calendar));
    let span = span.map_err(|error| unclear_time(&error))?;
    let step_ms = step_of(span);
    Ok((span.from_ms.div_euclid(step_ms) * step_ms, span.to_ms, step_ms))
}

fn unclear_time(error: &impl std::fmt::Display) -> ClientError {
    ClientError::Unreadable { path: "the time range".to_owned(), message: error.to_string() }
}

fn step_of(span: Span) -> i64 {
    safe_step_ms(span.length_ms(), interval_ms(span.length_ms(), POINTS_MAX, STEP_MS_MIN), SERVER_POINTS_MAX)
}

async fn ask(pane: &ExplorePane, tab: Tab, signal: Option<web_sys::AbortSignal>) -> Answers {
    let started_ms = now_ms();
    let span = with_calendar(|calendar| pane.range.resolve(started_ms, calendar));
    let mut answers = Answers {
        queries: Vec::new(),
        warnings: Vec::new(),
        span: Span { from_ms: started_ms - 3_600_000, to_ms: started_ms },
        step_ms: 0,
        took_ms: 0,
    };
    let span = match span {
        Ok(span) => span,
        Err(error) => {
            let result = Err(unclear_time(&error));
            let inferred = Inferred::default();
            answers.queries.push(Answered { name: "Time".to_owned(), expr: String::new(), result, inferred });
            return answers;
        }
    };
    answers.span = span;
    let step_ms = step_of(span);
    if tab == Tab::Graph {
        answers.step_ms = step_ms;
    }
    // Steps on round times: a refresh then moves the line without changing its shape.
    let (start_ms, end_ms) = (span.from_ms.div_euclid(step_ms) * step_ms, span.to_ms);
    for query in pane.queries.iter().filter(|query| !query.hide && !query.expr.trim().is_empty()) {
        let answer: Answer<Found> = match tab {
            Tab::Graph => client::prometheus::query_range(&query.expr, start_ms, end_ms, step_ms, signal.clone()).await,
            Tab::Table | Tab::Explain => client::prometheus::query(&query.expr, end_ms, signal.clone()).await,
        };
        let mut inferred = Inferred::default();
        let result = answer.map(|found| {
            let new = found.warnings.into_iter().filter(|text| !answers.warnings.contains(text));
            let new: Vec<String> = new.collect();
            answers.warnings.extend(new);
            inferred = found.inferred;
            found.result
        });
        answers.queries.push(Answered { name: query.ref_id.clone(), expr: query.expr.clone(), result, inferred });
    }
    answers.took_ms = now_ms() - started_ms;
    answers
}
