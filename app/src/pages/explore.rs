//! `/explore`, and Prometheus' `/graph` and `/query`: questions that no dashboard asks. What is on the screen stands in
//! the address, in Grafana's form; Prometheus' form is read.

mod answers;
mod explain;
mod graph;
mod range_bar;
mod table;

use crate::memo::{Memo, Show, each_name, live, memo};
use crate::{
    controls::{
        icon::{Glyph, Icon},
        page::Page,
        query_editor::QueryEditor,
    },
    pages::parts::{Address, EmptyState, History},
};
use answers::{Answers, use_answers};
use dashboard::{
    time_range::TimeRange,
    url::{ExploreLocation, ExplorePane, ExploreQuery},
};
use explain::ExplainView;
use graph::GraphView;
use leptos::prelude::*;
use range_bar::RangeBar;
use table::TableView;

/// Letters that name queries.
const QUERIES_MAX: usize = 26;
const RANGE_DEFAULT: (&str, &str) = ("now-1h", "now");

/// How an answer is shown. In the address a table is an instant query, as Grafana has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Graph,
    Table,
    /// What the queries cost, part by part: `view=explain` in the address.
    Explain,
}

fn tab_of(pane: &ExplorePane) -> Tab {
    let table = pane.queries.first().is_some_and(|query| query.instant && !query.range);
    if table { Tab::Table } else { Tab::Graph }
}

const VIEW: (&str, &str) = ("view", "explain");

fn is_view((name, value): &(String, String)) -> bool {
    (name.as_str(), value.as_str()) == VIEW
}

/// What the address says, with one pane and one empty query at least, and names that differ.
fn read(search: &str) -> ExploreLocation {
    let mut location = ExploreLocation::parse(search.trim_start_matches('?'));
    let mut short = |key: &str| {
        let at = location.other.iter().position(|(name, _)| name == key)?;
        Some(location.other.remove(at).1)
    };
    // The short form of our own links: `/explore?expr=up&from=now-6h`.
    let (expr, from, to) = (short("expr"), short("from"), short("to"));
    if location.panes.is_empty() {
        let range =
            TimeRange::new(from.as_deref().unwrap_or(RANGE_DEFAULT.0), to.as_deref().unwrap_or(RANGE_DEFAULT.1));
        let query = ExploreQuery { expr: expr.unwrap_or_default(), ..new_query("A") };
        location.panes.push(ExplorePane { id: "a".to_owned(), queries: vec![query], range, ..ExplorePane::default() });
    }
    for pane in &mut location.panes {
        pane.queries.truncate(QUERIES_MAX);
        let mut seen: Vec<String> = Vec::new();
        for query in &mut pane.queries {
            if query.ref_id.is_empty() || seen.contains(&query.ref_id) {
                query.ref_id = free_name(&seen);
            }
            seen.push(query.ref_id.clone());
        }
        if pane.queries.is_empty() {
            pane.queries.push(new_query("A"));
        }
    }
    location
}

fn new_query(name: &str) -> ExploreQuery {
    ExploreQuery { ref_id: name.to_owned(), range: true, editor_mode: "code".to_owned(), ..ExploreQuery::default() }
}

/// The first letter that is not taken.
fn free_name(taken: &[String]) -> String {
    ('A'..='Z').map(String::from).find(|name| !taken.contains(name)).unwrap_or_else(|| format!("A{}", taken.len()))
}

/// Reads and writes the one pane that a part of the page shows.
#[derive(Clone, Copy)]
pub struct PaneState {
    address: Address,
    location: Memo<ExploreLocation>,
    at: usize,
}

impl PaneState {
    /// The pane; tracked.
    pub fn get(self) -> ExplorePane {
        self.location.with(|location| location.panes.get(self.at).cloned()).unwrap_or_default()
    }

    /// Changes the pane, as one step of history.
    pub fn change(self, change: impl FnOnce(&mut ExplorePane)) {
        let mut location = self.location.get_untracked();
        if let Some(pane) = location.panes.get_mut(self.at) {
            change(pane);
        }
        write(self.address, &location);
    }

