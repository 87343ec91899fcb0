//! The legend: names with their colours, figures in columns. A press shows one series alone, with Ctrl it hides or
//! shows one; what is chosen stands in the address.

use crate::memo::{Memo, Show, live, memo};
use crate::{
    panels::{
        PanelInput,
        values::{Look, hidden},
    },
    url_state::Entry,
};
use dashboard::sorting::Order;
use dashboard::{
    field::{Displayer, line_colors},
    frame::{Field, FieldType, Frame},
    model::{LegendMode, LegendOptions, LegendPlacement},
    reducers,
    units::FormatContext,
    url::LegendSelection,
};
use leptos::prelude::*;

/// More rows than this are cut: nobody reads them, and the page must stay quick.
const ROWS_MAX: usize = 300;

/// One series.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    name: String,
    color: String,
    dash: u8,
    /// Text and number of each column.
    figures: Vec<(String, f64)>,
}

/// The legend of a panel, by its options.
#[component]
pub fn Legend(input: PanelInput, options: Memo<LegendOptions>) -> impl IntoView {
    let key = input.key.get_value();
    let sort_key = key.clone();
    let order = memo(move || {
        let own = input
            .board
            .url
            .with(|url| url.view.legend_sort.iter().find(|(id, _)| *id == sort_key).map(|(_, sort)| sort.clone()));
        own.or_else(|| {
            options.with(|options| (!options.sort_by.is_empty()).then(|| (options.sort_by.clone(), options.sort_desc)))
        })
    });
    let selection_key = key.clone();
    let selection = memo(move || input.board.url.with(|url| url.view.legend_of(&selection_key).cloned()));
    let items = memo(move || {
        let look = input.look.get();
        let options = options.get();
        let mut items =
            input.data.with(|data| data.as_ref().map(|data| items(&data.frames, &options, &look))).unwrap_or_default();
        if let Some((column, descending)) = order.get() {
            let at = options.calcs.iter().position(|calc| reducers::name(calc) == column || *calc == column);
            items.order_by(|a, b| {
                let ordering = match at {
                    Some(at) => figure(a, at).total_cmp(&figure(b, at)),
                    None => a.name.cmp(&b.name),
                };
                if descending { ordering.reverse() } else { ordering }
            });
        }
        items.truncate(ROWS_MAX);
        items
    });
    let table = move || options.with(|options| options.mode == LegendMode::Table);
    let shown =
        move || options.with(|options| options.mode != LegendMode::Hidden) && items.with(|items| !items.is_empty());
    view! {
        <Show when=shown>
            <div class="lg-wrap" data-t="legend">
                {live(move || if table() {
                    view! { <Table input items selection options order /> }.into_any()
                } else {
                    view! { <List input items selection options /> }.into_any()
                })}
            </div>
        </Show>
    }
}

fn figure(item: &Item, at: usize) -> f64 {
    match item.figures.get(at) {
        Some((_, number)) if !number.is_nan() => *number,
        _ => f64::NEG_INFINITY,
    }
}

fn items(frames: &[Frame], options: &LegendOptions, look: &Look) -> Vec<Item> {
    let fields: Vec<&Field> = frames
        .iter()
        .filter(|frame| frame.time_field().is_some())
        .flat_map(|frame| &frame.fields)
        .filter(|field| field.kind() == FieldType::Number && !hidden(field) && !hidden_from_legend(field))
        .collect();
    let context = FormatContext { calendar: look.zone.calendar(), now_ms: look.now_ms };
    fields
        .iter()
        .zip(line_colors(&fields, look.theme))
        .map(|(field, (color, palette))| {
            let figures = options.calcs.iter().map(|calc| {
                let reduced = reducers::reduce(field, calc);
                let mut config = field.config.clone();
                if !reducers::keeps_unit(calc) {
                    config.unit = String::new();
                }
                let text = Displayer::new(&config, look.theme, context, (0.0, 1.0), None)
                    .display(reduced.cell())
                    .text
                    .to_string();
                (text, reduced.number())
            });
            Item {
                name: field.display_name.clone(),
                color: color.css(),
                dash: palette.dash,
                figures: figures.collect(),
            }
        })
        .collect()
}

fn hidden_from_legend(field: &Field) -> bool {
    field.config.custom.get("hideFrom").and_then(|from| from.get("legend")).and_then(serde_json::Value::as_bool)
        == Some(true)
}

type Items = Memo<Vec<Item>>;
type Selection = Memo<Option<LegendSelection>>;

/// What a press on a name comes to.
fn press(input: PanelInput, name: &str, all: &[String], toggle: bool) {
    let key = input.key.get_value();
    input.board.url.change(Entry::Push, |url| {
        let now = url.view.legend_of(&key).cloned();
        let next = if toggle { toggled(now, name, all) } else { alone(now, name) };
        url.view.set_legend(&key, next);
    });
}

