//! Panel types: frames in, drawings out.

pub mod alert_list;
pub mod bar_gauge;
pub mod clipboard;
pub mod dashboard_links;
pub mod data;
pub mod export;
pub mod frame;
pub mod gauge;
pub mod heatmap;
pub mod host;
pub mod links;
pub mod stat;
pub mod table;
pub mod text;
pub mod time_series;
pub mod values;

use crate::memo::{Memo, memo};
use crate::{board::Board, controls::icon::Icon};
use dashboard::model::Panel;
use data::PanelData;
use leptos::prelude::*;
use std::sync::Arc;
use values::Look;

/// What a panel type gets.
#[derive(Clone, Copy)]
pub struct PanelInput {
    pub board: Board,
    pub panel: Memo<Arc<Panel>>,
    /// As in addresses.
    pub key: StoredValue<String>,
    pub data: Signal<Option<Arc<PanelData>>>,
    pub look: Memo<Look>,
    /// Fills the variables of a text. The second part says what it is for: `text`, or `html` where values must be
    /// escaped.
    pub fill: Callback<(String, &'static str), String>,
}

/// Types by their id in the JSON, with their name in the editor.
pub const KINDS: [(&str, &str, Icon); 9] = [
    ("timeseries", "Time series", Icon::Graph),
    ("stat", "Stat", Icon::Number),
    ("gauge", "Gauge", Icon::Gauge),
    ("bargauge", "Bar gauge", Icon::Bars),
    ("table", "Table", Icon::Table),
    ("heatmap", "Heatmap", Icon::Heatmap),
    ("text", "Text", Icon::Text),
    ("alertlist", "Alert list", Icon::Bell),
    ("dashlist", "Dashboards", Icon::Dashboards),
];

/// The drawing of a panel, by its type.
#[component]
pub fn Body(input: PanelInput) -> impl IntoView {
    let kind = memo(move || input.panel.with(|panel| panel.kind.clone()));
    move || {
        match kind.get().as_str() {
        "timeseries" | "graph" | "trend" => view! { <time_series::TimeSeries input /> }.into_any(),
        "stat" | "singlestat" => view! { <stat::Stat input /> }.into_any(),
        "gauge" => view! { <gauge::Gauge input /> }.into_any(),
        "bargauge" => view! { <bar_gauge::BarGauge input /> }.into_any(),
        "text" => view! { <text::Text input /> }.into_any(),
        "heatmap" => view! { <heatmap::Heatmap input /> }.into_any(),
        "alertlist" => view! { <alert_list::AlertList input /> }.into_any(),
        "dashlist" => view! { <dashboard_links::DashboardLinks input /> }.into_any(),
        "table" | "table-old" => view! { <table::Table input /> }.into_any(),
        other => view! {
            <table::Table input />
            <div class="panel-note" data-t="unknown-type">{format!("Vigie does not draw \"{other}\" panels yet: this is their data.")}</div>
        }
        .into_any(),
    }
    }
}
