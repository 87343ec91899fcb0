//! `/federation`: the servers whose series this one takes over, and how they do.

use crate::memo::{Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::parts::{
        Age, Await, EmptyState, LabelList,
        time_text::{format_seconds, now_ms, parse_rfc3339_ms},
    },
};
use api::targets::ActiveTarget;
use dashboard::sorting::Order;
use leptos::prelude::*;
use std::collections::BTreeMap;

const REFRESH_MS: u32 = 10_000;
/// The time of the last good scrape of each target within a day, in seconds.
const CONTACT_QUERY: &str = "max_over_time(timestamp(up == 1)[1d:1m])";
const SNIPPET: &str = "scrape_configs:
  - job_name: federate
    metrics_path: /federate
    honor_labels: true          # keep the leaf's own job and instance
    params:
      'match[]':
        - '{job=\"node\"}'
        - '{__name__=~\"job:.*\"}'
    static_configs:
      - targets: ['leaf-paris:9090']
        labels:
          leaf: paris";

/// One server that we scrape at `/federate`.
#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    target: ActiveTarget,
    samples: Option<f64>,
    /// When it last answered, Unix milliseconds; `None` if not within a day.
    contact_ms: Option<i64>,
}

/// The part of a URL between scheme and query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
}

/// The selectors in the `match[]` parameters of a scrape URL.
fn selectors(url: &str) -> Vec<String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        js_sys::decode_uri_component(&text).map(String::from).unwrap_or(text)
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| decode(key) == "match[]").map(|(_, value)| decode(value)).collect()
}

async fn load() -> client::Answer<Vec<Leaf>> {
    let targets = client::prometheus::targets().await?;
    let leaves: Vec<ActiveTarget> = targets
        .active_targets
        .into_iter()
        .filter(|target| path_of(&target.scrape_url).ends_with("/federate"))
        .collect();
    if leaves.is_empty() {
        return Ok(Vec::new());
    }
    let samples = client::operations::vector("scrape_samples_scraped", now_ms()).await.unwrap_or_default();
    let key = |labels: &BTreeMap<String, String>| (labels.get("job").cloned(), labels.get("instance").cloned());
    let samples: BTreeMap<_, _> =
        samples.iter().filter_map(|sample| Some((key(&sample.metric), sample.value?.value))).collect();
    // A target that is down says when it was last tried; when it last answered only its own series know.
    let contacts = match leaves.iter().all(|target| target.health == "up") {
        true => Vec::new(),
        false => client::operations::vector(CONTACT_QUERY, now_ms()).await.unwrap_or_default(),
    };
    let contacts: BTreeMap<_, _> = contacts
        .iter()
        .filter_map(|sample| Some((key(&sample.metric), (sample.value?.value * 1000.0) as i64)))
        .collect();
    let leaf = |target: ActiveTarget| Leaf {
        samples: samples.get(&key(&target.labels)).copied(),
        contact_ms: match target.health.as_str() {
            "up" => parse_rfc3339_ms(&target.last_scrape),
            _ => contacts.get(&key(&target.labels)).copied(),
        },
        target,
    };
    let mut leaves: Vec<Leaf> = leaves.into_iter().map(leaf).collect();
    leaves.order_by_key(|leaf| (leaf.target.health == "up", leaf.target.scrape_url.clone()));
    Ok(leaves)
}