/// One alone; pressed again, all.
fn alone(now: Option<LegendSelection>, name: &str) -> Option<LegendSelection> {
    let only = LegendSelection { hide: false, series: vec![name.to_owned()] };
    (now.as_ref() != Some(&only)).then_some(only)
}

/// One more or one less.
fn toggled(now: Option<LegendSelection>, name: &str, all: &[String]) -> Option<LegendSelection> {
    let mut hidden: Vec<String> = match &now {
        None => Vec::new(),
        Some(selection) => all.iter().filter(|name| !selection.shows(name)).cloned().collect(),
    };
    match hidden.iter().position(|other| other == name) {
        Some(at) => {
            hidden.remove(at);
        }
        None => hidden.push(name.to_owned()),
    }
    // All hidden would show nothing: then all are shown again.
    if hidden.is_empty() || hidden.len() >= all.len() {
        return None;
    }
    let shown: Vec<String> = all.iter().filter(|name| !hidden.contains(name)).cloned().collect();
    Some(if shown.len() < hidden.len() {
        LegendSelection { hide: false, series: shown }
    } else {
        LegendSelection { hide: true, series: hidden }
    })
}

fn is_off(selection: Selection, name: &str) -> bool {
    selection.with(|selection| selection.as_ref().is_some_and(|selection| !selection.shows(name)))
}

#[component]
fn Name(input: PanelInput, items: Items, selection: Selection, item: Item) -> impl IntoView {
    let name = item.name.clone();
    let off_name = name.clone();
    let choose = move |event: web_sys::MouseEvent| {
        let all: Vec<String> = items.with_untracked(|items| items.iter().map(|item| item.name.clone()).collect());
        press(input, &name, &all, event.ctrl_key() || event.meta_key());
    };
    let swatch = match item.dash {
        0 => "sw",
        1 => "sw d1",
        _ => "sw d2",
    };
    view! {
        <button type="button" class="lg-item" title=item.name.clone() aria-pressed=move || (!is_off(selection, &off_name)).to_string() data-t="legend-item" on:click=choose>
            <i class=swatch style=format!("--sw:{}", item.color)></i>
            <span>{item.name.clone()}</span>
        </button>
    }
}

#[component]
fn Table(
    input: PanelInput,
    items: Items,
    selection: Selection,
    options: Memo<LegendOptions>,
    order: Memo<Option<(String, bool)>>,
) -> impl IntoView {
    let head = move |name: String| {
        let sorted = order.get().filter(|(column, _)| *column == name).map(|(_, descending)| descending);
        let column = name.clone();
        let sort = move |_| {
            let key = input.key.get_value();
            let next = match sorted {
                None => Some((column.clone(), true)),
                Some(true) => Some((column.clone(), false)),
                Some(false) => None,
            };
            input.board.url.change(Entry::Push, |url| {
                let sorts = &mut url.view.legend_sort;
                sorts.retain(|(id, _)| *id != key);
                sorts.extend(next.map(|next| (key, next)));
            });
        };
        let arrow = sorted.map(|descending| if descending { "↓" } else { "↑" });
        let aria = sorted.map(|descending| if descending { "descending" } else { "ascending" });
        view! { <th scope="col" aria-sort=aria><button type="button" on:click=sort>{name} {arrow}</button></th> }
    };
    let heads = move || {
        let columns: Vec<String> =
            options.with(|options| options.calcs.iter().map(|calc| reducers::name(calc)).collect());
        std::iter::once("Series".to_owned()).chain(columns).map(head).collect_view()
    };
    let rows = move || {
        items
            .get()
            .into_iter()
            .map(|item| {
                let name = item.name.clone();
                let figures = item.figures.iter().map(|(text, _)| view! { <td>{text.clone()}</td> }).collect_view();
                view! {
                    <tr class:off=move || is_off(selection, &name)>
                        <td><Name input items selection item=item.clone() /></td>
                        {figures}
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <table class="lg num">
            <thead><tr>{heads}</tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
}

#[component]
fn List(input: PanelInput, items: Items, selection: Selection, options: Memo<LegendOptions>) -> impl IntoView {
    let names =
        move || options.with(|options| options.calcs.iter().map(|calc| reducers::name(calc)).collect::<Vec<_>>());
    let rows = move || {
        let names = names();
        items
            .get()
            .into_iter()
            .map(|item| {
                let name = item.name.clone();
                let figures: Vec<String> =
                    item.figures.iter().zip(&names).map(|((text, _), name)| format!("{name}: {text}")).collect();
                view! {
                    <li class:off=move || is_off(selection, &name)>
                        <Name input items selection item=item.clone() />
                        <span class="dim num">{figures.join("  ")}</span>
                    </li>
                }
            })
            .collect_view()
    };
    view! { <ul class="lg-list">{rows}</ul> }
}

/// Whether the legend stands at the right.
pub fn at_right(options: &LegendOptions) -> bool {
    options.placement == LegendPlacement::Right && options.mode != LegendMode::Hidden
}
