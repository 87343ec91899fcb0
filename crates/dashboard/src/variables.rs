//! Variables of an open dashboard: what to ask the server, in which order, and what is selected. It holds no
//! connection: the app asks [`VariableSet::requests`] what to load, loads it, and gives the answer to
//! [`VariableSet::loaded`], until nothing is left.

use crate::sorting::Order;
use crate::{
    frame::Labels,
    interpolate::{self, Purpose, Scope, VariableValue},
    interval,
    model::{
        DataSourceRef, StaticOrder, Variable, VariableHide, VariableKind, VariableOption, VariableRefresh, VariableSort,
    },
    pattern::Pattern,
    time_range::Span,
};
use std::cmp::Ordering;

/// The value that means All, in addresses and saved selections.
pub const ALL: &str = "$__all";
/// Options of one variable; more are cut off and said so.
pub const OPTIONS_MAX: usize = 20_000;

/// What a query variable asks a Prometheus server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableQuery {
    /// Names of labels, of series with a metric if given.
    LabelNames { metric: Option<String> },
    /// Values of a label, of the series that a selector picks if given.
    LabelValues { selector: Option<String>, label: String },
    /// Names of metrics that match a regular expression.
    Metrics { regex: String },
    /// An instant query; each result is written as `metric{labels} value timestamp`.
    QueryResult { expr: String },
    /// Anything else is a series selector whose series are listed.
    Series { selector: String },
}

/// Reads the query of a variable, variables in it already filled.
pub fn parse_query(query: &str) -> VariableQuery {
    let query = query.trim();
    let call = |name: &str| {
        let rest = query.strip_prefix(name)?.trim_start();
        Some(rest.strip_prefix('(')?.trim_end().strip_suffix(')')?.trim())
    };
    if let Some(metric) = call("label_names") {
        return VariableQuery::LabelNames { metric: (!metric.is_empty()).then(|| metric.to_owned()) };
    }
    if let Some(arguments) = call("label_values") {
        // The label is the last argument; selectors hold commas too.
        let comma = last_top_level_comma(arguments);
        return match comma {
            Some(at) => VariableQuery::LabelValues {
                selector: Some(arguments[..at].trim().to_owned()).filter(|selector| !selector.is_empty()),
                label: arguments[at + 1..].trim().trim_matches(['"', '\'']).to_owned(),
            },
            None => {
                VariableQuery::LabelValues { selector: None, label: arguments.trim_matches(['"', '\'']).to_owned() }
            }
        };
    }
    if let Some(regex) = call("metrics") {
        return VariableQuery::Metrics { regex: regex.to_owned() };
    }
    if let Some(expr) = call("query_result") {
        return VariableQuery::QueryResult { expr: expr.to_owned() };
    }
    VariableQuery::Series { selector: query.to_owned() }
}

fn last_top_level_comma(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped, mut found) = (0_i32, None, false, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{' | '(' | '[') => depth += 1,
            (None, '}' | ')' | ']') => depth -= 1,
            (None, ',') if depth == 0 => found = Some(at),
            _ => {}
        }
    }
    found
}

/// One line of a `query_result` or series answer, as the regex of the variable reads it.
pub fn result_line(labels: &Labels, value: Option<(f64, i64)>) -> String {
    let selector = crate::legend::selector(labels).replace("\", ", "\",");
    match value {
        Some((value, ms)) => format!("{selector} {} {ms}", crate::units::plain(value)),
        None => selector,
    }
}

/// Variables that need each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("variables depend on each other in a circle: {}", names.join(" → "))]
pub struct Cycle {
    /// The first name again at the end.
    pub names: Vec<String>,
}

/// What is known about a variable now.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Its options are not loaded yet, or are out of date.
    Waiting,
    Ready,
    /// Loading failed: why.
    Failed(String),
}

/// One variable of an open dashboard.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableState {
    pub variable: Variable,
    pub status: Status,
    /// All options, sorted and filtered, without All.
    pub options: Vec<VariableOption>,
    /// What is selected; for All the one option [`ALL`].
    pub selected: Vec<VariableOption>,
    /// Options were cut off at [`OPTIONS_MAX`].
    pub truncated: bool,
    /// Names of the variables its query mentions.
    pub depends_on: Vec<String>,
    /// Selection that the address asks for, until the options are there.
    wanted: Option<Vec<String>>,
}

/// Something to load.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableRequest {
    pub name: String,
    pub query: VariableQuery,
    pub datasource: Option<DataSourceRef>,
    /// Whether the time range should narrow the answer.
    pub in_range: bool,
}

