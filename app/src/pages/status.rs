//! `/status`, `/config`, `/flags`, `/tsdb-status`: the server itself.

mod under_way;
mod yaml_text;

use crate::memo::{live, memo};
use crate::{
    client::{self, use_polled},
    controls::{icon::Icon, page::Page},
    pages::parts::{
        Address, Age, Await, History,
        address::query_text,
        time_text::{format_full, format_span, parse_rfc3339_ms},
    },
};
use api::status::NameValue;
use leptos::prelude::*;
use under_way::UnderWay;
use yaml_text::colour_line;

const REFRESH_MS: u32 = 15_000;

/// The tabs that the status pages share.
#[component]
fn StatusTabs(here: &'static str) -> impl IntoView {
    let tab = |(id, href, word): (&'static str, &'static str, &'static str)| {
        view! { <a href=href aria-current=(id == here).then_some("page") data-t=format!("tab-{id}")>{word}</a> }
    };
    let tabs = [
        ("status", "/status", "Server"),
        ("tsdb", "/tsdb-status", "Storage"),
        ("config", "/config", "Configuration"),
        ("flags", "/flags", "Flags"),
    ];
    view! { <nav class="tabs" aria-label="Status">{tabs.map(tab).collect_view()}</nav> }
}

/// Name and value, as rows.
fn rows(pairs: Vec<(&'static str, AnyView)>) -> impl IntoView {
    let row = |(name, value): (&'static str, AnyView)| view! { <dt>{name}</dt> <dd>{value}</dd> };
    view! { <dl class="st-kv">{pairs.into_iter().map(row).collect_view()}</dl> }
}

fn time(text: &str) -> AnyView {
    let at_ms = parse_rfc3339_ms(text);
    view! {
        <Age at_ms=at_ms />
        <span class="dim small">{at_ms.map(|at_ms| format!(" {}", format_full(at_ms)))}</span>
    }
    .into_any()
}

/// What runs, since when, and with which build.
#[component]
pub fn Status() -> impl IntoView {
    let runtime = use_polled(REFRESH_MS, client::prometheus::runtime_info);
    let build = use_polled(10 * REFRESH_MS, client::prometheus::build_info);
    let alertmanager = use_polled(REFRESH_MS, client::alertmanager::status);
    view! {
        <Page title="Status">
            <StatusTabs here="status" />
            <div class="st-grid">
                <section class="card st-card" data-t="runtime">
                    <h2 class="sec">"Runtime"</h2>
                    <Await of=runtime fault="The runtime information could not be read">
                        {live(move || {
                            let info = runtime.data.get()?;
                            let loaded = if info.reload_config_success {
                                view! { <span class="tag ok">"loaded"</span> }.into_any()
                            } else {
                                view! { <span class="tag crit">"the last reload failed; the configuration before it runs"</span> }.into_any()
                            };
                            Some(rows(vec![
                                ("Started", time(&info.start_time)),
                                ("Server time", info.server_time.into_any()),
                                ("Host name", info.hostname.into_any()),
                                ("Working directory", info.cwd.into_any()),
                                ("Configuration", loaded),
                                ("Last reload", time(&info.last_config_time)),
                                ("Retention", info.storage_retention.into_any()),
                                ("Corrupted WAL segments", info.corruption_count.into_any()),
                                ("Threads", info.gomaxprocs.into_any()),
                            ]))
                        })}
                    </Await>
                </section>
                <div class="st-column">
                <section class="card st-card" data-t="build">
                    <h2 class="sec">"Build"</h2>
                    <Await of=build fault="The build information could not be read">
                        {live(move || {
                            let info = build.data.get()?;
                            let pairs = [
                                ("Version", info.version),
                                ("Revision", info.revision),
                                ("Branch", info.branch),
                                ("Built by", info.build_user),
                                ("Built", info.build_date),
                                ("Toolchain", info.go_version),
                            ];
                            let known = pairs.into_iter().filter(|(_, value)| !value.is_empty());
                            Some(rows(known.map(|(name, value)| (name, value.into_any())).collect()))
                        })}
                    </Await>
                </section>
                <section class="card st-card" data-t="alertmanager">
                    <h2 class="sec">"Notifications"</h2>
                    <Await of=alertmanager fault="The state of the notifications could not be read">
                        {live(move || {
                            let status = alertmanager.data.get()?;
                            Some(view! {
                                {rows(vec![
                                    ("Running", time(&status.uptime)),
                                    ("Cluster", status.cluster.status.clone().into_any()),
                                    ("Peers", status.cluster.peers.len().into_any()),
                                ])}
                                <details class="st-more">
                                    <summary>"Configuration of the notifications"</summary>
                                    <Yaml text=status.config.original.clone() label="Configuration of the notifications" />
                                </details>
                            })
                        })}
                    </Await>
                </section>
                </div>
                <UnderWay />
            </div>
        </Page>
    }
}

/// Configuration text in colours, with the numbers of its lines.
#[component]
fn Yaml(text: String, label: &'static str) -> impl IntoView {
    let line = |line: &str| {
        let pieces = colour_line(line).into_iter().map(|(kind, text)| {
            view! { <span class=kind.class()>{text.to_owned()}</span> }
        });
        view! { <span class="st-line">{pieces.collect_view()} "\n"</span> }
    };
    view! {
        <pre class="ops-code st-yaml" tabindex="0" aria-label=label role="region">{text.lines().map(line).collect_view()}</pre>
    }
}

/// The configuration as it runs.
#[component]
pub fn Config() -> impl IntoView {
    let config = use_polled(4 * REFRESH_MS, client::prometheus::config);
    let text = memo(move || config.data.get().map(|config| config.yaml).unwrap_or_default());
    let copied = RwSignal::new(false);
    let copy = move |_| {
        let _ = window().navigator().clipboard().write_text(&text.get_untracked());
        copied.set(true);
        set_timeout(
            move || {
                copied.try_set(false);
            },
            std::time::Duration::from_secs(2),
        );
    };
    let actions = move || {
        view! {
            <button class="btn out" data-t="copy" on:click=copy>
                {Icon::Copy.view()}
                {live(move || if copied.get() { "Copied" } else { "Copy" })}
            </button>
        }
    };
    view! {
        <Page title="Configuration" actions=actions>
            <StatusTabs here="config" />
            <Await of=config fault="The configuration could not be read">
                <p class="mut st-note">"As it runs: with every default filled in and secrets left out. To change it, edit the file and reload."</p>
                {live(move || view! { <Yaml text=text.get() label="Configuration" /> })}
            </Await>
        </Page>
    }
}

/// The command-line flags with their values.
#[component]
pub fn Flags() -> impl IntoView {
    let address = Address::here();
    let flags = use_polled(10 * REFRESH_MS, client::prometheus::flags);
    let search = memo(move || address.get("search").to_lowercase());
    let shown = move || {
        let search = search.get();
        let flags = flags.data.get().unwrap_or_default();
        let found = flags.into_iter().filter(move |(name, value)| {
            search.is_empty() || name.to_lowercase().contains(&search) || value.to_lowercase().contains(&search)
        });
        let row = |(name, value): (String, String)| {
            view! { <tr data-t="flag"><th scope="row" class="mono">{"--"}{name}</th><td class="mono">{value}</td></tr> }
        };
        found.map(row).collect_view()
    };
    view! {
        <Page title="Command-line flags">
            <StatusTabs here="flags" />
            <div class="chips ops-bar">
                <span class="find">
                    {Icon::Search.view()}
                    <input
                        type="search"
                        placeholder="Flag or value"
                        aria-label="Search flags"
                        data-t="search"
                        prop:value=move || address.get("search")
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            address.set("search", Some(text).filter(|text| !text.is_empty()), History::Replace);
                        }
                    />
                </span>
            </div>
            <Await of=flags fault="The flags could not be read">
                <div class="card st-card">
                    <table class="tb st-flags">
                        <thead><tr><th scope="col">"Flag"</th><th scope="col">"Value"</th></tr></thead>
                        <tbody>{shown}</tbody>
                    </table>
                </div>
            </Await>
        </Page>
    }
}

/// How much the storage holds, and of what.
#[component]
pub fn TsdbStatus() -> impl IntoView {
    let status = use_polled(2 * REFRESH_MS, client::prometheus::tsdb_status);
    let card = |name: &'static str, value: String, note: String| {
        view! {
            <div class="card">
                <span class="k">{name}</span>
                <span class="v num">{value}</span>
                <span class="s">{note}</span>
            </div>
        }
    };
    view! {
        <Page title="TSDB status">
            <StatusTabs here="tsdb" />
            <Await of=status fault="The state of the storage could not be read">
                {live(move || {
                    let status = status.data.get()?;
                    let head = &status.head_stats;
                    let series = head.num_series.max(1) as f64;
                    let held = (head.max_time > head.min_time).then(|| head.max_time - head.min_time);
                    Some(view! {
                        <div class="ops-counts" data-t="head-stats">
                            {card("Series in memory", grouped(head.num_series), "in the head block".to_owned())}
                            {card("Chunks", grouped(head.chunk_count), format!("{:.1} a series", head.chunk_count as f64 / series))}
                            {card("Label pairs", grouped(head.num_label_pairs), "different ones".to_owned())}
                            {card(
                                "Span in memory",
                                held.map_or("–".to_owned(), format_span),
                                held.map_or("no samples yet".to_owned(), |_| format!("since {}", format_full(head.min_time))),
                            )}
                        </div>
                        <div class="st-tops">
                            <TopList title="Series by metric name" list=status.series_count_by_metric_name.clone() link=Some(metric_link) />
                            <TopList title="Values by label name" list=status.label_value_count_by_label_name.clone() link=None />
                            <TopList title="Memory by label name, bytes" list=status.memory_in_bytes_by_label_name.clone() link=None />
                            <TopList title="Series by label and value" list=status.series_count_by_label_value_pair.clone() link=Some(pair_link) />
                        </div>
                    })
                })}
            </Await>
        </Page>
    }
}