    /// Whether parts and costs are shown in place of values; tracked.
    pub fn explains(self) -> bool {
        self.location.with(|location| location.other.iter().any(is_view))
    }

    /// Shows the answers of both panes that way, as one step of history.
    fn show(self, tab: Tab) {
        let mut location = self.location.get_untracked();
        location.other.retain(|pair| !is_view(pair));
        if tab == Tab::Explain {
            location.other.push((VIEW.0.to_owned(), VIEW.1.to_owned()));
        } else if let Some(pane) = location.panes.get_mut(self.at) {
            for query in &mut pane.queries {
                query.range = tab == Tab::Graph;
                query.instant = tab == Tab::Table;
            }
        }
        write(self.address, &location);
    }

    pub fn set_range(self, range: TimeRange) {
        self.change(|pane| pane.range = range);
    }
}

fn write(address: Address, location: &ExploreLocation) {
    address.go_with(format!("/explore?{}", location.query_string()), History::Push);
}

/// One pane, or two side by side.
#[component]
pub fn Explore() -> impl IntoView {
    let address = Address::here();
    let search = crate::router::use_search();
    let location = memo(move || search.with(|search| read(search)));
    let panes = memo(move || location.with(|location| location.panes.len()));
    let two = move || panes.get() > 1;
    let split = move |_| {
        let mut location = location.get_untracked();
        if location.panes.len() > 1 {
            location.panes.truncate(1);
        } else if let Some(first) = location.panes.first().cloned() {
            let id = if first.id == "b" { "c" } else { "b" };
            location.panes.push(ExplorePane { id: id.to_owned(), ..first });
        }
        write(address, &location);
    };
    let actions = move || {
        view! {
            <button class="btn out only-l" aria-pressed=move || (panes.get() > 1).to_string() data-t="split" on:click=split>
                {Icon::Row.view()}
                {live(move || if panes.get() > 1 { "One pane" } else { "Two panes" })}
            </button>
        }
    };
    view! {
        <Page title="Explore" actions=actions>
            <div class="ex-panes" class:two=two>
                {each_name(
                    move || (0..panes.get()).map(|at| at.to_string()).collect(),
                    move |at| {
                        let at = at.parse().unwrap_or_default();
                        view! { <Pane pane=PaneState { address, location, at } /> }
                    },
                )}
            </div>
        </Page>
    }
}

