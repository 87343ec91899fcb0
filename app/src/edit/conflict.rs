//! Somebody else saved meanwhile: both changes side by side, and three ways on, none of which loses work silently.

use super::{
    difference::{Line, difference},
    save::Differences,
};
use crate::{board::Board, client, controls::icon::Glyph, panels::export};
use api::dashboards::{DashboardProblem, SaveDashboard};
use leptos::prelude::*;

/// What was refused, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub problem: DashboardProblem,
    pub mine: SaveDashboard,
}

/// Shown above the form.
#[component]
pub fn ConflictView(
    board: Board,
    conflict: Conflict,
    again: Callback<()>,
    on_overwrite: Callback<()>,
) -> impl IntoView {
    let problem = conflict.problem.clone();
    let mine = StoredValue::new(conflict.mine.dashboard);
    let uid = board.dashboard.with_untracked(|dashboard| dashboard.uid.clone());
    let theirs = LocalResource::new(move || {
        let uid = uid.clone();
        async move { client::dashboards::dashboard(&uid).await.ok() }
    });
    let stored = board.stored.get_untracked();
    let my_lines = mine.with_value(|mine| difference(&stored, mine));
    let their_lines = move || -> Option<Vec<Line>> {
        let theirs = theirs.get()??;
        Some(difference(&board.stored.get_untracked(), &theirs.dashboard))
    };
    let who = if problem.stored_by.is_empty() { "Somebody".to_owned() } else { problem.stored_by.clone() };
    let version = problem.stored_version.map(|version| format!(" as version {version}")).unwrap_or_default();
    let keep_and_reload = move |_| {
        let text = mine.with_value(|mine| serde_json::to_string_pretty(mine).unwrap_or_default());
        export::download("my-changes.json", "application/json", &text);
        board.saving.set(false);
        again.run(());
    };
    view! {
        <section class="conflict" role="alert" data-t="conflict">
            <p class="row">
                {Glyph::Warning.view()}
                <b>{format!("{who} saved this dashboard{version} while you edited it.")}</b>
            </p>
            <div class="two-diffs">
                <div>
                    <h3 class="sec">"Theirs"</h3>
                    {move || match their_lines() {
                        Some(lines) => view! { <Differences lines /> }.into_any(),
                        None => view! { <p class="hint">"Reading their version…"</p> }.into_any(),
                    }}
                </div>
                <div>
                    <h3 class="sec">"Yours"</h3>
                    <Differences lines=my_lines />
                </div>
            </div>
            <div class="row">
                <button type="button" class="btn out" data-t="overwrite" on:click=move |_| on_overwrite.run(())>"Overwrite theirs"</button>
                <button type="button" class="btn" data-t="reload-theirs" on:click=keep_and_reload>"Download mine, load theirs"</button>
                <button type="button" class="btn" on:click=move |_| board.saving.set(false)>"Keep editing"</button>
            </div>
        </section>
    }
}