/// Leaves as a table.
#[component]
pub fn Federation() -> impl IntoView {
    let leaves = use_polled(REFRESH_MS, load);
    let has_any = memo(move || leaves.data.with(|leaves| leaves.as_ref().is_some_and(|leaves| !leaves.is_empty())));
    let up =
        move || leaves.data.with(|leaves| leaves.iter().flatten().filter(|leaf| leaf.target.health == "up").count());
    let all = move || leaves.data.with(|leaves| leaves.iter().flatten().count());
    let samples =
        move || leaves.data.with(|leaves| leaves.iter().flatten().filter_map(|leaf| leaf.samples).sum::<f64>());
    let slowest = move || {
        leaves
            .data
            .with(|leaves| leaves.iter().flatten().map(|leaf| leaf.target.last_scrape_duration).fold(0.0_f64, f64::max))
    };
    let rows = move || leaves.data.get().unwrap_or_default().into_iter().map(row).collect_view();
    view! {
        <Page title="Federation">
            <Await of=leaves fault="The leaves could not be read">
                <Show
                    when=move || has_any.get()
                    fallback=|| {
                        view! {
                            <EmptyState
                                glyph=Glyph::NoData
                                title="This server takes over no other server's series"
                                text="A leaf is another server with /federate, Prometheus or Vigie. Add a job like this to the configuration and reload it:"
                            >
                                <div class="ops-snippet"><pre class="ops-code" tabindex="0" data-t="snippet">{SNIPPET}</pre></div>
                            </EmptyState>
                        }
                    }
                >
                    <div class="ops-counts" data-t="federation-counts">
                        <div class="card">
                            <span class="k">"Leaves"</span>
                            <span class="v num">{all}</span>
                            <span class="s">{live(move || format!("{} up", up()))}</span>
                        </div>
                        <div class="card">
                            <span class="k">"Not answering"</span>
                            <span class="v num" class:crit=move || up() < all()>{live(move || all() - up())}</span>
                            <span class="s">{live(move || if up() < all() { "their series are missing here" } else { "every leaf answers" })}</span>
                        </div>
                        <div class="card">
                            <span class="k">"Samples a scrape"</span>
                            <span class="v num">{live(move || format!("{:.0}", samples()))}</span>
                            <span class="s">"of all leaves"</span>
                        </div>
                        <div class="card">
                            <span class="k">"Slowest"</span>
                            <span class="v num">{live(move || format_seconds(slowest()))}</span>
                            <span class="s">"last scrape"</span>
                        </div>
                    </div>
                    <ul class="card">{rows}</ul>
                </Show>
            </Await>
        </Page>
    }
}

fn row(leaf: Leaf) -> impl IntoView {
    let Leaf { target, samples, contact_ms } = leaf;
    let up = target.health == "up";
    let (glyph, word) = match target.health.as_str() {
        "up" => (Glyph::Ok, "up"),
        "down" => (Glyph::Critical, "down"),
        _ => (Glyph::NoData, "not scraped yet"),
    };
    let instance = target.labels.get("instance").cloned().unwrap_or_else(|| target.scrape_url.clone());
    let name = target.labels.get("leaf").or(target.labels.get("cluster")).cloned();
    let (title, beside) = match name {
        Some(name) => (name, instance.clone()),
        None => (instance.clone(), String::new()),
    };
    let chosen = selectors(&target.scrape_url);
    let query = format!(
        "/explore{}",
        crate::pages::parts::address::query_text(&[(
            "expr".to_owned(),
            format!(
                "scrape_samples_scraped{{job={:?},instance={:?}}}",
                target.labels.get("job").cloned().unwrap_or_default(),
                instance
            ),
        )])
    );
    view! {
        <li class="fd" data-t="leaf" data-instance=instance.clone()>
            {glyph.view()}
            <div class="fd-main">
                <p><b>{title}</b> " " <span class="dim small">{beside}</span></p>
                <LabelList labels=target.labels.clone() hide=&["instance"] />
                {(!chosen.is_empty()).then(|| view! { <p class="small mut">"Takes " <code class="mono">{chosen.join("  ")}</code></p> })}
                {(!target.last_error.is_empty()).then(|| view! { <p class="tg-error mono small" data-t="last-error">{target.last_error.clone()}</p> })}
            </div>
            <dl class="fd-figures num">
                <div><dt>"State"</dt><dd class:crit=!up>{word}</dd></div>
                <div><dt>"Last contact"</dt><dd>{match contact_ms { Some(_) => view! { <Age at_ms=contact_ms /> }.into_any(), None => "over a day ago".into_any() }}</dd></div>
                <div><dt>"Duration"</dt><dd>{format_seconds(target.last_scrape_duration)}</dd></div>
                <div><dt>"Samples"</dt><dd>{samples.map_or("–".to_owned(), |samples| format!("{samples:.0}"))}</dd></div>
            </dl>
            <a class="btn sq" href=query aria-label="Explore the samples of this leaf">{Icon::Graph.view()}</a>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (url, path) in [
            ("http://h:9090/federate?match[]=x", "/federate"),
            ("https://h/p/federate", "/p/federate"),
            ("http://h:1", ""),
            ("http://h/metrics?x=/federate", "/metrics"),
        ] {
            assert_eq!(path_of(url), path);
        }
    }
}
