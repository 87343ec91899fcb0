//! One dashboard in the list.

use crate::memo::memo;
use crate::{
    controls::icon::{Glyph, Icon},
    kept::use_kept,
    pages::parts::{Age, time_text::parse_rfc3339_ms},
};
use api::dashboards::SearchHit;
use leptos::prelude::*;

/// Star, title and folder, tags, panels, age.
#[component]
pub fn Row(hit: SearchHit) -> impl IntoView {
    let panels = match hit.panels {
        1 => "1 panel".to_owned(),
        count => format!("{count} panels"),
    };
    let problem = (!hit.problem.is_empty()).then(|| {
        view! { <span class="tag crit" title=hit.problem.clone()>{Glyph::Critical.view()} "Not readable"</span> }
    });
    view! {
        <li class="board-row" data-t="dashboard-row" data-uid=hit.uid.clone()>
            <Star uid=hit.uid.clone() title=hit.title.clone() />
            <a class="board-link" href=hit.url.clone()>
                <span class="board-title ell">{hit.title.clone()}</span>
                <span class="dim small ell">{hit.folder_title.clone()}</span>
            </a>
            {problem}
            <span class="board-tags only-l">
                {hit.tags.iter().map(|tag| view! { <span class="tag">{tag.clone()}</span> }).collect_view()}
            </span>
            <span class="dim small num board-panels">{panels}</span>
            <span class="dim small only-l board-age"><Age at_ms=parse_rfc3339_ms(&hit.updated) /></span>
        </li>
    }
}

/// The button that keeps a dashboard on the home page.
#[component]
pub fn Star(#[prop(into)] uid: String, #[prop(into)] title: String) -> impl IntoView {
    let kept = use_kept();
    let uid = StoredValue::new(uid);
    let on = memo(move || uid.with_value(|uid| kept.is_starred(uid)));
    let label = move || if on.get() { format!("Remove the star of {title}") } else { format!("Star {title}") };
    let icon = move || if on.get() { Icon::StarFilled.view() } else { Icon::Star.view() };
    view! {
        <button class="btn sq star" class:lit=move || on.get() aria-label=label aria-pressed=move || on.get().to_string() on:click=move |_| uid.with_value(|uid| kept.toggle_star(uid))>
            {icon}
        </button>
    }
}
