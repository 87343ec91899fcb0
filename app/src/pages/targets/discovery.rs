//! `/service-discovery`: every target that was found, what relabelling made of it, and what it dropped.

use crate::memo::{Memo, Show, each_name, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::parts::{Address, Await, EmptyState, History, LabelList},
};
use api::targets::TargetsData;
use leptos::prelude::*;
use std::collections::BTreeMap;

const REFRESH_MS: u32 = 15_000;
/// Rows drawn of one job; a cluster can drop many thousands.
const ROWS_MAX: usize = 200;

/// One target as found, and what became of it.
#[derive(Clone, Debug, PartialEq)]
struct Found {
    discovered: BTreeMap<String, String>,
    /// `None`: dropped.
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Job {
    name: String,
    active: usize,
    dropped: usize,
    found: Vec<Found>,
}

/// Joins active and dropped targets by pool. `dropped` alone keeps those only.
fn jobs(data: &TargetsData, search: &str, dropped_only: bool) -> Vec<Job> {
    let search = search.to_lowercase();
    let fits = |labels: &BTreeMap<String, String>| {
        search.is_empty()
            || labels.iter().any(|(name, value)| format!("{name}={value}").to_lowercase().contains(&search))
    };
    let mut jobs: BTreeMap<String, Job> = BTreeMap::new();
    let mut job = |name: &str, found: Found| {
        let job = jobs.entry(name.to_owned()).or_insert_with(|| Job {
            name: name.to_owned(),
            active: 0,
            dropped: 0,
            found: Vec::new(),
        });
        let dropped = found.labels.is_none();
        *if dropped { &mut job.dropped } else { &mut job.active } += 1;
        if fits(&found.discovered) && (dropped || !dropped_only) {
            job.found.push(found);
        }
    };
    for target in &data.dropped_targets {
        // Only newer servers name the pool; the job's label says the same before relabelling.
        let name = match target.scrape_pool.as_str() {
            "" => target.discovered_labels.get("job").map_or("(unknown pool)", String::as_str),
            name => name,
        };
        job(name, Found { discovered: target.discovered_labels.clone(), labels: None });
    }
    for target in &data.active_targets {
        let found = Found { discovered: target.discovered_labels.clone(), labels: Some(target.labels.clone()) };
        job(&target.scrape_pool, found);
    }
    // The server may keep fewer dropped targets than it counted.
    for (name, count) in data.dropped_target_counts.iter().flatten() {
        if let Some(job) = jobs.get_mut(name) {
            job.dropped = job.dropped.max(*count);
        }
    }
    jobs.into_values().collect()
}

/// Targets as found, by job.
#[component]
pub fn ServiceDiscovery() -> impl IntoView {
    let address = Address::here();
    let targets = use_polled(REFRESH_MS, client::prometheus::targets);
    let dropped_only = memo(move || address.get("state") == "dropped");
    let shown = memo(move || {
        let (search, dropped_only) = (address.get("search"), dropped_only.get());
        targets.data.with(|targets| targets.as_ref().map(|data| jobs(data, &search, dropped_only)).unwrap_or_default())
    });
    let keys = move || shown.with(|jobs| jobs.iter().map(|job| job.name.clone()).collect::<Vec<_>>());
    let flip = move |_| {
        let values = if dropped_only.get_untracked() { Vec::new() } else { vec!["dropped"] };
        address.set("state", values, History::Push);
    };
    view! {
        <Page title="Service discovery" before=|| view! { <a href="/targets">"Targets"</a> <span class="sep">"/"</span> }>
            <div class="chips ops-bar" role="group" aria-label="Filter">
                <span class="find">
                    {Icon::Search.view()}
                    <input
                        type="search"
                        placeholder="Label, as __address__=host"
                        aria-label="Search discovered labels"
                        data-t="search"
                        prop:value=move || address.get("search")
                        on:input=move |event| {
                            let text = event_target_value(&event);
                            address.set("search", Some(text).filter(|text| !text.is_empty()), History::Replace);
                        }
                    />
                </span>
                <button class="chip" aria-pressed=move || dropped_only.get().to_string() data-t="dropped-only" on:click=flip>
                    "Dropped only"
                    <span class="dim num">{live(move || shown.with(|jobs| jobs.iter().map(|job| job.dropped).sum::<usize>()))}</span>
                </button>
            </div>
            <Await of=targets fault="The targets could not be read">
                {each_name(
                    keys,
                    move |name| {
                        let job = memo(move || {
                            shown.with(|jobs| jobs.iter().find(|job| job.name == name).cloned())
                        });
                        view! { <JobCard job=job /> }
                    },
                )}
                <Show when=move || shown.with(Vec::is_empty)>
                    <EmptyState
                        glyph=Glyph::NoData
                        title="Nothing was discovered"
                        text="No scrape job has a discovery section that found a target. See the configuration under Status."
                    >
                        <a class="btn out" href="/config">"See the configuration"</a>
                    </EmptyState>
                </Show>
            </Await>
        </Page>
    }
}

#[component]
fn JobCard(job: Memo<Option<Job>>) -> impl IntoView {
    let head = move || {
        let job = job.get()?;
        let all = job.active + job.dropped;
        let class = if job.active == 0 { "tag warn num" } else { "tag num" };
        Some(view! {
            <h2 class="ell">{job.name}</h2>
            <span class=class>{format!("{} of {all} used", job.active)}</span>
        })
    };
    let row = |found: Found| {
        let used = found.labels.is_some();
        view! {
            <li class="sd" data-t=if used { "sd-active" } else { "sd-dropped" }>
                <div>
                    <p class="dim small">"Found"</p>
                    <LabelList labels=found.discovered />
                </div>
                <div>
                    <p class="dim small">{if used { "Becomes" } else { "Becomes nothing" }}</p>
                    {match found.labels {
                        Some(labels) => view! { <LabelList labels=labels /> }.into_any(),
                        None => view! { <span class="tag">{Glyph::NoData.view()} "dropped by relabelling"</span> }.into_any(),
                    }}
                </div>
            </li>
        }
    };
    let rows = move || {
        let found = job.get().map(|job| job.found).unwrap_or_default();
        let more = found.len().saturating_sub(ROWS_MAX);
        view! {
            {found.into_iter().take(ROWS_MAX).map(row).collect_view()}
            {(more > 0).then(|| view! { <li class="sd hint">{format!("and {more} more; search to find them")}</li> })}
        }
    };
    view! {
        <details class="card fold" open=true data-t="sd-job">
            <summary>{Icon::Down.view()} {head}</summary>
            <ul>{rows}</ul>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_targets_by_job() {
        let data: TargetsData = serde_json::from_str(
            r#"{"activeTargets":[{"discoveredLabels":{"__address__":"a:1","job":"n"},"labels":{"job":"n"},"scrapePool":"n","scrapeUrl":"",
            "globalUrl":"","lastError":"","lastScrape":"","lastScrapeDuration":0,"health":"up","scrapeInterval":"","scrapeTimeout":""}],
            "droppedTargets":[{"discoveredLabels":{"__address__":"b:1","job":"n"}},{"discoveredLabels":{"__address__":"c:1"},"scrapePool":"x"}],
            "droppedTargetCounts":{"n":7,"x":1}}"#,
        )
        .unwrap();
        let say = |search: &str, dropped: bool| {
            let say = |job: &Job| format!("{} {}/{} {}", job.name, job.active, job.dropped, job.found.len());
            jobs(&data, search, dropped).iter().map(say).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(say("", false), "n 1/7 2; x 0/1 1");
        assert_eq!(say("", true), "n 1/7 1; x 0/1 1");
        assert_eq!(say("address__=b", false), "n 1/7 1; x 0/1 0");
    }
}