/// A source as variables of kind `datasource` list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceInfo {
    pub uid: String,
    pub name: String,
    pub kind: String,
    pub is_default: bool,
}

/// All variables of an open dashboard.
#[derive(Clone, Debug, Default)]
pub struct VariableSet {
    states: Vec<VariableState>,
    /// Indices in the order of loading.
    order: Vec<usize>,
    cycle: Option<Cycle>,
    span: Option<Span>,
}

impl VariableSet {
    /// Starts with the selection of the address, then the saved one. A circle does not stop the rest: its members
    /// fail with [`Cycle`]'s message.
    pub fn new(variables: &[Variable], address: &[(String, Vec<String>)], sources: &[SourceInfo]) -> Self {
        let mut states: Vec<VariableState> = variables
            .iter()
            .map(|variable| VariableState {
                status: Status::Waiting,
                options: Vec::new(),
                selected: variable.current.clone(),
                truncated: false,
                depends_on: dependencies(variable, variables),
                wanted: (address.iter())
                    .find(|(name, _)| *name == variable.name && !variable.skip_url_sync)
                    .map(|(_, values)| values.clone()),
                variable: variable.clone(),
            })
            .collect();
        let (order, cycle) = plan(&states);
        if let Some(cycle) = &cycle {
            for state in states.iter_mut().filter(|state| cycle.names.contains(&state.variable.name)) {
                state.status = Status::Failed(cycle.to_string());
            }
        }
        let mut set = VariableSet { states, order, cycle, span: None };
        for at in set.order.clone() {
            set.load_local(at, sources);
        }
        set
    }

    pub fn states(&self) -> &[VariableState] {
        &self.states
    }

    pub fn get(&self, name: &str) -> Option<&VariableState> {
        self.states.iter().find(|state| state.variable.name == name)
    }

    /// The circle, if there is one.
    pub fn cycle(&self) -> Option<&Cycle> {
        self.cycle.as_ref()
    }

    /// The range now; `$__interval` and `$__range` in queries come from it.
    pub fn set_span(&mut self, span: Span) {
        self.span = Some(span);
    }

    /// What can be loaded now: variables that wait, and whose dependencies do not.
    pub fn requests(&self) -> Vec<VariableRequest> {
        self.order
            .iter()
            .map(|at| &self.states[*at])
            .filter(|state| state.variable.kind == VariableKind::Query && state.status == Status::Waiting)
            .filter(|state| {
                state.depends_on.iter().all(|name| self.get(name).is_none_or(|other| other.status != Status::Waiting))
            })
            .map(|state| {
                let scope = self.scope();
                let query = interpolate::interpolate(&state.variable.query, &scope, Purpose::PromQl);
                VariableRequest {
                    name: state.variable.name.clone(),
                    query: parse_query(&query),
                    datasource: state.variable.datasource.as_ref().map(|source| DataSourceRef {
                        kind: source.kind.clone(),
                        uid: interpolate::interpolate(&source.uid, &scope, Purpose::PromQl),
                    }),
                    in_range: state.variable.refresh == VariableRefresh::OnTimeChange,
                }
            })
            .collect()
    }

    /// Whether something is still to be loaded.
    pub fn is_loading(&self) -> bool {
        self.states.iter().any(|state| state.status == Status::Waiting)
    }

    /// Takes the answer to a request: the texts the server gave, or why there are none. Answers whether the selection
    /// changed.
    pub fn loaded(&mut self, name: &str, answer: Result<Vec<String>, String>) -> bool {
        let Some(at) = self.states.iter().position(|state| state.variable.name == name) else { return false };
        let before = self.states[at].selected.clone();
        match answer {
            Ok(texts) => {
                let state = &mut self.states[at];
                match build_options(&state.variable, texts) {
                    Ok(options) => {
                        state.truncated = options.len() > OPTIONS_MAX;
                        state.options = options;
                        state.options.truncate(OPTIONS_MAX);
                        state.status = Status::Ready;
                    }
                    Err(problem) => state.status = Status::Failed(problem),
                }
            }
            Err(problem) => self.states[at].status = Status::Failed(problem),
        }
        resolve_selection(&mut self.states[at]);
        before != self.states[at].selected
    }

    /// Selects values (with [`ALL`] for All) and marks what depends on the variable for loading. Answers the names
    /// of those.
    pub fn select(&mut self, name: &str, values: &[String]) -> Vec<String> {
        let Some(at) = self.states.iter().position(|state| state.variable.name == name) else { return Vec::new() };
        let state = &mut self.states[at];
        let before = state.selected.clone();
        state.wanted = Some(values.to_vec());
        resolve_selection(state);
        if state.selected == before { Vec::new() } else { self.invalidate_dependents(name) }
    }

