//! The queries that run or wait for their turn, and an end to each.

use crate::memo::{Show, live, memo};
use crate::{
    client::{queries, use_polled},
    controls::notice::use_notices,
    pages::parts::{Await, promql::PromqlText, time_text::format_seconds},
};
use leptos::{prelude::*, task::spawn_local};

/// Most queries are over sooner than one could read them: what is seen here takes long.
const REFRESH_MS: u32 = 3_000;
/// Rows shown; the longest under way come first.
const ROWS_MAX: usize = 50;

#[component]
pub fn UnderWay() -> impl IntoView {
    let list = use_polled(REFRESH_MS, queries::under_way);
    let notices = use_notices();
    let count = memo(move || list.data.with(|list| list.as_ref().map_or(0, Vec::len)));
    let any = memo(move || count.get() > 0);
    let end = move |id: u64| {
        spawn_local(async move {
            match queries::end(id).await {
                Ok(()) => notices.done("The query was ended"),
                Err(error) => notices.failed(error.to_string()),
            }
            list.reload();
        });
    };
    let rows = move || {
        let found = list.data.get()?;
        let row = |query: queries::UnderWay| {
            let id = query.id;
            let client = match query.user.as_str() {
                "" => query.client_address,
                user => format!("{user}, {}", query.client_address),
            };
            view! {
                <tr data-t="query-under-way">
                    <td class="st-query"><PromqlText expr=query.query.clone() /></td>
                    <td>{query.state.clone()}</td>
                    <td class="n num">{format_seconds(query.seconds)}</td>
                    <td class="n num">{dashboard::units::format_text(query.samples_read as f64, "locale", None)}</td>
                    <td class="dim">{client}</td>
                    <td class="n">
                        <button class="btn out" aria-label=format!("End the query {}", query.query) data-t="end-query" on:click=move |_| end(id)>
                            "End"
                        </button>
                    </td>
                </tr>
            }
        };
        Some(found.into_iter().take(ROWS_MAX).map(row).collect_view())
    };
    view! {
        <section class="card st-card st-wide" data-t="under-way">
            <h2 class="sec">"Queries under way"</h2>
            <Await of=list fault="The queries under way could not be read">
                <Show
                    when=move || any.get()
                    fallback=|| view! { <p class="dim small" data-t="no-queries">"No query runs or waits at this moment."</p> }
                >
                    <div class="st-scroll" tabindex="0" role="region" aria-label="Queries under way">
                        <table class="tb st-queries">
                            <thead>
                                <tr>
                                    <th scope="col">"Query"</th>
                                    <th scope="col">"State"</th>
                                    <th scope="col" class="n">"Since"</th>
                                    <th scope="col" class="n">"Samples read"</th>
                                    <th scope="col">"Client"</th>
                                    <th scope="col"><span class="sr">"End"</span></th>
                                </tr>
                            </thead>
                            <tbody>{rows}</tbody>
                        </table>
                    </div>
                    <p class="hint">
                        {live(move || {
                            let more = count.get().saturating_sub(ROWS_MAX);
                            (more > 0).then(|| format!("and {more} more"))
                        })}
                    </p>
                </Show>
            </Await>
        </section>
    }
}
