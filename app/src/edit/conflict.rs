//! Somebody else saved meanwhile: both changes side by side, and four ways on, none of which loses work.

use super::{comparison::Comparison, difference::merge, draft::version_of, kept};
use crate::memo::memo;
use crate::{
    board::Board,
    client,
    controls::{icon::Glyph, notice::use_notices},
    pages::parts::{Age, time_text::parse_rfc3339_ms},
};
use api::dashboards::{DashboardProblem, SaveDashboard};
use leptos::{prelude::*, task::spawn_local};
use serde_json::Value;
use std::sync::Arc;

/// What was refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub problem: DashboardProblem,
    pub mine: SaveDashboard,
}

/// The state that both began from, and theirs.
#[derive(Clone, PartialEq)]
struct Sides {
    base: Value,
    theirs: Value,
}

/// Shown above the form. `resolved` is called once the draft can be saved as any other.
#[component]
pub fn ConflictView(
    board: Board,
    conflict: Conflict,
    again: Callback<()>,
    on_overwrite: Callback<()>,
    resolved: Callback<()>,
) -> impl IntoView {
    let problem = conflict.problem.clone();
    let edited = version_of(&conflict.mine.dashboard);
    let mine = StoredValue::new(conflict.mine);
    let notices = use_notices();
    let uid = StoredValue::new(board.dashboard.with_untracked(|dashboard| dashboard.uid.clone()));
    let sides = LocalResource::new(move || {
        let uid = uid.get_value();
        async move {
            let theirs = client::dashboards::dashboard(&uid).await.ok()?.dashboard;
            // A draft of an earlier visit began with a version that is no longer the loaded one.
            let base = client::dashboards::version(&uid, edited).await.ok().and_then(|version| version.data);
            Some(Sides { base: base.unwrap_or_else(|| Value::clone(&board.stored.get_untracked())), theirs })
        }
    });
    let merged = memo(move || {
        let Sides { base, theirs } = sides.get()??;
        let (mut merged, collisions) = mine.with_value(|mine| merge(&base, &mine.dashboard, &theirs));
        if let (Value::Object(map), Some(version)) = (&mut merged, theirs.get("version")) {
            map.insert("version".to_owned(), version.clone());
        }
        Some((merged, collisions, theirs))
    });
    let who = if problem.stored_by.is_empty() { "Somebody".to_owned() } else { problem.stored_by.clone() };
    let version = problem.stored_version.map(|version| format!(" as version {version}")).unwrap_or_default();
    let keep_and_load = move |_| {
        mine.with_value(|mine| uid.with_value(|uid| kept::write(uid, edited, &mine.dashboard)));
        board.saving.set(false);
        notices.done("Theirs is loaded. Yours is kept as a draft.");
        again.run(());
    };
    let take_merged = move |_| {
        let Some((merged, _, theirs)) = merged.get_untracked() else { return };
        board.stored.set(Arc::new(theirs));
        board.edit("Merge with the stored version", false, move |json| *json = merged);
        resolved.run(());
    };
    let save_copy = move |_| {
        let mut copy = mine.get_value();
        if let Value::Object(map) = &mut copy.dashboard {
            let title = map.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
            map.insert("title".to_owned(), format!("{title} (copy)").into());
            map.insert("uid".to_owned(), "".into());
            map.insert("version".to_owned(), 0.into());
            map.shift_remove("id");
        }
        copy.overwrite = false;
        spawn_local(async move {
            match client::dashboards::save_dashboard(&copy).await {
                Ok(saved) => {
                    board.history.update(dashboard::history::History::mark_saved);
                    uid.try_with_value(|uid| kept::forget(uid));
                    notices.done("Saved as a copy.");
                    board.url.go(&saved.url);
                }
                Err(error) => notices.failed(format!("The copy was not saved: {error}")),
            }
        });
    };
    let merge_word = move || match merged.with(|merged| merged.as_ref().map(|(_, collisions, _)| *collisions)) {
        Some(0) | None => "Merge both".to_owned(),
        Some(1) => "Merge both, mine in 1 clash".to_owned(),
        Some(count) => format!("Merge both, mine in {count} clashes"),
    };
    let columns = move || match sides.get() {
        None => view! { <p class="hint">"Reading their version…"</p> }.into_any(),
        Some(None) => view! { <p class="hint">"Their version could not be read now."</p> }.into_any(),
        Some(Some(Sides { base, theirs })) => {
            let mine = mine.with_value(|mine| mine.dashboard.clone());
            view! {
                <div class="two-diffs">
                    <section data-t="their-changes">
                        <h3 class="sec">"Their changes"</h3>
                        <Comparison before=base.clone() after=theirs closed=true />
                    </section>
                    <section data-t="my-changes">
                        <h3 class="sec">"Your changes"</h3>
                        <Comparison before=base after=mine closed=true />
                    </section>
                </div>
            }
            .into_any()
        }
    };
    view! {
        <section class="conflict" role="alert" data-t="conflict">
            <p class="conflict-head">
                {Glyph::Warning.view()}
                <span>
                    <b>{who}</b>{format!(" saved this dashboard{version} ")}<Age at_ms=parse_rfc3339_ms(&problem.stored_at) />
                    {format!(", while you edited version {edited}. Nothing is lost: choose how to go on.")}
                </span>
            </p>
            {columns}
            <div class="conflict-ways">
                <button type="button" class="btn pri" data-t="conflict-merge" disabled=move || merged.with(Option::is_none) on:click=take_merged>{merge_word}</button>
                <button type="button" class="btn out" data-t="conflict-load" on:click=keep_and_load>"Load theirs, keep mine as draft"</button>
                <button type="button" class="btn out" data-t="conflict-copy" on:click=save_copy>"Save mine as a copy"</button>
                <button type="button" class="btn danger" data-t="conflict-overwrite" on:click=move |_| on_overwrite.run(())>"Overwrite theirs"</button>
            </div>
        </section>
    }
}