    /// Takes over what the address says now (Back, a followed link). Answers the names that will be loaded again.
    pub fn follow_address(&mut self, address: &[(String, Vec<String>)]) -> Vec<String> {
        let mut stale = Vec::new();
        for at in self.order.clone() {
            let state = &mut self.states[at];
            if state.variable.skip_url_sync {
                continue;
            }
            let name = state.variable.name.clone();
            let before = state.selected.clone();
            state.wanted = address.iter().find(|(known, _)| *known == name).map(|(_, values)| values.clone());
            if state.wanted.is_none() {
                state.selected = state.variable.current.clone();
            }
            resolve_selection(state);
            if state.selected != before {
                stale.extend(self.invalidate_dependents(&name));
            }
        }
        stale.dedup();
        stale
    }

    /// Marks for loading what is refreshed when the range changes. Answers the names.
    pub fn range_changed(&mut self, span: Span) -> Vec<String> {
        self.span = Some(span);
        let mut names = Vec::new();
        for state in &mut self.states {
            if state.variable.kind == VariableKind::Query && state.variable.refresh == VariableRefresh::OnTimeChange {
                state.status = Status::Waiting;
                names.push(state.variable.name.clone());
            }
        }
        names
    }

    /// Marks for loading what was loaded and found nothing: on a server that was just started, the answer of a moment
    /// later is another one. Answers whether there is any.
    pub fn retry_empty(&mut self, span: Span) -> bool {
        let is_empty = |state: &VariableState| {
            // "All" means something without options, too.
            let needs_options = state.variable.kind == VariableKind::Query && !state.variable.include_all;
            needs_options && state.status != Status::Waiting && state.options.is_empty()
        };
        let names: Vec<String> =
            self.states.iter().filter(|state| is_empty(state)).map(|state| state.variable.name.clone()).collect();
        if names.is_empty() {
            return false;
        }
        self.span = Some(span);
        for state in &mut self.states {
            if names.contains(&state.variable.name) {
                state.status = Status::Waiting;
            }
        }
        true
    }

    fn invalidate_dependents(&mut self, name: &str) -> Vec<String> {
        let mut stale: Vec<String> = Vec::new();
        for at in self.order.clone() {
            let state = &mut self.states[at];
            let depends = state.depends_on.iter().any(|other| other == name || stale.contains(other));
            if depends && state.variable.kind == VariableKind::Query {
                state.status = Status::Waiting;
                stale.push(state.variable.name.clone());
            }
        }
        stale
    }

    /// The selections for [`Scope::variables`].
    pub fn values(&self) -> Vec<VariableValue> {
        self.states.iter().map(|state| self.value(state)).collect()
    }

    fn value(&self, state: &VariableState) -> VariableValue {
        let variable = &state.variable;
        let all = variable.include_all && state.selected.iter().any(|option| option.value == ALL);
        let chosen: &[VariableOption] = if all { &state.options } else { &state.selected };
        let mut values: Vec<String> = chosen.iter().map(|option| option.value.clone()).collect();
        if variable.kind == VariableKind::Interval && values.first().is_some_and(|value| value.starts_with("$__auto")) {
            let range_ms = self.span.map_or(3_600_000, |span| span.length_ms());
            let minimum = interval::parse_interval_ms(&variable.auto_min).unwrap_or(10_000);
            values = vec![interval::format_interval(interval::interval_ms(range_ms, variable.auto_count, minimum))];
        }
        VariableValue {
            name: variable.name.clone(),
            texts: chosen.iter().map(|option| option.text.clone()).collect(),
            multi: variable.multi || variable.include_all,
            all,
            all_value: variable.all_value.clone(),
            skip_url_sync: variable.skip_url_sync,
            filters: if matches!(variable.kind, VariableKind::AdHoc | VariableKind::GroupBy) {
                values.clone()
            } else {
                Vec::new()
            },
            values,
        }
    }

