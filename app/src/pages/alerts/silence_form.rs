//! The form that makes or changes a silence: what it matches, for how long, why and by whom.

use super::filter::{format_matchers, parse_matchers, to_silence};
use crate::memo::{live, memo};
use crate::{
    client,
    controls::icon::Icon,
    pages::parts::time_text::{format_rfc3339, format_span, now_ms},
};
use api::alerts::PostableSilence;
use leptos::{html, prelude::*, task::spawn_local};
use model::matcher::Matcher;
use std::time::Duration;

/// Spans to choose from.
const PRESETS: [(&str, i64); 5] = [
    ("30 min", 30 * 60_000),
    ("2 h", 2 * 3_600_000),
    ("8 h", 8 * 3_600_000),
    ("1 day", 86_400_000),
    ("1 week", 604_800_000),
];
const PRESET_DEFAULT: i64 = 2 * 3_600_000;
/// The matching alerts are counted when typing pauses this long.
const COUNT_AFTER: Duration = Duration::from_millis(250);
/// Under this key the browser keeps the author's name.
const AUTHOR_KEY: &str = "vigie.author";

/// What the form starts with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SilenceDraft {
    /// The silence to change; `None` makes a new one.
    pub id: Option<String>,
    pub matchers: Vec<Matcher>,
    pub comment: String,
    pub created_by: String,
    /// Unix milliseconds; `None` starts at once.
    pub starts_ms: Option<i64>,
    /// Unix milliseconds; `None` lasts for the usual span.
    pub ends_ms: Option<i64>,
}

/// When the silence ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Until {
    Span(i64),
    Custom,
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The text of a `datetime-local` field for a moment, in the browser's zone.
fn to_local_field(time_ms: i64) -> String {
    let offset_ms = js_sys::Date::new(&(time_ms as f64).into()).get_timezone_offset() as i64 * 60_000;
    format_rfc3339(time_ms - offset_ms).chars().take(16).collect()
}

/// The moment that a `datetime-local` field shows.
fn from_local_field(text: &str) -> Option<i64> {
    let time = js_sys::Date::parse(text);
    time.is_finite().then_some(time as i64)
}

/// How many alerts the matchers match, as the server counts.
#[derive(Clone, Debug, PartialEq)]
enum Matching {
    Asking,
    Count(usize),
    Wrong(String),
}

