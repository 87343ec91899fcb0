//! `/probes`: every endpoint that a blackbox job watches, its last day, and how it does now.

mod table;

use crate::memo::{Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::parts::{
        Address, Await, EmptyState, History,
        address::query_text,
        time_text::{format_seconds, now_ms},
    },
};
use leptos::prelude::*;
use table::{DAY_MS, Probe as Row, State, TICKS, join};

const REFRESH_MS: u32 = 15_000;
/// The job that a first probe needs: relabelling turns the address into the probe's parameter.
const SNIPPET: &str = "scrape_configs:
  - job_name: blackbox
    metrics_path: /probe
    params:
      module: [http_2xx]
    static_configs:
      - targets:
          - https://example.com
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: localhost:9090   # this server answers /probe itself";

async fn load() -> client::Answer<Vec<Row>> {
    let at_ms = now_ms();
    let step_ms = DAY_MS / TICKS as i64;
    let end_ms = at_ms / 60_000 * 60_000;
    let start_ms = end_ms - DAY_MS + step_ms;
    let success = client::operations::vector("probe_success", at_ms).await?;
    if success.is_empty() {
        return Ok(Vec::new());
    }
    let range = format!("{}s", step_ms / 1000);
    // Only the first question must be answered; without the others the table has empty cells.
    let vector = |expr: String| async move { client::operations::vector(&expr, at_ms).await.unwrap_or_default() };
    let matrix = |expr: String| async move {
        client::operations::matrix(&expr, start_ms, end_ms, step_ms).await.unwrap_or_default()
    };
    let duration = vector("probe_duration_seconds".to_owned()).await;
    let expiry = vector("min by (instance, job) (probe_ssl_earliest_cert_expiry)".to_owned()).await;
    let status = vector("probe_http_status_code".to_owned()).await;
    let phases = vector("probe_http_duration_seconds or probe_icmp_duration_seconds".to_owned()).await;
    let uptime = vector("avg_over_time(probe_success[1d])".to_owned()).await;
    let availability = matrix(format!("avg_over_time(probe_success[{range}])")).await;
    let latency = matrix(format!("avg_over_time(probe_duration_seconds[{range}])")).await;
    Ok(join(&success, &duration, &expiry, &status, &phases, &uptime, &availability, &latency, start_ms, step_ms, at_ms))
}