fn explore(expr: String) -> String {
    format!("/explore{}", query_text(&[("expr".to_owned(), expr)]))
}

fn metric_link(name: &str) -> String {
    explore(format!("count({{__name__={}}})", model::labels::quote(name)))
}

/// The pair is written `name=value`.
fn pair_link(pair: &str) -> String {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    explore(format!("count by (__name__) ({})", format_args!("{{{}}}", model::matcher::Matcher::equal(name, value))))
}

#[component]
fn TopList(title: &'static str, list: Vec<NameValue>, link: Option<fn(&str) -> String>) -> impl IntoView {
    let most = list.iter().map(|entry| entry.value).max().unwrap_or(1).max(1) as f64;
    let empty = list.is_empty();
    let row = |entry: NameValue| {
        let width = entry.value as f64 / most * 100.0;
        let name = match link {
            Some(link) => view! { <a href=link(&entry.name)>{entry.name.clone()}</a> }.into_any(),
            None => entry.name.clone().into_any(),
        };
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td class="st-bar"><i style=format!("width:{width:.1}%")></i></td>
                <td class="n">{grouped(entry.value)}</td>
            </tr>
        }
    };
    view! {
        <section class="card st-card" data-t="top-list">
            <h2 class="sec">{title}</h2>
            <table class="tb st-top">
                <tbody>{list.into_iter().map(row).collect_view()}</tbody>
            </table>
            {empty.then(|| view! { <p class="dim">"Nothing stored yet"</p> })}
        </section>
    }
}

/// A count with thin spaces between its thousands: `12 345`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_links() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(pair_link("env=a=b"), "/explore?expr=count%20by%20(__name__)%20({env%3D%22a%3Db%22})");
    }
}
