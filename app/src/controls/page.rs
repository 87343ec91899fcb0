//! A page's frame: the bar at the top with its title and its controls, then its body.

use leptos::prelude::*;

/// Top bar and body. `title` is the `<h1>` and the document's title; `before` stands left of the title (breadcrumbs),
/// `actions` at the right end of the bar. `bare` leaves out the padding around the body.
#[component]
pub fn Page(
    #[prop(into)] title: Signal<String>,
    #[prop(optional, into)] before: Option<ViewFn>,
    #[prop(optional, into)] after_title: Option<ViewFn>,
    #[prop(optional, into)] actions: Option<ViewFn>,
    #[prop(optional)] bare: bool,
    children: Children,
) -> impl IntoView {
    use_document_title(title);
    view! {
        <header class="top">
            <div class="crumb">
                {before.map(|before| before.run())}
                <h1>{title}</h1>
                {after_title.map(|after| after.run())}
            </div>
            <span class="grow"></span>
            {actions.map(|actions| actions.run())}
        </header>
        <div class=if bare { "pg-bare" } else { "pg" }>{children()}</div>
    }
}

/// Keeps the title of the tab in step.
pub fn use_document_title(title: Signal<String>) {
    Effect::new(move |_| {
        document().set_title(
            &title.with(|title| if title.is_empty() { "Vigie".to_owned() } else { format!("{title} · Vigie") }),
        );
    });
}