#[component]
pub fn SilenceForm(
    draft: SilenceDraft,
    /// Gets the id once the silence is stored.
    done: Callback<String>,
) -> impl IntoView {
    let changes = draft.id.is_some();
    let text = RwSignal::new(format_matchers(&draft.matchers));
    let until = RwSignal::new(if draft.ends_ms.is_some() { Until::Custom } else { Until::Span(PRESET_DEFAULT) });
    let starts = RwSignal::new(draft.starts_ms.map(to_local_field).unwrap_or_default());
    let ends = RwSignal::new(to_local_field(draft.ends_ms.unwrap_or_else(|| now_ms() + PRESET_DEFAULT)));
    let comment = RwSignal::new(draft.comment.clone());
    let remembered = storage().and_then(|storage| storage.get_item(AUTHOR_KEY).ok().flatten()).unwrap_or_default();
    let author = RwSignal::new(if draft.created_by.is_empty() { remembered } else { draft.created_by.clone() });
    // Faults are shown once somebody tried to send, not while they still type.
    let tried = RwSignal::new(false);
    let sending = RwSignal::new(false);
    let answer = RwSignal::new(None::<Result<String, String>>);
    let matchers = memo(move || {
        let matchers = parse_matchers(&text.get())?;
        match matchers.iter().any(|matcher| !matcher.value.is_empty()) {
            true => Ok(matchers),
            false => Err("give at least one matcher with a value, as alertname=\"Name\"".to_owned()),
        }
    });
    let matching = RwSignal::new(Matching::Asking);
    let turn = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let asked = matchers.get();
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        matching.set(Matching::Asking);
        let asked = match asked {
            Ok(matchers) => matchers,
            Err(error) => return matching.set(Matching::Wrong(error)),
        };
        set_timeout(
            move || {
                if turn.try_get_value() != Some(mine) {
                    return;
                }
                spawn_local(async move {
                    let filters: Vec<String> = asked.iter().map(Matcher::to_string).collect();
                    let said = match client::alertmanager::alerts(&filters).await {
                        Ok(alerts) => Matching::Count(alerts.len()),
                        Err(error) => Matching::Wrong(error.to_string()),
                    };
                    if turn.try_get_value() == Some(mine) {
                        matching.try_set(said);
                    }
                });
            },
            COUNT_AFTER,
        );
    });
    let starts_before = draft.starts_ms;
    let period = move || -> Result<(i64, i64), String> {
        let now_ms = now_ms();
        match until.get() {
            Until::Span(span_ms) => Ok((now_ms, now_ms + span_ms)),
            Until::Custom => {
                // The field knows minutes only. A start nobody touched stays exact, or the server would take the
                // change of a silence for a new one.
                let starts_ms = match starts_before.filter(|before| to_local_field(*before) == starts.get()) {
                    Some(before) => before,
                    None => from_local_field(&starts.get()).unwrap_or(now_ms),
                };
                let ends_ms = from_local_field(&ends.get()).ok_or("say when it ends")?;
                match () {
                    () if ends_ms <= starts_ms => Err("the end must come after the start".to_owned()),
                    () if ends_ms <= now_ms => Err("the end must lie in the future".to_owned()),
                    () => Ok((starts_ms, ends_ms)),
                }
            }
        }
    };
    let (matchers_field, comment_field, author_field) =
        (NodeRef::<html::Textarea>::new(), NodeRef::<html::Input>::new(), NodeRef::<html::Input>::new());
    let missing_comment = move || tried.get() && comment.with(|text| text.trim().is_empty());
    let missing_author = move || tried.get() && author.with(|text| text.trim().is_empty());
    let period_fault = move || period().err();
    let id = StoredValue::new(draft.id.clone());
    let send = move || {
        tried.set(true);
        let focus = |field: Option<&web_sys::HtmlElement>| {
            if let Some(field) = field {
                let _ = field.focus();
            }
        };
        let (Ok(matchers), Ok((starts_ms, ends_ms))) = (untrack(|| matchers.get()), untrack(period)) else {
            return focus(matchers_field.get_untracked().as_deref().map(AsRef::as_ref));
        };
        if comment.with_untracked(|text| text.trim().is_empty()) {
            return focus(comment_field.get_untracked().as_deref().map(AsRef::as_ref));
        }
        if author.with_untracked(|text| text.trim().is_empty()) {
            return focus(author_field.get_untracked().as_deref().map(AsRef::as_ref));
        }
        let created_by = author.get_untracked().trim().to_owned();
        if let Some(storage) = storage() {
            // A browser that keeps nothing is asked again next time.
            let _ = storage.set_item(AUTHOR_KEY, &created_by);
        }
        let silence = PostableSilence {
            id: id.get_value(),
            comment: comment.get_untracked().trim().to_owned(),
            created_by,
            starts_at: format_rfc3339(starts_ms),
            ends_at: format_rfc3339(ends_ms),
            matchers: to_silence(&matchers),
            ..PostableSilence::default()
        };
        sending.set(true);
        answer.set(None);
        spawn_local(async move {
            let said = client::alertmanager::create_silence(&silence).await;
            sending.try_set(false);
            match said {
                Ok(id) => {
                    answer.try_set(Some(Ok(id.clone())));
                    done.try_run(id);
                }
                Err(error) => {
                    answer.try_set(Some(Err(error.to_string())));
                }
            }
        });
    };
    let count = move || match matching.get() {
        Matching::Asking => view! { <span class="dim">"Counting…"</span> }.into_any(),
        Matching::Count(1) => view! { "Matches " <b>"1 alert"</b> " now" }.into_any(),
        Matching::Count(count) => view! { "Matches " <b>{format!("{count} alerts")}</b> " now" }.into_any(),
        Matching::Wrong(error) => {
            view! { <span class="hint bad" data-t="silence-matcher-error">{error}</span> }.into_any()
        }
    };
    let preset = move |(word, span_ms): (&'static str, i64)| {
        let on = move || (until.get() == Until::Span(span_ms)).to_string();
        view! {
            <button type="button" aria-pressed=on data-t="silence-preset" on:click=move |_| until.set(Until::Span(span_ms))>
                {word}
            </button>
        }
    };
    let custom = move || {
        (until.get() == Until::Custom).then(|| {
            view! {
                <div class="sil-dates">
                    <label>
                        <span class="dim small">"Starts (now if empty)"</span>
                        <input class="inp" type="datetime-local" prop:value=starts on:input=move |event| starts.set(event_target_value(&event)) />
                    </label>
                    <label>
                        <span class="dim small">"Ends"</span>
                        <input class="inp" type="datetime-local" data-t="silence-ends" prop:value=ends on:input=move |event| ends.set(event_target_value(&event)) />
                    </label>
                </div>
            }
        })
    };
    let verb = move || match (changes, until.get()) {
        (true, _) => "Save the silence".to_owned(),
        (false, Until::Span(span_ms)) => format!("Silence for {}", format_span(span_ms)),
        (false, Until::Custom) => "Silence".to_owned(),
    };
    let said = move || match answer.get()? {
        Ok(id) => {
            let href = format!("/alerts/silences/{id}");
            Some(view! { <p class="sil-said ok" data-t="silence-made">{Icon::Check.view()} "Silenced. " <a href=href>"See the silence"</a></p> }.into_any())
        }
        Err(error) => {
            Some(view! { <p class="hint bad" data-t="silence-error">{format!("Not silenced: {error}")}</p> }.into_any())
        }
    };
    view! {
        <form
            class="sil-form"
            data-t="silence-form"
            novalidate=true
            on:submit=move |event| {
                event.prevent_default();
                send();
            }
        >
            <label class="sil-field">
                <span class="dim small">"Matchers"</span>
                <textarea
                    class="inp mono"
                    rows="2"
                    node_ref=matchers_field
                    spellcheck="false"
                    autocapitalize="off"
                    placeholder="alertname=\"Name\", env=~\"prod|stage\""
                    data-t="silence-matchers"
                    aria-invalid=move || matchers.with(Result::is_err).to_string()
                    prop:value=text
                    on:input=move |event| text.set(event_target_value(&event))
                ></textarea>
            </label>
            <p class="sil-count mut num" role="status" data-t="silence-count">{count}</p>
            <div class="sgm" role="group" aria-label="For how long" data-t="silence-presets">
                {PRESETS.map(preset).collect_view()}
                <button
                    type="button"
                    aria-pressed=move || (until.get() == Until::Custom).to_string()
                    data-t="silence-custom"
                    on:click=move |_| until.set(Until::Custom)
                >
                    "Custom"
                </button>
            </div>
            {custom}
            {live(move || period_fault().map(|fault| view! { <p class="hint bad" role="alert">{fault}</p> }))}
            <label class="sil-field">
                <span class="dim small">"Why"</span>
                <input
                    class="inp"
                    type="text"
                    node_ref=comment_field
                    placeholder="A reason is needed"
                    data-t="silence-comment"
                    aria-required="true"
                    aria-invalid=move || missing_comment().to_string()
                    prop:value=comment
                    on:input=move |event| comment.set(event_target_value(&event))
                />
            </label>
            {live(move || missing_comment().then(|| view! { <p class="hint bad" role="alert">"Say why, for those who find it silent"</p> }))}
            <label class="sil-field">
                <span class="dim small">"Who"</span>
                <input
                    class="inp"
                    type="text"
                    node_ref=author_field
                    placeholder="Your name"
                    autocomplete="name"
                    data-t="silence-author"
                    aria-required="true"
                    aria-invalid=move || missing_author().to_string()
                    prop:value=author
                    on:input=move |event| author.set(event_target_value(&event))
                />
            </label>
            {live(move || missing_author().then(|| view! { <p class="hint bad" role="alert">"Say who silences it"</p> }))}
            <div class="sil-send">
                <button class="btn pri" type="submit" data-t="silence-send" prop:disabled=sending>
                    {Icon::BellOff.view()}
                    {verb}
                </button>
                <div role="status">{said}</div>
            </div>
        </form>
    }
}
