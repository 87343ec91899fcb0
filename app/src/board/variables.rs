//! Loading the options of variables, each query once per change, in the order they need each other.

use super::Board;
use crate::memo::memo;
use crate::{
    client::{Answer, prometheus},
    url_state::Entry,
};
use api::query::QueryResult;
use dashboard::{
    pattern::Pattern,
    time_range::Span,
    variables::{ALL, VariableQuery, VariableRequest, result_line},
};
use leptos::{prelude::*, task::spawn_local};

/// Keeps the variables in step with the address and the range.
pub(super) fn follow(board: Board) {
    // What is on its way, so that one change asks each query once.
    let asked = StoredValue::new(Vec::<(String, VariableQuery)>::new());
    let wanted = memo(move || board.url.with(|location| location.variables.clone()));
    Effect::new(move |before: Option<()>| {
        let address = wanted.get();
        if before.is_some() {
            board.variables.update(|set| {
                set.follow_address(&address);
            });
        }
        load(board, asked);
    });
    Effect::new(move |before: Option<()>| {
        board.range.track();
        let span = board.span.get_untracked();
        board.variables.update(|set| if before.is_some() { drop(set.range_changed(span)) } else { set.set_span(span) });
        load(board, asked);
    });
    Effect::new(move |before: Option<()>| {
        board.round.track();
        if before.is_none() {
            return;
        }
        let span = board.span.get_untracked();
        let mut retried = false;
        board.variables.maybe_update(|set| {
            retried = set.retry_empty(span);
            retried
        });
        if retried {
            load(board, asked);
        }
    });
}

fn load(board: Board, asked: StoredValue<Vec<(String, VariableQuery)>>) {
    let requests = board.variables.with_untracked(dashboard::variables::VariableSet::requests);
    let span = board.span.get_untracked();
    for request in requests {
        let id = (request.name.clone(), request.query.clone());
        if asked.with_value(|asked| asked.contains(&id)) {
            continue;
        }
        asked.update_value(|asked| asked.push(id.clone()));
        spawn_local(async move {
            let answer = ask(&request, span).await.map_err(|error| error.to_string());
            let Some(()) = asked.try_update_value(|asked| asked.retain(|other| *other != id)) else { return };
            // A selection may have changed meanwhile: then the query is another one, and this answer is nobody's.
            let current = board.variables.with_untracked(|set| {
                set.requests().into_iter().any(|now| now.name == request.name && now.query == request.query)
            });
            if current {
                board.variables.update(|set| {
                    set.loaded(&request.name, answer);
                });
                drop_unknown(board, &request.name);
            }
            load(board, asked);
        });
    }
}

/// After a choice that this variable depends on: a selection that no option has any more gives way to the default.
fn drop_unknown(board: Board, name: &str) {
    let depends = board.reconsider.try_update_value(|names| {
        let at = names.iter().position(|other| other == name)?;
        Some(names.swap_remove(at))
    });
    if depends.flatten().is_none() {
        return;
    }
    let unknown = board.variables.with_untracked(|set| {
        set.get(name).is_some_and(|state| {
            let known = |value: &str| value == ALL || state.options.iter().any(|option| option.value == value);
            !state.options.is_empty() && !state.selected.iter().any(|option| known(&option.value))
        })
    });
    if unknown {
        board.url.change(Entry::Replace, |location| location.set_variable(name, None));
    }
}

async fn ask(request: &VariableRequest, span: Span) -> Answer<Vec<String>> {
    let range = request.in_range.then_some((span.from_ms, span.to_ms));
    match &request.query {
        VariableQuery::LabelNames { metric } => {
            prometheus::label_names(&metric.iter().cloned().collect::<Vec<_>>(), range).await
        }
        VariableQuery::LabelValues { selector, label } => {
            prometheus::label_values(label, &selector.iter().cloned().collect::<Vec<_>>(), range).await
        }
        VariableQuery::Metrics { regex } => {
            let names = prometheus::label_values("__name__", &[], range).await?;
            Ok(match Pattern::new(regex) {
                Ok(pattern) => names.into_iter().filter(|name| pattern.is_match(name)).collect(),
                Err(_) => names,
            })
        }
        VariableQuery::QueryResult { expr } => {
            let found = prometheus::query(expr, span.to_ms, None).await?;
            Ok(match found.result {
                QueryResult::Vector(vector) => vector
                    .iter()
                    .map(|sample| {
                        result_line(&sample.metric, sample.value.map(|point| (point.value, point.timestamp_ms)))
                    })
                    .collect(),
                QueryResult::Scalar(point) => vec![dashboard::units::plain(point.value)],
                _ => Vec::new(),
            })
        }
        VariableQuery::Series { selector } => {
            let series = prometheus::series(std::slice::from_ref(selector), range).await?;
            Ok(series.iter().map(|labels| result_line(labels, None)).collect())
        }
    }
}

impl Board {
    /// Selects values of a variable, in the address.
    pub fn select(self, name: &str, values: Vec<String>) {
        let values = if values.is_empty() { vec![String::new()] } else { values };
        let dependents = self.variables.with_untracked(|set| {
            let depends = set.states().iter().filter(|state| state.depends_on.iter().any(|other| other == name));
            depends.map(|state| state.variable.name.clone()).collect::<Vec<_>>()
        });
        self.reconsider.set_value(dependents);
        self.url.change(Entry::Push, |location| location.set_variable(name, Some(values)));
    }

    /// The names of variables that `texts` mention and whose options are not there yet; tracked.
    pub fn waits_for(self, texts: &[&str]) -> bool {
        let names: Vec<String> = texts.iter().flat_map(|text| dashboard::interpolate::references(text)).collect();
        self.variables.with(|set| {
            names
                .iter()
                .any(|name| set.get(name).is_some_and(|state| state.status == dashboard::variables::Status::Waiting))
        })
    }

    /// The first variable that `texts` mention and that failed, and why; tracked.
    pub fn failed_variable(self, texts: &[&str]) -> Option<(String, String)> {
        let names: Vec<String> = texts.iter().flat_map(|text| dashboard::interpolate::references(text)).collect();
        self.variables.with(|set| {
            names.iter().find_map(|name| match &set.get(name)?.status {
                dashboard::variables::Status::Failed(why) => Some((name.clone(), why.clone())),
                _ => None,
            })
        })
    }
}

impl Board {
    /// Reads the variables of the dashboard anew, after an edit of them.
    pub fn rebuild_variables(self) {
        let set = self.dashboard.with_untracked(|dashboard| {
            self.url.peek(|location| {
                self.sources.with(|list| {
                    dashboard::variables::VariableSet::new(&dashboard.variables, &location.variables, list)
                })
            })
        });
        self.variables.set(set);
        let span = self.span.get_untracked();
        self.variables.update(|set| set.set_span(span));
        load(self, StoredValue::new(Vec::new()));
    }
}