#[component]
fn Pane(pane: PaneState) -> impl IntoView {
    let now = memo(move || pane.get());
    let tab = memo(move || if pane.explains() { Tab::Explain } else { now.with(tab_of) });
    let names =
        memo(move || now.with(|pane| pane.queries.iter().map(|query| query.ref_id.clone()).collect::<Vec<_>>()));
    // What is typed and not yet run, by the name of its query.
    let drafts = RwSignal::new(Vec::<(String, RwSignal<String>)>::new());
    let again = Trigger::new();
    let answers = use_answers(now, tab, again);
    let run = Callback::new(move |()| {
        let typed: Vec<(String, String)> = drafts
            .with_untracked(|drafts| drafts.iter().map(|(name, text)| (name.clone(), text.get_untracked())).collect());
        let text_of = |name: &str| typed.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone());
        let changed = now.with_untracked(|pane| {
            pane.queries.iter().any(|query| text_of(&query.ref_id).is_some_and(|text| text != query.expr))
        });
        if changed {
            pane.change(|pane| {
                for query in &mut pane.queries {
                    query.expr = text_of(&query.ref_id).unwrap_or(std::mem::take(&mut query.expr));
                }
            });
        } else {
            again.notify();
        }
    });
    let add = move |_| {
        run.run(());
        pane.change(|pane| {
            let taken: Vec<String> = pane.queries.iter().map(|query| query.ref_id.clone()).collect();
            let first = pane.queries.first().cloned().unwrap_or_default();
            pane.queries.push(ExploreQuery {
                range: first.range,
                instant: first.instant,
                ..new_query(&free_name(&taken))
            });
        });
    };
    let full = move || names.with(Vec::len) >= QUERIES_MAX;
    let explains = memo(move || tab.get() == Tab::Explain);
    let asked = memo(move || now.with(|pane| pane.queries.iter().any(|query| !query.expr.trim().is_empty())));
    view! {
        <section class="ex-pane" aria-label="Query" data-t="pane">
            <div class="card ex-queries">
                {each_name(
                    move || names.get(),
                    move |name| view! { <QueryRow name=name pane=pane now=now names=names drafts=drafts run=run /> },
                )}
                <div class="ex-bar">
                    <button class="btn pri" data-t="run" on:click=move |_| run.run(())>
                        {Icon::Right.view()}
                        "Run"
                        <kbd class="only-l ex-kbd">"Ctrl ↵"</kbd>
                    </button>
                    <button class="btn out" data-t="add-query" disabled=full on:click=add>{Icon::Plus.view()} "Query"</button>
                    <span class="grow"></span>
                    <RangeBar pane=pane now=now again=again />
                </div>
            </div>
            <div class="ex-tabs seg" role="group" aria-label="Show as">
                <button class="btn" aria-pressed=move || (tab.get() == Tab::Graph).to_string() data-t="tab-graph" on:click=move |_| pane.show(Tab::Graph)>
                    {Icon::Graph.view()}
                    "Graph"
                </button>
                <button class="btn" aria-pressed=move || (tab.get() == Tab::Table).to_string() data-t="tab-table" on:click=move |_| pane.show(Tab::Table)>
                    {Icon::Table.view()}
                    "Table"
                </button>
                <button class="btn" aria-pressed=move || explains.get().to_string() data-t="tab-explain" on:click=move |_| pane.show(Tab::Explain)>
                    {Icon::Info.view()}
                    "Explain"
                </button>
            </div>
            <span class="ex-took num dim small" role="status">{live(move || answers.get().filter(|_| asked.get() && !explains.get()).map(|answers| answers.describe()))}</span>
            <Show
                when=move || asked.get()
                fallback=|| {
                    view! {
                        <EmptyState
                            glyph=Glyph::Info
                            title="Start from a metric"
                            text="Type a metric name above, or paste PromQL, and press Ctrl+Enter. Suggestions come as you type; Ctrl+Space asks for them."
                        />
                    }
                }
            >
                <Show when=move || explains.get() fallback=move || view! { <Shown answers=answers tab=tab pane=pane again=again /> }>
                    <ExplainView now=now pane=pane again=again />
                </Show>
            </Show>
        </section>
    }
}

#[component]
fn Shown(answers: RwSignal<Option<Answers>>, tab: Memo<Tab>, pane: PaneState, again: Trigger) -> impl IntoView {
    move || {
        let Some(found) = answers.get() else {
            return view! {
                <div class="card ops-skeleton" role="status" data-t="loading">
                    <span class="sr">"Loading"</span>
                    <i></i><i></i><i></i><i></i>
                </div>
            }
            .into_any();
        };
        let problems = found.problems().into_iter().map(|(name, text)| {
            view! {
                <div class="ex-problem" role="alert" data-t="query-error">
                    {Glyph::Critical.view()}
                    <b>{name}</b>
                    <span class="mono small">{text}</span>
                    <button class="btn out" on:click=move |_| again.notify()>"Retry"</button>
                </div>
            }
        });
        let notes = found.warnings.iter().map(|text| {
            view! { <p class="ops-stale" role="status" data-t="query-warning">{Glyph::Warning.view()} <span>{text.clone()}</span></p> }
        });
        let head = view! { {problems.collect_view()} {notes.collect_view()} };
        if found.is_empty() {
            let nothing = found.problems().is_empty().then(|| {
                view! {
                    <EmptyState
                        glyph=Glyph::NoData
                        title="No series match"
                        text="The query is right, and nothing in this time range answers it. Try a longer range, or fewer label matchers."
                    />
                }
            });
            return view! { {head} {nothing} }.into_any();
        }
        match tab.get() {
            Tab::Graph => view! { {head} <GraphView answers=found pane=pane /> }.into_any(),
            Tab::Table => view! { {head} <TableView answers=found /> }.into_any(),
            // Has a view of its own.
            Tab::Explain => ().into_any(),
        }
    }
}

