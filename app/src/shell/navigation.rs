//! The rail on desktops, the bar at the bottom on phones: the same places.

use super::theme::{Choice, use_theme};
use crate::memo::{Show, live, memo};
use crate::{
    controls::icon::{Icon, MARK},
    live::{firing_critical, use_live_alerts},
    router::use_path,
};
use leptos::prelude::*;

struct Place {
    id: &'static str,
    path: &'static str,
    word: &'static str,
    icon: Icon,
    /// Addresses that belong to this place.
    prefixes: &'static [&'static str],
}

const PLACES: [Place; 9] = [
    Place { id: "home", path: "/", word: "Home", icon: Icon::Home, prefixes: &[] },
    Place {
        id: "dashboards",
        path: "/dashboards",
        word: "Dashboards",
        icon: Icon::Dashboards,
        prefixes: &["/dashboards", "/dashboard", "/d"],
    },
    Place {
        id: "explore",
        path: "/explore",
        word: "Explore",
        icon: Icon::Explore,
        prefixes: &["/explore", "/graph", "/query"],
    },
    Place { id: "alerts", path: "/alerts", word: "Alerts", icon: Icon::Bell, prefixes: &["/alerts", "/alerting"] },
    Place { id: "rules", path: "/rules", word: "Rules", icon: Icon::Rules, prefixes: &["/rules"] },
    Place { id: "probes", path: "/probes", word: "Probes", icon: Icon::Probes, prefixes: &["/probes"] },
    Place {
        id: "targets",
        path: "/targets",
        word: "Targets",
        icon: Icon::Targets,
        prefixes: &["/targets", "/service-discovery"],
    },
    Place {
        id: "federation",
        path: "/federation",
        word: "Federation",
        icon: Icon::Federation,
        prefixes: &["/federation"],
    },
    Place {
        id: "status",
        path: "/status",
        word: "Status",
        icon: Icon::Server,
        prefixes: &["/status", "/config", "/flags", "/tsdb-status", "/runtime-info"],
    },
];

/// Where the phone's bar leads; `More` opens the rest.
const PHONE_PLACES: [&str; 4] = ["home", "dashboards", "alerts", "probes"];

fn is_here(place: &Place, path: &str) -> bool {
    if place.prefixes.is_empty() {
        return path == place.path;
    }
    place
        .prefixes
        .iter()
        .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[component]
fn AlertBadge() -> impl IntoView {
    let alerts = use_live_alerts();
    let firing = memo(move || alerts.data.with(|alerts| firing_critical(alerts.as_deref().unwrap_or_default())));
    view! {
        <Show when=move || firing.get() != 0>
            <span class="bdg num" data-t="alert-badge">
                {live(move || firing.get())}
                <span class="sr">" critical alerts firing"</span>
            </span>
        </Show>
    }
}

#[component]
fn NavLink(place: &'static Place, class: &'static str, #[prop(optional)] word: Option<&'static str>) -> impl IntoView {
    let path = use_path();
    let current = move || path.with(|path| is_here(place, path)).then_some("page");
    view! {
        <a class=class href=place.path aria-current=current data-t=format!("nav-{}", place.id)>
            {place.icon.view()}
            {word.unwrap_or(place.word)}
            {(place.id == "alerts").then(|| view! { <AlertBadge/> })}
        </a>
    }
}

#[component]
fn ThemeSwitch(class: &'static str) -> impl IntoView {
    let theme = use_theme();
    let label = move || format!("Theme: {}. Press to change", theme.choice.get().word());
    let word = move || match theme.choice.get() {
        Choice::System => "System",
        Choice::Dark => "Dark",
        Choice::Light => "Light",
    };
    let icon = move || if theme.dark.get() { Icon::Moon.view() } else { Icon::Sun.view() };
    view! {
        <button class=class data-t="theme" aria-label=label on:click=move |_| theme.choice.update(|choice| *choice = choice.next())>
            {icon}
            {word}
        </button>
    }
}

/// The rail at the left.
#[component]
pub fn Rail() -> impl IntoView {
    view! {
        <nav class="rail" aria-label="Main">
            <a class="brand" href="/" aria-label="Vigie home">
                <svg viewBox="0 0 32 32" fill="none" aria-hidden="true" inner_html=MARK></svg>
            </a>
            {PLACES.iter().map(|place| view! { <NavLink place=place class="rail-item"/> }).collect_view()}
            <span class="end"></span>
            <ThemeSwitch class="rail-item"/>
        </nav>
    }
}

/// The bar at the bottom of a phone.
#[component]
pub fn PhoneBar() -> impl IntoView {
    let open = RwSignal::new(false);
    let path = use_path();
    Effect::new(move |_| {
        path.track();
        open.set(false);
    });
    let bar = PLACES.iter().filter(|place| PHONE_PLACES.contains(&place.id)).map(|place| {
        let word = if place.id == "dashboards" { "Boards" } else { place.word };
        view! { <NavLink place=place class="" word=word/> }
    });
    let rest = move || {
        let places = PLACES.iter().filter(|place| !PHONE_PLACES.contains(&place.id));
        places.map(|place| view! { <NavLink place=place class="menu-item"/> }).collect_view()
    };
    view! {
        <nav class="bot" aria-label="Main, phone">
            {bar.collect_view()}
            <button aria-expanded=move || open.get().to_string() data-t="nav-more" on:click=move |_| open.update(|open| *open = !*open)>
                {Icon::Menu.view()}
                "More"
            </button>
            <Show when=move || open.get()>
                <div class="pop menu phone-more">
                    {rest}
                    <ThemeSwitch class="menu-item"/>
                </div>
            </Show>
        </nav>
    }
}