    /// A scope with the variables and the range.
    pub fn scope(&self) -> Scope<'static> {
        let range_ms = self.span.map_or(3_600_000, |span| span.length_ms());
        Scope {
            variables: self.values(),
            span: self.span,
            interval_ms: Some(interval::interval_ms(range_ms, 1000, 15_000)),
            ..Scope::default()
        }
    }

    /// The selections as an address writes them, `skipUrlSync` ones left out.
    pub fn to_address(&self) -> Vec<(String, Vec<String>)> {
        self.states
            .iter()
            .filter(|state| !state.variable.skip_url_sync && state.variable.kind != VariableKind::Constant)
            .map(|state| {
                let values: Vec<String> = state.selected.iter().map(|option| option.value.clone()).collect();
                (state.variable.name.clone(), if values.is_empty() { vec![String::new()] } else { values })
            })
            .collect()
    }

    /// Those to show in the bar.
    pub fn visible(&self) -> impl Iterator<Item = &VariableState> {
        self.states.iter().filter(|state| {
            !matches!(state.variable.hide, VariableHide::Hidden | VariableHide::InControlsMenu)
                && state.variable.kind != VariableKind::Constant
        })
    }

    /// Ad hoc filters for the queries.
    pub fn filters(&self) -> Vec<AdHocFilter> {
        self.states
            .iter()
            .filter(|state| state.variable.kind == VariableKind::AdHoc)
            .flat_map(|state| state.selected.iter().filter_map(|option| AdHocFilter::parse(&option.value)))
            .collect()
    }

    /// Options of the kinds that need no server.
    fn load_local(&mut self, at: usize, sources: &[SourceInfo]) {
        if matches!(self.states[at].status, Status::Failed(_)) {
            return;
        }
        let query = self.states[at].variable.query.clone();
        let filled = || interpolate::interpolate(&query, &self.scope(), Purpose::Text);
        let options = match &self.states[at].variable.kind {
            VariableKind::Query => {
                // The saved options serve until the server has answered.
                let state = &mut self.states[at];
                state.options = state.variable.options.iter().filter(|option| option.value != ALL).cloned().collect();
                let wanted = state.wanted.clone();
                resolve_selection(state);
                state.wanted = wanted;
                return;
            }
            VariableKind::Custom => parse_custom(&filled(), self.states[at].variable.values_json),
            VariableKind::Interval => {
                let mut options: Vec<VariableOption> = split_unescaped(&filled(), ',')
                    .iter()
                    .map(|text| VariableOption::plain(text.trim().trim_matches('"')))
                    .collect();
                if self.states[at].variable.auto {
                    options.insert(
                        0,
                        VariableOption::new("auto", &format!("$__auto_interval_{}", self.states[at].variable.name)),
                    );
                }
                options
            }
            VariableKind::DataSource => {
                let pattern = Pattern::new(&self.states[at].variable.regex)
                    .ok()
                    .filter(|_| !self.states[at].variable.regex.is_empty());
                sources
                    .iter()
                    .filter(|source| source.kind == query)
                    .filter(|source| pattern.as_ref().is_none_or(|pattern| pattern.is_match(&source.name)))
                    .map(|source| VariableOption::new(&source.name, &source.uid))
                    .collect()
            }
            VariableKind::Constant => vec![VariableOption::plain(&filled())],
            VariableKind::TextBox => {
                let text = filled();
                if text.is_empty() { Vec::new() } else { vec![VariableOption::plain(&text)] }
            }
            VariableKind::Switch => match self.states[at].variable.options.clone() {
                options if options.len() >= 2 => options,
                _ => vec![VariableOption::plain("true"), VariableOption::plain("false")],
            },
            VariableKind::AdHoc => self.states[at]
                .variable
                .filters
                .iter()
                .map(|(key, operator, values)| {
                    let filter = AdHocFilter { key: key.clone(), operator: operator.clone(), values: values.clone() };
                    VariableOption::plain(&filter.format())
                })
                .collect(),
            _ => self.states[at].variable.options.clone(),
        };
        let state = &mut self.states[at];
        state.options = options;
        state.status = Status::Ready;
        resolve_selection(state);
    }
}

/// One ad hoc filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdHocFilter {
    pub key: String,
    /// `= != =| !=| =~ !~ < <= > >=`.
    pub operator: String,
    pub values: Vec<String>,
}

