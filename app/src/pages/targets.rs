//! `/targets` and `/service-discovery`: what is scraped, how it goes, and how it was found.

mod discovery;

pub use discovery::ServiceDiscovery;

use crate::memo::{Memo, Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::parts::{
        Address, Age, Await, EmptyState, History, LabelList,
        time_text::{format_seconds, parse_rfc3339_ms},
    },
};
use api::targets::ActiveTarget;
use dashboard::sorting::Order;
use leptos::prelude::*;
use model::duration::parse_duration_ms;
use std::collections::BTreeMap;

const REFRESH_MS: u32 = 5_000;
/// Prometheus' page folds a pool away above this number, unless something in it is down.
const FOLD_ABOVE: usize = 20;
const HEALTHS: [(&str, &str); 3] = [("up", "Up"), ("down", "Down"), ("unknown", "Unknown")];
/// What a configuration needs at least, for the empty page.
const SNIPPET: &str = "scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['localhost:9100']";

/// The three parameters of the address, named as Prometheus names them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Filter {
    pool: String,
    /// Empty: all.
    healths: Vec<String>,
    search: String,
}

impl Filter {
    fn read(address: Address) -> Filter {
        let healths = address.get_all("health");
        Filter {
            pool: Some(address.get("pool"))
                .filter(|pool| !pool.is_empty())
                .unwrap_or_else(|| address.get("scrapePool")),
            healths: healths
                .iter()
                .flat_map(|text| text.split(','))
                .map(str::trim)
                .filter(|health| !health.is_empty())
                .map(str::to_lowercase)
                .collect(),
            search: address.get("search").to_lowercase(),
        }
    }

    fn lets_through(&self, target: &ActiveTarget) -> bool {
        let found = |text: &str| text.to_lowercase().contains(&self.search);
        (self.pool.is_empty() || self.pool == target.scrape_pool)
            && (self.healths.is_empty() || self.healths.contains(&target.health))
            && (self.search.is_empty()
                || found(&target.scrape_url)
                || target.labels.iter().any(|(name, value)| found(value) || found(&format!("{name}={value}"))))
    }
}

/// Targets of one pool.
#[derive(Clone, Debug, PartialEq)]
struct Pool {
    name: String,
    /// Those that the filter lets through.
    targets: Vec<ActiveTarget>,
    /// Up, down, unknown, of all its targets.
    counts: [usize; 3],
}

fn pools(targets: &[ActiveTarget], filter: &Filter) -> Vec<Pool> {
    let mut pools: BTreeMap<&str, Pool> = BTreeMap::new();
    for target in targets {
        let pool = pools.entry(&target.scrape_pool).or_insert_with(|| Pool {
            name: target.scrape_pool.clone(),
            targets: Vec::new(),
            counts: [0; 3],
        });
        let place = HEALTHS.iter().position(|(health, _)| *health == target.health).unwrap_or(2);
        if let Some(count) = pool.counts.get_mut(place) {
            *count += 1;
        }
        if filter.lets_through(target) {
            pool.targets.push(target.clone());
        }
    }
    let mut pools: Vec<Pool> = pools.into_values().filter(|pool| !pool.targets.is_empty()).collect();
    for pool in &mut pools {
        // What is down comes first: that is what people come for.
        pool.targets.order_by_key(|target| (target.health == "up", target.scrape_url.clone()));
    }
    pools
}