#[component]
fn QueryRow(
    name: String,
    pane: PaneState,
    now: Memo<ExplorePane>,
    names: Memo<Vec<String>>,
    drafts: RwSignal<Vec<(String, RwSignal<String>)>>,
    run: Callback<()>,
) -> impl IntoView {
    let name = StoredValue::new(name);
    let query = memo(move || {
        now.with(|pane| name.with_value(|name| pane.queries.iter().find(|query| query.ref_id == *name).cloned()))
    });
    let text =
        RwSignal::new(query.with_untracked(|query| query.as_ref().map(|query| query.expr.clone()).unwrap_or_default()));
    drafts.update(|drafts| drafts.push((name.get_value(), text)));
    on_cleanup(move || {
        drafts.try_update(|drafts| name.try_with_value(|name| drafts.retain(|(other, _)| other != name)));
    });
    // The text is the reader's until it is run; going back in history brings back what was run before.
    Effect::new(move |_| {
        let Some(query) = query.get() else { return };
        if text.with_untracked(|text| *text != query.expr) {
            text.set(query.expr);
        }
    });
    let hidden = memo(move || query.with(|query| query.as_ref().is_some_and(|query| query.hide)));
    let alone = memo(move || names.with(|names| names.len() < 2));
    let change = move |change: fn(&mut ExploreQuery)| {
        run.run(());
        pane.change(|pane| {
            name.with_value(|name| pane.queries.iter_mut().filter(|query| query.ref_id == *name).for_each(change))
        });
    };
    let remove = move |_| {
        run.run(());
        pane.change(|pane| name.with_value(|name| pane.queries.retain(|query| query.ref_id != *name)));
    };
    view! {
        <div class="ex-query" class:off=move || hidden.get() data-t="query">
            <span class="ex-name" aria-hidden="true">{name.get_value()}</span>
            <div class="ex-editor">
                <QueryEditor value=text name=format!("Query {}", name.get_value()) on_run=run test=format!("expr-{}", name.get_value()) />
            </div>
            <span class="ex-acts" hidden=move || alone.get()>
                <button
                    class="btn sq"
                    aria-pressed=move || hidden.get().to_string()
                    aria-label=format!("Leave out query {}", name.get_value())
                    on:click=move |_| change(|query| query.hide = !query.hide)
                >
                    {Icon::Eye.view()}
                </button>
                <button class="btn sq" aria-label=format!("Remove query {}", name.get_value()) data-t="remove-query" on:click=remove>
                    {Icon::Trash.view()}
                </button>
            </span>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let say = |search: &str| {
            let pane = |pane: &ExplorePane| {
                let queries: Vec<_> =
                    pane.queries.iter().map(|query| format!("{}={}", query.ref_id, query.expr)).collect();
                format!("{:?} {}..{} {}", tab_of(pane), pane.range.from, pane.range.to, queries.join(" "))
            };
            read(search).panes.iter().map(pane).collect::<Vec<_>>().join(" | ")
        };
        assert_eq!(say(""), "Graph now-1h..now A=");
        assert_eq!(say("?expr=up&from=now-6h"), "Graph now-6h..now A=up");
        assert_eq!(say("?g0.expr=up&g0.tab=1&g0.range_input=2h"), "Table now-2h..now A=up");
        assert_eq!(say("?g0.expr=up&g0.tab=0&g1.expr=x"), "Graph now-1h..now A=up B=x");
        let twice = r#"?panes={"p":{"queries":[{"refId":"A","expr":"a"},{"refId":"A","expr":"b"}],"range":{"from":"1","to":"2"}}}"#;
        assert_eq!(say(twice), "Graph 1..2 A=a B=b");
        assert_eq!(free_name(&["A".to_owned(), "C".to_owned()]), "B");
    }
}