impl AdHocFilter {
    /// Reads `key|op|value[|value…]` with the escapes of an address; what follows `#` is its origin.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split('#').next().unwrap_or_default();
        // `=|` and `!=|` hold the separator themselves.
        let (key, rest) = text.split_once('|')?;
        let operator = ["!=|", "=|", "!=", "=~", "!~", "<=", ">=", "=", "<", ">"]
            .into_iter()
            .find(|operator| rest.strip_prefix(operator).is_some_and(|tail| tail.starts_with('|')))?;
        let values = &rest[operator.len() + 1..];
        let unescape = |part: &str| {
            let part = part.split(',').next().unwrap_or_default();
            part.replace("__gfp__", "|").replace("__gfc__", ",").replace("__gfh__", "#")
        };
        if key.is_empty() {
            return None;
        }
        Some(AdHocFilter {
            key: unescape(key),
            operator: operator.to_owned(),
            values: values.split('|').map(unescape).collect(),
        })
    }

    pub fn format(&self) -> String {
        let escape = |part: &str| part.replace('|', "__gfp__").replace(',', "__gfc__").replace('#', "__gfh__");
        let values: Vec<String> = self.values.iter().map(|value| escape(value)).collect();
        format!("{}|{}|{}", escape(&self.key), self.operator, values.join("|"))
    }

    /// The filter as a matcher of a selector, `job=~"a|b"`; `None` for comparisons, which selectors cannot express.
    pub fn matcher(&self) -> Option<String> {
        let quote =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
        let any = || {
            let escaped: Vec<String> = self
                .values
                .iter()
                .map(|value| {
                    value
                        .chars()
                        .flat_map(|c| {
                            let special = "\\^$*+?.()|[]{}".contains(c);
                            special.then_some('\\').into_iter().chain(std::iter::once(c))
                        })
                        .collect()
                })
                .collect();
            quote(&escaped.join("|"))
        };
        let first = self.values.first().map(String::as_str).unwrap_or_default();
        let plain = |at: usize, c: char| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
        let is_plain = self.key.chars().enumerate().all(|(at, c)| plain(at, c));
        let key = if is_plain { self.key.clone() } else { quote(&self.key) };
        Some(match self.operator.as_str() {
            "=|" => format!("{key}=~{}", any()),
            "!=|" => format!("{key}!~{}", any()),
            operator @ ("=" | "!=" | "=~" | "!~") => format!("{key}{operator}{}", quote(first)),
            _ => return None,
        })
    }
}

fn dependencies(variable: &Variable, all: &[Variable]) -> Vec<String> {
    let mut texts = vec![variable.query.as_str(), variable.regex.as_str()];
    if let Some(source) = &variable.datasource {
        texts.push(&source.uid);
    }
    let mut names: Vec<String> = texts.iter().flat_map(|text| interpolate::references(text)).collect();
    names.retain(|name| all.iter().any(|other| other.name == *name));
    names.order();
    names.dedup();
    names
}

/// Dependencies first; with a circle the rest in order and the circle named.
fn plan(states: &[VariableState]) -> (Vec<usize>, Option<Cycle>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    fn visit(
        at: usize,
        states: &[VariableState],
        marks: &mut [Mark],
        path: &mut Vec<usize>,
        order: &mut Vec<usize>,
        cycle: &mut Option<Cycle>,
    ) {
        marks[at] = Mark::Open;
        path.push(at);
        for name in &states[at].depends_on {
            let Some(next) = states.iter().position(|state| state.variable.name == *name) else { continue };
            match marks[next] {
                Mark::New => visit(next, states, marks, path, order, cycle),
                Mark::Open if cycle.is_none() => {
                    let start = path.iter().position(|step| *step == next).unwrap_or(0);
                    let mut names: Vec<String> =
                        path[start..].iter().map(|step| states[*step].variable.name.clone()).collect();
                    names.push(states[next].variable.name.clone());
                    *cycle = Some(Cycle { names });
                }
                _ => {}
            }
        }
        path.pop();
        marks[at] = Mark::Done;
        order.push(at);
    }
    let mut marks = vec![Mark::New; states.len()];
    let (mut order, mut cycle) = (Vec::new(), None);
    for at in 0..states.len() {
        if marks[at] == Mark::New {
            visit(at, states, &mut marks, &mut Vec::new(), &mut order, &mut cycle);
        }
    }
    (order, cycle)
}

