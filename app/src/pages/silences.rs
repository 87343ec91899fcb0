//! `/alerts/silences`: what is silent, by whom, why and until when; and the form behind it.

use crate::memo::{Show, live, memo};
use crate::{
    client::{self, use_polled},
    controls::{
        icon::{Glyph, Icon},
        page::Page,
    },
    pages::{
        alerts::{
            AlertTabs, Filters,
            filter::{format_matchers, from_silence},
            silence_form::{SilenceDraft, SilenceForm as Form},
        },
        parts::{Address, Age, Await, EmptyState, History, address::query_text, time_text::parse_rfc3339_ms},
    },
};
use api::alerts::{GettableAlert, GettableSilence};
use dashboard::sorting::Order;
use leptos::{prelude::*, task::spawn_local};
use std::cmp::Reverse;

const REFRESH_MS: u32 = 10_000;
/// Alertmanager keeps expired silences for days; more than this nobody scrolls through.
const EXPIRED_MAX: usize = 200;
const STATES: [(&str, &str); 3] = [("active", "Active"), ("pending", "Pending"), ("expired", "Expired")];

/// Silences of one state; the address says which (`state`) and which matchers they have (`filter`).
#[component]
pub fn Silences() -> impl IntoView {
    let address = Address::here();
    let silences = use_polled(REFRESH_MS, move || {
        let filters: Vec<String> = Filters::read(address).matchers.iter().map(|matcher| matcher.to_string()).collect();
        async move { client::alertmanager::silences(&filters).await }
    });
    let state = memo(move || {
        let asked = address.get("state");
        STATES.iter().map(|(state, _)| *state).find(|state| *state == asked).unwrap_or("active")
    });
    let count = move |state: &str| {
        silences.data.with(|silences| silences.iter().flatten().filter(|silence| silence.status.state == state).count())
    };
    let shown = move || {
        let mut shown: Vec<GettableSilence> =
            silences.data.get().unwrap_or_default().into_iter().filter(|s| s.status.state == state.get()).collect();
        // What ends next comes first; of those that ended, what ended last.
        shown.order_by_key(|silence| parse_rfc3339_ms(&silence.ends_at));
        if state.get() == "expired" {
            shown.order_by_key(|silence| Reverse(parse_rfc3339_ms(&silence.ends_at)));
            shown.truncate(EXPIRED_MAX);
        }
        shown
    };
    let choose = move |(name, word): (&'static str, &'static str)| {
        view! {
            <button
                class="chip"
                aria-pressed=move || (state.get() == name).to_string()
                data-t=format!("state-{name}")
                on:click=move |_| address.set("state", [name], History::Push)
            >
                {word}
                <span class="dim num">{live(move || count(name))}</span>
            </button>
        }
    };
    let changed = Callback::new(move |()| silences.reload());
    let actions = move || view! { <NewSilenceLink /> };
    view! {
        <Page title="Silences" actions=actions>
            <AlertTabs />
            <div class="chips ops-bar" role="group" aria-label="State">{STATES.map(choose).collect_view()}</div>
            <Await of=silences fault="The silences could not be read">
                <ul class="card sil-list">
                    <For
                        each=shown
                        key=|silence| (silence.id.clone(), silence.updated_at.clone(), silence.status.state.clone())
                        children=move |silence| view! { <SilenceRow silence=silence changed=changed /> }
                    />
                </ul>
                <Show when=move || count(state.get()) == 0>
                    <EmptyState
                        glyph=Glyph::Silenced
                        title=Signal::derive(move || format!("No {} silences", state.get()))
                        text="A silence keeps matching alerts from being sent while somebody works on the cause."
                    >
                        <a class="btn out" href="/alerts/silences/new">"New silence"</a>
                    </EmptyState>
                </Show>
            </Await>
        </Page>
    }
}

#[component]
fn NewSilenceLink() -> impl IntoView {
    view! {
        <a class="btn out" href="/alerts/silences/new" data-t="new-silence">
            {Icon::Plus.view()}
            "New silence"
        </a>
    }
}