/// Endpoints as a table.
#[component]
pub fn Probes() -> impl IntoView {
    let address = Address::here();
    let probes = use_polled(REFRESH_MS, load);
    let chosen_state = memo(move || address.get("state"));
    let job = memo(move || address.get("job"));
    let search = memo(move || address.get("search").to_lowercase());
    let jobs = memo(move || {
        let rows = probes.data.get().unwrap_or_default();
        rows.into_iter().map(|row| row.job).collect::<std::collections::BTreeSet<_>>()
    });
    let shown = memo(move || {
        let (state, job, search) = (chosen_state.get(), job.get(), search.get());
        let fits = |row: &Row| {
            (state.is_empty() || row.state.word() == state)
                && (job.is_empty() || row.job == job)
                && (search.is_empty() || row.target.to_lowercase().contains(&search))
        };
        probes.data.get().unwrap_or_default().into_iter().filter(fits).collect::<Vec<_>>()
    });
    let count =
        move |state: State| probes.data.with(|rows| rows.iter().flatten().filter(|row| row.state == state).count());
    let first = move |state: State| {
        let name =
            probes.data.with(|rows| rows.iter().flatten().find(|row| row.state == state).map(|row| row.target.clone()));
        name.unwrap_or_else(|| "none".to_owned())
    };
    let uptime = move || {
        probes.data.with(|rows| {
            let found: Vec<f64> = rows.iter().flatten().filter_map(|row| row.uptime).collect();
            (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
        })
    };
    let has_any = memo(move || probes.data.with(|rows| rows.as_ref().is_some_and(|rows| !rows.is_empty())));
    let state_card = move |state: State, word: &'static str| {
        let flip = move |_| {
            let values = if chosen_state.get_untracked() == state.word() { Vec::new() } else { vec![state.word()] };
            address.set("state", values, History::Push);
        };
        let on = move || (chosen_state.get() == state.word()).to_string();
        view! {
            <button class="card pb-count" aria-pressed=on data-t=format!("count-{}", state.word()) on:click=flip>
                <span class="k">{state.glyph().view()} {word}</span>
                <span class="v num">{live(move || count(state))}</span>
                <span class="s">{live(move || if state == State::Up { format!("of {} endpoints", probes.data.with(|rows| rows.iter().flatten().count())) } else { first(state) })}</span>
            </button>
        }
    };
    let job_options = move || {
        let chosen = job.get();
        let option =
            |name: String| view! { <option value=name.clone() selected=name == chosen>{name.clone()}</option> };
        jobs.get().into_iter().map(option).collect_view()
    };
    view! {
        <Page title="Probes">
            <Await of=probes fault="The probes could not be read">
                <Show
                    when=move || has_any.get()
                    fallback=|| {
                        view! {
                            <EmptyState
                                glyph=Glyph::NoData
                                title="No endpoint is probed yet"
                                text="No series is named probe_success. Add a job like this to the configuration, one line a target, and reload it:"
                            >
                                <div class="ops-snippet"><pre class="ops-code" tabindex="0" data-t="snippet">{SNIPPET}</pre></div>
                            </EmptyState>
                        }
                    }
                >
                    <div class="ops-counts" role="group" aria-label="State">
                        {state_card(State::Down, "Down")}
                        {state_card(State::Degraded, "Degraded")}
                        {state_card(State::Up, "Up")}
                        <div class="card" data-t="count-uptime">
                            <span class="k">"Availability, 24 h"</span>
                            <span class="v num">
                                {live(move || uptime().map_or("–".to_owned(), |share| table::percent(share).trim_end_matches('%').to_owned()))}
                                <small>"%"</small>
                            </span>
                            <span class="s">"mean of all endpoints"</span>
                        </div>
                    </div>
                    <div class="chips ops-bar" role="group" aria-label="Filter">
                        <span class="find">
                            {Icon::Search.view()}
                            <input
                                type="search"
                                placeholder="Endpoint"
                                aria-label="Search endpoints"
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
                            aria-label="Job"
                            data-t="job"
                            on:change=move |event| {
                                let job = event_target_value(&event);
                                address.set("job", Some(job).filter(|job| !job.is_empty()), History::Push);
                            }
                        >
                            <option value="">"All jobs"</option>
                            {job_options}
                        </select>
                        <span class="grow"></span>
                        <table::PhaseLegend />
                    </div>
                    <div class="card pb-card">
                        <table class="pm" data-t="probe-table">
                            <thead>
                                <tr>
                                    <th scope="col"><span class="sr">"State"</span></th>
                                    <th scope="col">"Target"</th>
                                    <th scope="col">"Job"</th>
                                    <th scope="col">"Last 24 h, height is latency"</th>
                                    <th scope="col" class="n">"Uptime"</th>
                                    <th scope="col" class="n">"Now"</th>
                                    <th scope="col">"Phases"</th>
                                    <th scope="col" class="n">"Certificate"</th>
                                </tr>
                            </thead>
                            <tbody>
                                <For each=move || shown.get() key=|row| row.clone() children=|row| view! { <ProbeRow row=row /> } />
                            </tbody>
                        </table>
                        <Show when=move || shown.with(Vec::is_empty)>
                            <p class="pb-none mut">"No endpoint matches"</p>
                        </Show>
                    </div>
                </Show>
            </Await>
        </Page>
    }
}

/// The dashboard that shows one endpoint.
fn dashboard_link(target: &str) -> String {
    format!("/d/probe{}", query_text(&[("var-target".to_owned(), target.to_owned())]))
}

#[component]
fn ProbeRow(row: Row) -> impl IntoView {
    let state = row.state;
    let now = match (state, row.duration) {
        (State::Down, _) => view! { <b class="crit">"failed"</b> }.into_any(),
        (_, Some(seconds)) => view! { <b>{format_seconds(seconds)}</b> }.into_any(),
        (_, None) => "–".into_any(),
    };
    let certificate = row.certificate_days.map(|days| {
        let class = if days < 7.0 {
            "crit"
        } else if days < 21.0 {
            "warn"
        } else {
            "mut"
        };
        let text = if days < 0.0 { "expired".to_owned() } else { format!("{days:.0} days") };
        view! { <span class=class>{text}</span> }
    });
    let status = row.status.map(|status| format!("HTTP {status:.0}"));
    view! {
        <tr data-t="probe" data-target=row.target.clone()>
            <td class="pb-state">
                {state.glyph().view()}
                <span class="sr">{state.word()}</span>
            </td>
            <td class="pb-target">
                <a href=dashboard_link(&row.target)>{row.target.clone()}</a>
                <span class="dim small">{row.module.clone().or(status).unwrap_or_default()}</span>
            </td>
            <td class="mut pb-hide">{row.job.clone()}</td>
            <td class="pb-ticks"><table::Ticks row=row.clone() /></td>
            <td class="n pb-hide">{row.uptime.map(table::percent)}</td>
            <td class="n pb-now">{now}</td>
            <td class="pb-hide pb-phases"><table::Phases phases=row.phases.clone() /></td>
            <td class="n pb-hide">{certificate}</td>
        </tr>
    }
}

/// `/probes/<target>` leads to the dashboard of that endpoint.
#[component]
pub fn Probe() -> impl IntoView {
    let id = crate::routes::use_param("id");
    Effect::new(move |_| {
        let link = dashboard_link(&id.get_untracked().unwrap_or_default());
        crate::router::go(&link, crate::router::Go::Replace);
    });
}