/// Regex, duplicates, order, static options.
fn build_options(variable: &Variable, texts: Vec<String>) -> Result<Vec<VariableOption>, String> {
    let mut options: Vec<VariableOption> = if variable.regex.is_empty() {
        texts.into_iter().map(|text| VariableOption { value: text.clone(), text }).collect()
    } else {
        let pattern = Pattern::new(&variable.regex).map_err(|error| error.to_string())?;
        let (text_group, value_group) = (pattern.group_index("text"), pattern.group_index("value"));
        texts
            .iter()
            .flat_map(|source| {
                pattern
                    .find_all(source)
                    .into_iter()
                    .map(|found| {
                        let group =
                            |index: Option<usize>| index.and_then(|index| found.groups.get(index).copied().flatten());
                        if text_group.is_some() || value_group.is_some() {
                            let value = group(value_group).or(group(text_group)).unwrap_or_default();
                            return VariableOption::new(group(text_group).unwrap_or(value), value);
                        }
                        // The first group that says something, else the whole text.
                        let captured = if found.groups.len() > 1 {
                            found.groups[1..].iter().copied().flatten().next()
                        } else {
                            Some(source.as_str())
                        };
                        VariableOption::plain(captured.unwrap_or_default())
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let mut seen = std::collections::HashSet::new();
    options.retain(|option| seen.insert(option.value.clone()));
    sort_options(&mut options, variable.sort);
    if !variable.static_options.is_empty() {
        options.retain(|option| !variable.static_options.iter().any(|fixed| fixed.value == option.value));
        match variable.static_order {
            StaticOrder::Before => options.splice(0..0, variable.static_options.iter().cloned()).for_each(drop),
            StaticOrder::After => options.extend(variable.static_options.iter().cloned()),
            StaticOrder::Sorted => {
                options.extend(variable.static_options.iter().cloned());
                sort_options(&mut options, variable.sort);
            }
        }
    }
    Ok(options)
}

/// Sorts by text.
pub fn sort_options(options: &mut [VariableOption], sort: VariableSort) {
    let number = |option: &VariableOption| {
        let start = option.text.find(|c: char| c.is_ascii_digit())?;
        let digits: String = option.text[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse::<f64>().ok()
    };
    let descending = match sort {
        VariableSort::None => return,
        VariableSort::Alphabetical { descending } => {
            options.order_by(|a, b| a.text.cmp(&b.text));
            descending
        }
        VariableSort::Numerical { descending } => {
            options.order_by(|a, b| number(a).unwrap_or(-1.0).total_cmp(&number(b).unwrap_or(-1.0)));
            descending
        }
        VariableSort::CaseInsensitive { descending } => {
            options.order_by_key(|option| option.text.to_lowercase());
            descending
        }
        VariableSort::Natural { descending } => {
            options.order_by(|a, b| natural(&a.text, &b.text));
            descending
        }
    };
    if descending {
        options.reverse();
    }
}

/// Numbers within the text compare by size.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let split = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits_a, digits_b) = (split(a), split(b));
        if digits_a > 0 && digits_b > 0 {
            let trim = |text: &'_ str| -> String { text.trim_start_matches('0').to_owned() };
            let (x, y) = (trim(&a[..digits_a]), trim(&b[..digits_b]));
            let order = x.len().cmp(&y.len()).then_with(|| x.cmp(&y));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[digits_a..], &b[digits_b..]);
            continue;
        }
        match (a.chars().next(), b.chars().next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = x.to_lowercase().cmp(y.to_lowercase());
                if order != Ordering::Equal {
                    return order;
                }
                (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
            }
        }
    }
}

/// `a, b : c, d\,e`: text and value by ` : `.
fn parse_custom(query: &str, as_json: bool) -> Vec<VariableOption> {
    if as_json {
        let Ok(serde_json::Value::Array(items)) = serde_json::from_str(query) else { return Vec::new() };
        return items
            .iter()
            .map(|item| match item {
                serde_json::Value::Object(map) => {
                    let get = |key: &str| map.get(key).map(crate::model::read::as_text).unwrap_or_default();
                    let value = get("value");
                    let text = get("text");
                    VariableOption { text: if text.is_empty() { value.clone() } else { text }, value }
                }
                other => VariableOption::plain(&crate::model::read::as_text(other)),
            })
            .collect();
    }
    split_unescaped(query, ',')
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once(" : ") {
            Some((text, value)) => VariableOption::new(text.trim(), value.trim()),
            None => VariableOption::plain(part),
        })
        .collect()
}

fn split_unescaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        if c == '\\' && chars.peek() == Some(&separator) {
            parts[last].push(separator);
            chars.next();
        } else if c == separator {
            parts.push(String::new());
        } else {
            parts[last].push(c);
        }
    }
    parts
}

