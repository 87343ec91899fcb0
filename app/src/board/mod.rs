//! An open dashboard: what its address, its stored form and its edits come to. Pages and panels derive from it.

mod edits;
pub mod keys;
mod sources;
mod variables;

pub use keys::Keys;
pub use sources::{Sources, provide_sources, use_sources};

use crate::memo::{Memo, memo, memo_from};
use crate::{
    panels::{PanelInput, values::Look},
    shell::theme::use_theme,
    url_state::{Entry, UrlState},
    zone::{Zone, now_ms},
};
use api::dashboards::DashboardMeta;
use dashboard::{
    colors::Theme,
    history::History,
    interpolate::{Purpose, Scope, interpolate},
    interval::parse_interval_ms,
    layout::{Placed, arrange},
    model::{CursorSync, Dashboard, Panel},
    time_range::{Span, TimeRange},
    url::Kiosk,
    variables::VariableSet,
};
use leptos::prelude::*;
use std::sync::Arc;

/// A refresh that is shorter would ask faster than servers answer.
const REFRESH_MS_MIN: i64 = 1_000;

/// Where the pointer is in time, and on which panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    pub panel: String,
    /// Unix milliseconds.
    pub ms: f64,
    /// Share of the height from the top, for the tooltip that moves along.
    pub y_share: f64,
}

/// The dashboard as it is open now. All parts are signals: a copy is the same dashboard.
#[derive(Clone, Copy)]
pub struct Board {
    pub url: UrlState,
    /// With all edits.
    pub dashboard: RwSignal<Arc<Dashboard>>,
    pub history: RwSignal<History>,
    pub meta: RwSignal<DashboardMeta>,
    pub variables: RwSignal<VariableSet>,
    /// The moment that `now` means.
    pub now: RwSignal<i64>,
    /// Counts refreshes, so that an absolute range can be asked for again.
    pub round: RwSignal<u64>,
    pub range: Memo<TimeRange>,
    pub span: Memo<Span>,
    pub zone: Memo<Zone>,
    pub look: Memo<Look>,
    /// `30s`, `auto` or empty.
    pub refresh: Memo<String>,
    pub placed: Memo<Arc<Vec<Placed>>>,
    pub cursor: RwSignal<Option<Cursor>>,
    /// Key of the panel that last had the focus.
    pub selected: RwSignal<String>,
    pub editing: RwSignal<bool>,
    pub keys: Keys,
    pub sources: Sources,
    /// Pixels that panels can be wide together.
    pub width: RwSignal<f64>,
    /// The stored JSON that edits began from.
    pub stored: RwSignal<Arc<serde_json::Value>>,
    /// Whether the window for saving is open.
    pub saving: RwSignal<bool>,
    /// Variables whose selection may not exist any more, because one they depend on was changed.
    pub reconsider: StoredValue<Vec<String>>,
    /// Panels that are drawn, by key, for the inspector.
    pub drawn: StoredValue<Vec<(String, PanelInput)>>,
}

impl Board {
    /// Opens a dashboard in the page around.
    pub fn open(dashboard: Dashboard, meta: DashboardMeta, url: UrlState) -> Board {
        let sources = use_sources();
        let set =
            url.peek(|location| sources.with(|list| VariableSet::new(&dashboard.variables, &location.variables, list)));
        let dashboard = RwSignal::new(Arc::new(dashboard));
        let now = RwSignal::new(now_ms());
        let zone = memo(move || {
            let word = url.with(|location| location.timezone.clone());
            if word.is_empty() {
                dashboard.with(|dashboard| Zone::parse(&dashboard.timezone))
            } else {
                Zone::parse(&word)
            }
        });
        let range = memo(move || {
            let saved = dashboard.with(|dashboard| TimeRange::new(&dashboard.from, &dashboard.to));
            url.with(|location| location.time_range(&saved))
        });
        // A range that makes no sense keeps the last one that did.
        let span = memo_from(move |before: Option<&Span>| {
            let now = now.get();
            let resolved =
                zone.with(|zone| zone.with_calendar(|calendar| range.with(|range| range.resolve(now, calendar))));
            resolved.ok().or(before.copied()).unwrap_or(Span { from_ms: now - 21_600_000, to_ms: now })
        });
        let dark = use_theme().dark;
        let look = memo(move || Look {
            theme: if dark.get() { Theme::Dark } else { Theme::Light },
            zone: zone.get(),
            now_ms: now.get(),
        });
        let refresh = memo(move || {
            let own = url.with(|location| location.refresh.clone());
            own.unwrap_or_else(|| dashboard.with(|dashboard| dashboard.refresh.clone()))
        });
        let variables = RwSignal::new(set);
        let placed = memo(move || {
            let toggled = url.with(|location| location.view.toggled_rows.clone());
            let panels = dashboard.with(|dashboard| variables.with(|set| expand(dashboard, set)));
            Arc::new(arrange(&panels, &toggled))
        });
        let board = Board {
            url,
            dashboard,
            history: RwSignal::new(History::new()),
            meta: RwSignal::new(meta),
            variables,
            now,
            round: RwSignal::new(0),
            range,
            span,
            zone,
            look,
            refresh,
            placed,
            cursor: RwSignal::new(None),
            selected: RwSignal::new(String::new()),
            editing: RwSignal::new(false),
            keys: Keys::new(),
            sources,
            width: RwSignal::new(expected_width()),
            stored: RwSignal::new(Arc::new(dashboard.with_untracked(|dashboard| dashboard.json().clone()))),
            saving: RwSignal::new(false),
            reconsider: StoredValue::new(Vec::new()),
            drawn: StoredValue::new(Vec::new()),
        };
        variables::follow(board);
        board.refresh_by_itself();
        board
    }