/// Targets by pool.
#[component]
pub fn Targets() -> impl IntoView {
    let address = Address::here();
    let targets = use_polled(REFRESH_MS, client::prometheus::targets);
    let filter = memo(move || Filter::read(address));
    let shown = memo(move || {
        targets.data.with(|targets| {
            targets.as_ref().map(|targets| pools(&targets.active_targets, &filter.get())).unwrap_or_default()
        })
    });
    let names = memo(move || {
        targets.data.with(|targets| {
            let all =
                targets.iter().flat_map(|targets| &targets.active_targets).map(|target| target.scrape_pool.clone());
            all.collect::<std::collections::BTreeSet<_>>()
        })
    });
    let count = move |health: &str| {
        targets.data.with(|targets| {
            let all = targets.iter().flat_map(|targets| &targets.active_targets);
            all.filter(|target| target.health == health).count()
        })
    };
    let choose = move |(health, word): (&'static str, &'static str)| {
        let on = move || filter.with(|filter| filter.healths.iter().any(|on| on == health));
        let flip = move |_| {
            let mut healths = filter.get_untracked().healths;
            match healths.iter().position(|other| other == health) {
                Some(at) => drop(healths.remove(at)),
                None => healths.push(health.to_owned()),
            }
            address.set("health", Some(healths.join(",")).filter(|text| !text.is_empty()), History::Push);
        };
        view! {
            <button class="chip" aria-pressed=move || on().to_string() data-t=format!("health-{health}") on:click=flip>
                {health_glyph(health).view()}
                {word}
                <span class="dim num">{live(move || count(health))}</span>
            </button>
        }
    };
    let pool_names = move || {
        let chosen = filter.get().pool;
        let option =
            |name: String| view! { <option value=name.clone() selected=name == chosen>{name.clone()}</option> };
        names.get().into_iter().map(option).collect_view()
    };
    let actions = || {
        view! { <a class="btn out" href="/service-discovery">{Icon::Search.view()} "Service discovery"</a> }
    };
    let keys = move || shown.with(|pools| pools.iter().map(|pool| pool.name.clone()).collect::<Vec<_>>());
    view! {
        <Page title="Targets" actions=actions>
            <div class="chips ops-bar" role="group" aria-label="Filter">
                <span class="find">
                    {Icon::Search.view()}
                    <input
                        type="search"
                        placeholder="Address or label"
                        aria-label="Search targets"
                        data-t="search"
                        prop:value=move || address.get("search")
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            address.set("search", Some(text).filter(|text| !text.is_empty()), History::Replace);
                        }
                    />
                </span>
                <select
                    class="inp tg-pool"
                    aria-label="Pool"
                    data-t="pool"
                    on:change=move |event| {
                        let pool = event_target_value(&event);
                        address.set("pool", Some(pool).filter(|pool| !pool.is_empty()), History::Push);
                    }
                >
                    <option value="">"All pools"</option>
                    {pool_names}
                </select>
                {HEALTHS.map(choose).collect_view()}
            </div>
            <Await of=targets fault="The targets could not be read">
                <For
                    each=keys
                    key=|key| key.clone()
                    children=move |name| {
                        let pool = memo(move || {
                            shown.with(|pools| pools.iter().find(|pool| pool.name == name).cloned())
                        });
                        view! { <PoolCard pool=pool /> }
                    }
                />
                <Show when=move || shown.with(Vec::is_empty)>
                    {live(move || {
                        if names.with(std::collections::BTreeSet::is_empty) {
                            view! {
                                <EmptyState
                                    glyph=Glyph::NoData
                                    title="Nothing is scraped yet"
                                    text="Add a job to the configuration and reload it. A first one may look like this:"
                                >
                                    <div class="ops-snippet"><pre class="ops-code" tabindex="0">{SNIPPET}</pre></div>
                                </EmptyState>
                            }
                                .into_any()
                        } else {
                            view! {
                                <EmptyState glyph=Glyph::NoData title="No target matches" text="Change the pool, the health or the search above." />
                            }
                                .into_any()
                        }
                    })}
                </Show>
            </Await>
        </Page>
    }
}

fn health_glyph(health: &str) -> Glyph {
    match health {
        "up" => Glyph::Ok,
        "down" => Glyph::Critical,
        _ => Glyph::NoData,
    }
}

#[component]
fn PoolCard(pool: Memo<Option<Pool>>) -> impl IntoView {
    let counts = memo(move || pool.with(|pool| pool.as_ref().map(|pool| pool.counts).unwrap_or_default()));
    let name = pool.with_untracked(|pool| pool.as_ref().map(|pool| pool.name.clone()).unwrap_or_default());
    let open = counts.with_untracked(|counts| counts.iter().sum::<usize>() <= FOLD_ABOVE || counts[1] > 0);
    let pills = move || {
        let [up, down, unknown] = counts.get();
        let all = up + down + unknown;
        let class = if down > 0 {
            "tag crit num"
        } else if unknown > 0 {
            "tag num"
        } else {
            "tag ok num"
        };
        view! {
            <span class=class data-t="pool-up">{format!("{up} of {all} up")}</span>
            {(unknown > 0).then(|| view! { <span class="tag num">{format!("{unknown} unknown")}</span> })}
        }
    };
    let targets = move || pool.with(|pool| pool.as_ref().map(|pool| pool.targets.clone()).unwrap_or_default());
    view! {
        <details class="card fold" open=open data-t="pool-card" data-pool=name.clone()>
            <summary>
                {Icon::Down.view()}
                <h2 class="ell">{name.clone()}</h2>
                {pills}
            </summary>
            <ul>
                <For
                    each=targets
                    key=|target| (target.scrape_url.clone(), target.labels.clone())
                    children=move |first| {
                        let key = (first.scrape_url.clone(), first.labels.clone());
                        let target = memo(move || {
                            let same = |target: &&ActiveTarget| target.scrape_url == key.0 && target.labels == key.1;
                            let now = pool.with(|pool| pool.iter().flat_map(|pool| &pool.targets).find(same).cloned());
                            now.unwrap_or_else(|| first.clone())
                        });
                        view! { <TargetRow target=target /> }
                    }
                />
            </ul>
        </details>
    }
}