/// The address of the form filled with another silence.
fn recreate_link(silence: &GettableSilence) -> String {
    let params = [
        ("filter".to_owned(), format_matchers(&from_silence(&silence.matchers))),
        ("comment".to_owned(), silence.comment.clone()),
    ];
    format!("/alerts/silences/new{}", query_text(&params))
}

#[component]
fn SilenceRow(silence: GettableSilence, changed: Callback<()>) -> impl IntoView {
    let expired = silence.status.state == "expired";
    let pending = silence.status.state == "pending";
    let href = format!("/alerts/silences/{}", silence.id);
    let again = recreate_link(&silence);
    let (starts_ms, ends_ms) = (parse_rfc3339_ms(&silence.starts_at), parse_rfc3339_ms(&silence.ends_at));
    let glyph = match () {
        () if expired => Glyph::NoData,
        () if pending => Glyph::Pending,
        () => Glyph::Silenced,
    };
    view! {
        <li class="sil-row" data-t="silence-row" data-id=silence.id.clone()>
            {glyph.view()}
            <div class="sil-main">
                <a class="sil-name" href=href.clone()>
                    <span class="sr">{format!("{} silence: ", silence.status.state)}</span>
                    <MatcherList silence=silence.clone() />
                </a>
                <p class="mut">{silence.comment.clone()}</p>
                <p class="dim small">"by " {silence.created_by.clone()}</p>
            </div>
            <div class="sil-when small">
                {if pending {
                    view! { "starts " <Age at_ms=starts_ms /> }.into_any()
                } else {
                    view! { {if expired { "ended " } else { "ends " }} <Age at_ms=ends_ms /> }.into_any()
                }}
            </div>
            <div class="sil-acts">
                {if expired {
                    view! {
                        <a class="btn out" href=again data-t="recreate">{Icon::Refresh.view()} "Recreate"</a>
                    }
                        .into_any()
                } else {
                    view! {
                        <a class="btn" href=format!("{href}?edit") data-t="edit">{Icon::Edit.view()} "Edit"</a>
                        <Expire id=silence.id.clone() changed=changed />
                    }
                        .into_any()
                }}
            </div>
        </li>
    }
}

/// The matchers as labels with their operators.
#[component]
fn MatcherList(silence: GettableSilence) -> impl IntoView {
    let matchers = from_silence(&silence.matchers).into_iter().map(|matcher| {
        view! {
            <span class="lb">
                <i>{matcher.name} " " {matcher.op.as_str()}</i>
                <b>{matcher.value}</b>
            </span>
        }
    });
    view! { <span class="labels">{matchers.collect_view()}</span> }
}

/// Ends a silence, after asking once more.
#[component]
fn Expire(id: String, changed: Callback<()>) -> impl IntoView {
    let asking = RwSignal::new(false);
    let fault = RwSignal::new(None::<String>);
    let id = StoredValue::new(id);
    let expire = move |_| {
        spawn_local(async move {
            let said = client::alertmanager::expire_silence(&id.get_value()).await;
            asking.try_set(false);
            match said {
                Ok(()) => changed.try_run(()).unwrap_or(()),
                Err(error) => {
                    fault.try_set(Some(error.to_string()));
                }
            }
        });
    };
    view! {
        <Show
            when=move || asking.get()
            fallback=move || {
                view! {
                    <button class="btn danger" data-t="expire" on:click=move |_| asking.set(true)>
                        {Icon::Trash.view()}
                        "Expire"
                    </button>
                }
            }
        >
            <span class="sil-ask" role="group" aria-label="End this silence now?">
                <span class="small">"End it now?"</span>
                <button class="btn pri" data-t="expire-yes" autofocus=true on:click=expire>"Expire"</button>
                <button class="btn" data-t="expire-no" on:click=move |_| asking.set(false)>"Keep"</button>
            </span>
        </Show>
        {live(move || fault.get().map(|fault| view! { <p class="hint bad" role="alert">{fault}</p> }))}
    }
}

/// `/alerts/silences/new` and `/alerts/silences/<id>`: the form, or one silence with what it keeps silent.
#[component]
pub fn SilenceForm() -> impl IntoView {
    let id = crate::routes::use_param("id");
    move || match id.get() {
        None => view! { <NewSilence /> }.into_any(),
        Some(id) => view! { <OneSilence id=id /> }.into_any(),
    }
}