/// Address, else what was selected, else the first option (All if there is one).
fn resolve_selection(state: &mut VariableState) {
    let variable = &state.variable;
    let free = matches!(variable.kind, VariableKind::TextBox | VariableKind::AdHoc | VariableKind::GroupBy);
    if variable.kind == VariableKind::Constant {
        state.selected.clone_from(&state.options);
        return;
    }
    let known = |value: &str| {
        state
            .options
            .iter()
            .find(|option| option.value == value)
            .or_else(|| state.options.iter().find(|option| option.text == value))
    };
    let all = || VariableOption::new("All", ALL);
    let is_all = |value: &str| {
        variable.include_all
            && (value == ALL
                || (value == "All" && known("All").is_none())
                || (!variable.all_value.is_empty() && value == variable.all_value))
    };
    if let Some(wanted) = &state.wanted {
        let wanted: Vec<&String> = wanted.iter().filter(|value| !value.is_empty()).collect();
        if wanted.is_empty() {
            // An explicit "nothing"; a variable with a single value needs one though.
            if free || variable.multi {
                state.selected = Vec::new();
                return;
            }
        } else {
            if wanted.iter().any(|value| is_all(value)) {
                state.selected = vec![all()];
                return;
            }
            let mut chosen: Vec<VariableOption> = Vec::new();
            for value in wanted {
                let custom = || {
                    (free || variable.allow_custom_value || state.status != Status::Ready)
                        .then(|| VariableOption::plain(value))
                };
                if let Some(option) = known(value).cloned().or_else(custom)
                    && !chosen.contains(&option)
                {
                    chosen.push(option);
                }
            }
            if !variable.multi && !free {
                chosen.truncate(1);
            }
            if !chosen.is_empty() {
                state.selected = chosen;
                return;
            }
        }
    }
    if free {
        if state.selected.iter().all(|option| option.value.is_empty()) {
            state.selected.clone_from(&state.options);
        }
        return;
    }
    let still: Vec<VariableOption> = state
        .selected
        .iter()
        .filter_map(|option| if is_all(&option.value) { Some(all()) } else { known(&option.value).cloned() })
        .collect();
    if !still.is_empty() {
        state.selected = still;
    } else if state.status == Status::Ready {
        state.selected = if variable.include_all && (variable.multi || state.options.is_empty()) {
            vec![all()]
        } else if let Some(first) = state.options.first() {
            vec![first.clone()]
        } else if variable.include_all {
            vec![all()]
        } else {
            Vec::new()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variables(list: serde_json::Value) -> Vec<Variable> {
        list.as_array().unwrap().iter().map(Variable::read).collect()
    }

    #[test]
    fn queries() {
        for (text, expected) in [
            ("label_names()", VariableQuery::LabelNames { metric: None }),
            ("label_values(job)", VariableQuery::LabelValues { selector: None, label: "job".into() }),
            (
                "label_values(up{a=~\"x,y\", b='}'} , instance )",
                VariableQuery::LabelValues { selector: Some("up{a=~\"x,y\", b='}'}".into()), label: "instance".into() },
            ),
            ("metrics(go_.*)", VariableQuery::Metrics { regex: "go_.*".into() }),
            ("query_result(topk(5, up))", VariableQuery::QueryResult { expr: "topk(5, up)".into() }),
            ("up{a=\"b\"}", VariableQuery::Series { selector: "up{a=\"b\"}".into() }),
        ] {
            assert_eq!(parse_query(text), expected, "{text}");
        }
    }

    #[test]
    fn chain() {
        let list = variables(json!([
            {"type": "query", "name": "instance", "query": "label_values(up{job=~\"$job\"}, instance)", "multi": true, "includeAll": true, "datasource": {"uid": "${ds}"}},
            {"type": "query", "name": "job", "query": {"query": "label_values(up, job)", "refId": "x"}, "sort": 2},
            {"type": "datasource", "name": "ds", "query": "prometheus"},
        ]));
        let sources =
            [SourceInfo { uid: "u1".into(), name: "Main".into(), kind: "prometheus".into(), is_default: true }];
        let mut set = VariableSet::new(&list, &[("instance".into(), vec!["h1".into(), "gone".into()])], &sources);
        let requests = set.requests();
        assert_eq!(requests.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["job"]);
        assert!(set.loaded("job", Ok(vec!["api".into(), "web".into(), "web".into()])));
        assert_eq!(set.get("job").unwrap().selected, [VariableOption::plain("web")]);
        let requests = set.requests();
        assert_eq!(
            requests[0].query,
            VariableQuery::LabelValues { selector: Some("up{job=~\"web\"}".into()), label: "instance".into() }
        );
        assert_eq!(requests[0].datasource.as_ref().unwrap().uid, "u1");
        set.loaded("instance", Ok(vec!["h1".into(), "h2".into()]));
        assert!(!set.is_loading());
        assert_eq!(
            set.to_address(),
            [
                ("instance".into(), vec!["h1".into(), "gone".into()]),
                ("job".into(), vec!["web".into()]),
                ("ds".into(), vec!["u1".into()])
            ]
        );
        assert_eq!(set.select("job", &["api".into()]), ["instance"]);
        assert_eq!(set.requests().len(), 1);
        set.loaded("instance", Err("no such label".into()));
        assert_eq!(set.get("instance").unwrap().status, Status::Failed("no such label".into()));
    }

    #[test]
    fn circles_are_named() {
        let list = variables(json!([
            {"type": "query", "name": "a", "query": "label_values(x{b=\"$b\"}, l)"},
            {"type": "query", "name": "b", "query": "label_values(x{c=\"${c:raw}\"}, l)"},
            {"type": "query", "name": "c", "query": "label_values(x{a=\"[[a]]\"}, l)"},
            {"type": "custom", "name": "d", "query": "1,2"},
        ]));
        let set = VariableSet::new(&list, &[], &[]);
        assert_eq!(set.cycle().unwrap().to_string(), "variables depend on each other in a circle: a → b → c → a");
        assert!(set.requests().is_empty() && set.get("d").unwrap().status == Status::Ready);
    }

    #[test]
    fn selections() {
        let list = variables(json!([
            {"type": "custom", "name": "env", "query": "a, B name : b, d\\,e", "multi": true, "includeAll": true, "allValue": ".*", "current": {"text": "All", "value": "$__all"}},
            {"type": "custom", "name": "one", "query": "x,y", "allowCustomValue": false},
            {"type": "textbox", "name": "text", "query": "hello", "current": {"text": "hello", "value": "hello"}},
            {"type": "interval", "name": "step", "query": "1m,5m", "auto": true},
            {"type": "constant", "name": "c", "query": "k", "hide": 2},
        ]));
        let at = |address: &[(&str, &[&str])]| {
            let address: Vec<(String, Vec<String>)> =
                address.iter().map(|(n, v)| ((*n).to_owned(), v.iter().map(|v| (*v).to_owned()).collect())).collect();
            let mut set = VariableSet::new(&list, &address, &[]);
            set.set_span(Span { from_ms: 0, to_ms: 3_600_000 });
            interpolate::interpolate("$env|${env:text}|$one|$text|$step|$c", &set.scope(), Purpose::PromQl)
        };
        assert_eq!(at(&[]), ".*|All|x|hello|2m|k");
        assert_eq!(
            at(&[("env", &["a", "d,e"]), ("one", &["z"]), ("text", &["t"]), ("step", &["5m"]), ("c", &["no"])]),
            "(a|d,e)|a + d,e|x|t|5m|k"
        );
        assert_eq!(at(&[("env", &["All"]), ("one", &["y"])]), ".*|All|y|hello|2m|k");
        assert_eq!(at(&[("env", &[".*"]), ("text", &[""])]), ".*|All|x||2m|k");
        assert_eq!(at(&[("env", &["B name"])]), "b|B name|x|hello|2m|k");
    }

    #[test]
    fn options_by_regex_and_order() {
        let options = |variable: serde_json::Value, texts: &[&str]| {
            build_options(&Variable::read(&variable), texts.iter().map(|t| (*t).to_owned()).collect())
                .map(|options| {
                    options
                        .iter()
                        .map(|o| if o.text == o.value { o.value.clone() } else { format!("{}={}", o.text, o.value) })
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .unwrap_or_else(|problem| problem)
        };
        let texts = ["h10:9", "h9:9", "H2:9", "x"];
        assert_eq!(options(json!({"regex": "/(.*):\\d/", "sort": 1}), &texts), "H2 h10 h9");
        assert_eq!(options(json!({"regex": "/(.*):\\d/", "sort": 3}), &texts), "H2 h9 h10");
        assert_eq!(options(json!({"regex": "/(.*):\\d/", "sort": 5}), &texts), "h10 H2 h9");
        assert_eq!(options(json!({"regex": "/(.*):\\d/", "sort": 8}), &texts), "h10 h9 H2");
        assert_eq!(options(json!({"regex": "/(?<value>h\\d+):(?<text>9)/"}), &texts), "9=h10 9=h9");
        assert_eq!(
            options(json!({"regex": "/^h/", "staticOptions": [{"text": "None", "value": ""}]}), &texts),
            "None= h10:9 h9:9"
        );
        assert_eq!(options(json!({"regex": "("}), &texts), "regular expression: missing `)` at character 1");
    }

    #[test]
    fn filters() {
        for (text, matcher) in [
            ("job|=|a__gfp__b", Some("job=\"a|b\"")),
            ("job|=||a.b|c", Some("job=~\"a\\\\.b|c\"")),
            ("job|!~|x.*", Some("job!~\"x.*\"")),
            ("a.b|=|1", Some("\"a.b\"=\"1\"")),
            ("n|>=|5", None),
        ] {
            let filter = AdHocFilter::parse(text).unwrap();
            assert_eq!(filter.format(), text);
            assert_eq!(filter.matcher().as_deref(), matcher);
        }
        assert_eq!(AdHocFilter::parse("job|=|a,Shown#dashboard#restorable").unwrap().values, ["a"]);
        assert_eq!(AdHocFilter::parse("nothing"), None);
    }
}