/// Which part of its interval a scrape took, 0 to 1; `None` where the interval is no duration.
fn share_of_interval(target: &ActiveTarget) -> Option<f64> {
    let interval_ms = parse_duration_ms(&target.scrape_interval).ok().filter(|ms| *ms > 0)?;
    Some((target.last_scrape_duration * 1000.0 / interval_ms as f64).clamp(0.0, 1.0))
}

/// A URL without its percent signs, where that is possible.
fn readable(url: &str) -> String {
    js_sys::decode_uri_component(url).map_or_else(|_| url.to_owned(), String::from)
}

#[component]
fn TargetRow(target: Memo<ActiveTarget>) -> impl IntoView {
    let url = target.with_untracked(|target| target.scrape_url.clone());
    let labels = target.with_untracked(|target| target.labels.clone());
    let discovered = target.with_untracked(|target| target.discovered_labels.clone());
    let health = memo(move || target.with(|target| target.health.clone()));
    let error = memo(move || target.with(|target| target.last_error.clone()));
    let state = move || {
        let health = health.get();
        let glyph = health_glyph(&health);
        view! {
            {glyph.view()}
            <span class="tg-word" data-t="health">{health}</span>
        }
    };
    let figures = move || {
        target.with(|target| {
            let share = share_of_interval(target);
            let never = parse_rfc3339_ms(&target.last_scrape).is_none();
            let class = if share.is_some_and(|share| share > 0.5) { "tg-share warn" } else { "tg-share" };
            let title = format!("Every {}, at most {}", target.scrape_interval, target.scrape_timeout);
            view! {
                <span class="tg-figure" title=title>
                    <span class="num">{if never { "–".to_owned() } else { format_seconds(target.last_scrape_duration) }}</span>
                    <span class="dim small">" of " {target.scrape_interval.clone()}</span>
                    <span class=class aria-hidden="true">
                        <i style=format!("width:{:.1}%", share.unwrap_or(0.0).max(0.01) * 100.0)></i>
                    </span>
                </span>
                <span class="tg-figure small dim"><Age at_ms=parse_rfc3339_ms(&target.last_scrape) /></span>
            }
        })
    };
    view! {
        <li class="tg" data-t="target" data-url=url.clone()>
            <span class="tg-state">{state}</span>
            <div class="tg-main">
                <a class="tg-url" href=url.clone() rel="noreferrer">{readable(&url)}</a>
                <LabelList labels=labels />
                {live(move || Some(error.get()).filter(|error| !error.is_empty()).map(|error| {
                    view! { <p class="tg-error mono small" data-t="last-error">{error}</p> }
                }))}
                <details class="tg-before">
                    <summary class="small">"Before relabelling"</summary>
                    <LabelList labels=discovered />
                </details>
            </div>
            <div class="tg-figures">{figures}</div>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(pool: &str, url: &str, health: &str) -> ActiveTarget {
        ActiveTarget {
            scrape_pool: pool.to_owned(),
            scrape_url: url.to_owned(),
            health: health.to_owned(),
            labels: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
            scrape_interval: "10s".to_owned(),
            last_scrape_duration: 2.5,
            ..ActiveTarget::default()
        }
    }

    #[test]
    fn pools_count_all_and_show_what_passes() {
        let targets =
            [target("b", "http://1", "up"), target("b", "http://2", "down"), target("a", "http://3", "unknown")];
        let say = |filter: &Filter| {
            let pools = pools(&targets, filter);
            let say = |pool: &Pool| {
                let urls: Vec<_> = pool.targets.iter().map(|target| target.scrape_url.as_str()).collect();
                format!("{} {:?} {}", pool.name, pool.counts, urls.join(","))
            };
            pools.iter().map(say).collect::<Vec<_>>().join("; ")
        };
        let filter = Filter::default();
        assert_eq!(say(&filter), "a [0, 0, 1] http://3; b [1, 1, 0] http://2,http://1");
        assert_eq!(say(&Filter { healths: vec!["down".to_owned()], ..filter.clone() }), "b [1, 1, 0] http://2");
        assert_eq!(say(&Filter { pool: "a".to_owned(), ..filter.clone() }), "a [0, 0, 1] http://3");
        assert_eq!(say(&Filter { search: "env=prod".to_owned(), ..filter.clone() }), say(&filter));
        assert_eq!(say(&Filter { search: "nowhere".to_owned(), ..filter }), "");
        assert_eq!(targets.first().and_then(share_of_interval), Some(0.25));
    }
}