#[component]
fn NewSilence() -> impl IntoView {
    let address = Address::here();
    let draft = untrack(|| SilenceDraft {
        matchers: Filters::read(address).matchers,
        comment: address.get("comment"),
        ..SilenceDraft::default()
    });
    view! {
        <Page title="New silence">
            <AlertTabs />
            <div class="card sil-page">
                <Form draft=draft done=Callback::new(move |id: String| address.go(format!("/alerts/silences/{id}"))) />
            </div>
        </Page>
    }
}

#[component]
fn OneSilence(id: String) -> impl IntoView {
    let address = Address::here();
    let asked = id.clone();
    let silence = use_polled(REFRESH_MS, move || {
        let id = asked.clone();
        async move { client::alertmanager::silence(&id).await }
    });
    let alerts = use_polled(REFRESH_MS, || client::alertmanager::alerts(&[]));
    let editing = memo(move || address.flag("edit"));
    // Only what the form starts with: a refresh must not throw away what somebody types.
    let shown = memo(move || silence.data.get());
    let missing = memo(move || {
        silence.error.with(|error| {
            error.as_ref().is_some_and(|error| error.status() == Some(404) || error.status() == Some(422))
        })
    });
    let silenced = {
        let id = id.clone();
        memo(move || {
            let alerts = alerts.data.get().unwrap_or_default();
            alerts.into_iter().filter(|alert| alert.status.silenced_by.contains(&id)).collect::<Vec<GettableAlert>>()
        })
    };
    let changed = Callback::new(move |()| silence.reload());
    view! {
        <Page title="Silence" before=|| view! { <a href="/alerts/silences">"Silences"</a> <span class="sep">"/"</span> }>
            <AlertTabs />
            <Show
                when=move || !missing.get()
                fallback=|| {
                    view! {
                        <EmptyState
                            glyph=Glyph::NoData
                            title="There is no such silence"
                            text="It may have been removed some time after it ended."
                        >
                            <a class="btn out" href="/alerts/silences">"All silences"</a>
                        </EmptyState>
                    }
                }
            >
                <Await of=silence fault="The silence could not be read">
                    {live(move || {
                        let silence = shown.get()?;
                        let draft = SilenceDraft {
                            id: Some(silence.id.clone()).filter(|_| silence.status.state != "expired"),
                            matchers: from_silence(&silence.matchers),
                            comment: silence.comment.clone(),
                            created_by: silence.created_by.clone(),
                            starts_ms: parse_rfc3339_ms(&silence.starts_at),
                            ends_ms: parse_rfc3339_ms(&silence.ends_at),
                        };
                        // The server may have changed it in place: then the address stays, and the silence is read again.
                        let done = Callback::new(move |id: String| {
                            changed.run(());
                            address.go(format!("/alerts/silences/{id}"));
                        });
                        Some(
                            if editing.get() {
                                view! { <div class="card sil-page"><Form draft=draft done=done /></div> }.into_any()
                            } else {
                                view! { <ul class="card sil-list"><SilenceRow silence=silence changed=changed /></ul> }
                                    .into_any()
                            },
                        )
                    })}
                    <h2 class="sec ops-gap">
                        {live(move || match silenced.with(Vec::len) {
                            0 => "It keeps no alert silent now".to_owned(),
                            1 => "It keeps 1 alert silent".to_owned(),
                            count => format!("It keeps {count} alerts silent"),
                        })}
                    </h2>
                    <ul class="card" hidden=move || silenced.with(Vec::is_empty)>
                        {live(move || {
                            let row = |alert: GettableAlert| {
                                let href = format!("/alerts?silenced=true&alert={}", alert.fingerprint);
                                let name = crate::pages::alerts::grouping::alert_name(&alert);
                                let text = crate::pages::alerts::grouping::summary(&alert);
                                view! {
                                    <li>
                                        <a class="li" href=href>
                                            {Glyph::Silenced.view()}
                                            <b class="nm">{name}</b>
                                            <span class="nm mut">{text}</span>
                                        </a>
                                    </li>
                                }
                            };
                            silenced.get().into_iter().map(row).collect_view()
                        })}
                    </ul>
                </Await>
            </Show>
        </Page>
    }
}