    /// Asks everything again, with `now` moved on.
    pub fn refresh_now(self) {
        self.now.set(now_ms());
        self.round.update(|round| *round += 1);
    }

    /// Writes a range into the address.
    pub fn set_range(self, range: TimeRange, entry: Entry) {
        // "Last 5 minutes" chosen an hour after loading means the last 5 minutes.
        self.now.set(now_ms());
        self.url.change(entry, |location| location.set_time_range(&range));
    }

    /// A panel by its key, as drawn (repeated copies included); tracked.
    pub fn panel(self, key: &str) -> Option<Panel> {
        let drawn = self
            .placed
            .with(|placed| placed.iter().find(|placed| placed.panel.key() == key).map(|placed| placed.panel.clone()));
        // Panels of closed rows are not drawn, yet an address may name them.
        drawn.or_else(|| {
            let id = key.parse::<i64>().ok()?;
            self.dashboard.with(|dashboard| dashboard.panel(id).cloned())
        })
    }

    /// Calls `work` with everything that texts may refer to; tracked. `step_ms` is the panel's `$__interval`.
    pub fn with_scope<T>(self, panel: Option<&Panel>, step_ms: Option<i64>, work: impl FnOnce(&Scope<'_>) -> T) -> T {
        let mut scope = self.variables.with(VariableSet::scope);
        scope.span = Some(self.span.get());
        let range = self.range.get();
        scope.raw_range = Some((range.from, range.to));
        scope.timezone = self.url.with(|location| location.timezone.clone());
        scope.interval_ms = step_ms.or(scope.interval_ms);
        scope.scrape_interval_ms = Some(self.sources.scrape_interval_ms());
        self.dashboard.with(|dashboard| {
            scope.dashboard_uid.clone_from(&dashboard.uid);
            scope.dashboard_title.clone_from(&dashboard.title);
        });
        scope.theme = self.look.with(|look| if look.theme == Theme::Dark { "dark" } else { "light" }.to_owned());
        scope.url = self.url.with(crate::url_state::address);
        scope.scoped = panel.map(dashboard::repeat::scoped_values).unwrap_or_default();
        self.zone.with(|zone| {
            zone.with_calendar(move |calendar| {
                let mut scope: Scope<'_> = scope;
                scope.calendar = Some(*calendar);
                work(&scope)
            })
        })
    }

    /// What ad hoc filters add to every selector, and the filters that no selector can express; tracked.
    pub fn filters(self) -> (Vec<String>, Vec<String>) {
        let (mut matchers, mut inexpressible) = (Vec::new(), Vec::new());
        for filter in self.variables.with(VariableSet::filters) {
            match filter.matcher() {
                Some(matcher) => matchers.push(matcher),
                None => inexpressible.push(format!("{} {} {}", filter.key, filter.operator, filter.values.join(", "))),
            }
        }
        (matchers, inexpressible)
    }

    /// A text with its variables filled in; tracked.
    pub fn fill(self, panel: Option<&Panel>, text: &str) -> String {
        if !text.contains(['$', '[']) {
            return text.to_owned();
        }
        self.with_scope(panel, None, |scope| interpolate(text, scope, Purpose::Text))
    }

    /// Whether the crosshair of one panel shows on the others.
    pub fn cursor_sync(self) -> CursorSync {
        self.dashboard.with(|dashboard| dashboard.cursor)
    }

    pub fn kiosk(self) -> Kiosk {
        self.url.with(|location| if location.solo { Kiosk::Full } else { location.kiosk })
    }

    /// What `refresh` comes to in milliseconds; `auto` follows the range and the width of the plot.
    pub fn refresh_ms(self) -> Option<i64> {
        match self.refresh.get().as_str() {
            "" => None,
            "auto" => {
                let per_pixel = self.span.get().length_ms() / (self.width.get().max(100.0) as i64);
                Some(per_pixel.max(self.sources.scrape_interval_ms()).clamp(5_000, 3_600_000))
            }
            text => parse_interval_ms(text).map(|ms| ms.max(REFRESH_MS_MIN)),
        }
    }

    fn refresh_by_itself(self) {
        let every = memo(move || self.refresh_ms());
        Effect::new(move |_| {
            if let Some(ms) = every.get() {
                crate::client::every_while_visible(ms.clamp(1_000, i64::from(u32::MAX)) as u32, move || {
                    self.refresh_now()
                });
            }
        });
    }
}

/// Panels with those repeated that a variable repeats.
fn expand(dashboard: &Dashboard, set: &VariableSet) -> Vec<Panel> {
    dashboard::repeat::expand(&dashboard.panels, &set.values())
}

/// What a link to another dashboard takes along: `?from=…&var-a=…`, or nothing; tracked.
pub fn link_suffix(board: Board, keep_time: bool, include_variables: bool) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if keep_time {
        let range = board.range.get();
        pairs.extend([("from".to_owned(), range.from), ("to".to_owned(), range.to)]);
    }
    if include_variables {
        let variables = board.variables.with(VariableSet::to_address);
        pairs.extend(
            variables
                .into_iter()
                .flat_map(|(name, values)| values.into_iter().map(move |value| (format!("var-{name}"), value))),
        );
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", dashboard::url::query::format(&pairs)) }
}

/// What the grid will measure, so that the first question already fits: the window without rail and margins.
fn expected_width() -> f64 {
    let inner = leptos::tachys::dom::window().inner_width().ok().and_then(|width| width.as_f64()).unwrap_or(1300.0);
    if inner <= 760.0 { inner - 24.0 } else { inner - 100.0 }
}
