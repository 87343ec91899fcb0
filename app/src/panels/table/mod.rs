//! Table: rows and columns of one frame, sorted as the address or the panel says.

mod cell;

use super::values::{Look, hidden};
use crate::memo::{Show, live, memo};
use crate::{controls::icon::Icon, panels::PanelInput, url_state::Entry};
use cell::CellStyle;
use dashboard::sorting::Order;
use dashboard::{
    colors::Rgba,
    field::{DisplayValue, Displayer, auto_bounds, value_bounds},
    frame::{Cell, Field, FieldType, Frame, Values},
    model::TableOptions,
    reducers,
};
use leptos::prelude::*;
use std::{cmp::Ordering, sync::Arc};

/// Rows drawn at once; more come in pages. Browsers lay out so many without a pause.
const PAGE_ROWS: usize = 200;

/// A cell ready to be drawn.
#[derive(Clone, Debug)]
struct Shown {
    display: DisplayValue,
    /// Of a cell that holds a small frame.
    course: Option<Vec<f64>>,
    row: usize,
}

/// A column ready to be drawn.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    class: &'static str,
    style: CellStyle,
    width: Option<f64>,
    field: Field,
}

/// What is drawn.
#[derive(Clone, Debug, Default)]
struct View {
    columns: Vec<Column>,
    rows: Vec<Vec<Shown>>,
    footer: Vec<String>,
}

/// The panel.
#[component]
pub fn Table(input: PanelInput) -> impl IntoView {
    let options = memo(move || input.panel.with(|panel| TableOptions::read(&panel.options)));
    let page = RwSignal::new(0_usize);
    let chosen_frame = RwSignal::new(None::<usize>);
    let order = memo(move || {
        let key = input.key.get_value();
        let own = input
            .board
            .url
            .with(|url| url.view.table_sort.iter().find(|(id, _)| *id == key).map(|(_, sort)| sort.clone()));
        own.unwrap_or_else(|| options.with(|options| options.sort_by.clone()))
    });
    let frame_index = move || chosen_frame.get().unwrap_or_else(|| options.with(|options| options.frame_index));
    let shown = move || {
        let look = input.look.get();
        let order = order.get();
        let options = options.get();
        let index = frame_index();
        input.data.with(|data| {
            let frames = data.as_ref().map(|data| data.frames.as_slice()).unwrap_or_default();
            let frame = frames.get(index).or_else(|| frames.first());
            Arc::new(frame.map_or_else(View::default, |frame| view(frame, &options, &order, page.get(), &look)))
        })
    };
    let body = move || view! { <Grid shown=shown() order=order.get() input options=options.get() /> };
    let names = move || {
        input.data.with(|data| {
            let frames = data.as_ref().map(|data| data.frames.as_slice()).unwrap_or_default();
            frames
                .iter()
                .enumerate()
                .map(|(i, frame)| if frame.name.is_empty() { format!("Table {}", i + 1) } else { frame.name.clone() })
                .collect::<Vec<_>>()
        })
    };
    let total = move || {
        let index = frame_index();
        input.data.with(|data| data.as_ref().and_then(|data| data.frames.get(index)).map_or(0, Frame::rows))
    };
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label="Table">{body}</div>
        <Pager page total page_rows=Signal::derive(move || page_rows(&options.get())) />
        <Show when=move || { names().len() > 1 }>
            <label class="pager">
                <span class="sr">"Which table"</span>
                <select class="inp" on:change=move |event| chosen_frame.set(event_target_value(&event).parse().ok())>
                    {live(move || names().into_iter().enumerate().map(|(i, name)| view! { <option value=i.to_string() selected=i == frame_index()>{name}</option> }).collect_view())}
                </select>
            </label>
        </Show>
    }
}

fn page_rows(options: &TableOptions) -> usize {
    if options.enable_pagination { options.page_size.unwrap_or(50).min(PAGE_ROWS) } else { PAGE_ROWS }
}

#[component]
fn Pager(page: RwSignal<usize>, #[prop(into)] total: Signal<usize>, page_rows: Signal<usize>) -> impl IntoView {
    let last = move || total.get().saturating_sub(1) / page_rows.get().max(1);
    let words = move || {
        let (first, total) = (page.get() * page_rows.get(), total.get());
        format!("{}–{} of {total} rows", first + 1, (first + page_rows.get()).min(total))
    };
    view! {
        <Show when=move || { total.get() > page_rows.get() }>
            <div class="pager num" role="group" aria-label="Pages">
                <span>{words}</span>
                <button class="btn sq" aria-label="Previous page" disabled=move || page.get() == 0 on:click=move |_| page.update(|page| *page = page.saturating_sub(1))>
                    {Icon::Left.view()}
                </button>
                <button class="btn sq" aria-label="Next page" disabled=move || { page.get() >= last() } on:click=move |_| page.update(|page| *page += 1)>
                    {Icon::Right.view()}
                </button>
            </div>
        </Show>
    }
}

#[component]
fn Grid(shown: Arc<View>, order: Vec<(String, bool)>, input: PanelInput, options: TableOptions) -> impl IntoView {
    let class = match options.cell_height.as_str() {
        "md" => "pt md",
        "lg" => "pt lg-cells",
        _ => "pt",
    };
    let heads = shown.columns.iter().map(|column| {
        let sorted = order.iter().find(|(name, _)| *name == column.name).map(|(_, descending)| *descending);
        view! { <Head name=column.name.clone() class=column.class width=column.width sorted input /> }
    });
    let heads = heads.collect_view();
    let rows = shown.rows.iter().map(|row| {
        let cells = row.iter().zip(&shown.columns).map(|(shown, column)| cell::view(shown, column, input));
        view! { <tr>{cells.collect_view()}</tr> }
    });
    let rows = rows.collect_view();
    let footer = (!shown.footer.is_empty()).then(|| {
        let cells = shown
            .footer
            .iter()
            .zip(&shown.columns)
            .map(|(text, column)| view! { <td class=column.class>{text.clone()}</td> });
        view! { <tfoot><tr>{cells.collect_view()}</tr></tfoot> }
    });
    view! {
        <table class=class>
            {options.show_header.then(|| view! { <thead><tr>{heads}</tr></thead> })}
            <tbody>{rows}</tbody>
            {footer}
        </table>
    }
}

/// A click sorts, the second turns the order round, the third takes it away; with Shift it adds to the order there is.
#[component]
fn Head(
    name: String,
    class: &'static str,
    width: Option<f64>,
    sorted: Option<bool>,
    input: PanelInput,
) -> impl IntoView {
    let arrow = sorted.map(|descending| if descending { Icon::Down.view() } else { Icon::Up.view() });
    let aria = sorted.map(|descending| if descending { "descending" } else { "ascending" });
    let style = width.map(|width| format!("width:{width}px"));
    let column = name.clone();
    let sort = move |event: web_sys::MouseEvent| {
        let add = event.shift_key();
        let next = match sorted {
            None => Some(false),
            Some(false) => Some(true),
            Some(true) => None,
        };
        let column = column.clone();
        let key = input.key.get_value();
        input.board.url.change(Entry::Push, move |url| {
            let sorts = &mut url.view.table_sort;
            let mut order = sorts.iter().find(|(id, _)| *id == key).map(|(_, order)| order.clone()).unwrap_or_default();
            if !add {
                order.clear();
            }
            order.retain(|(name, _)| *name != column);
            order.extend(next.map(|descending| (column.clone(), descending)));
            sorts.retain(|(id, _)| *id != key);
            if !order.is_empty() {
                sorts.push((key, order));
            }
        });
    };
    view! {
        <th class=class scope="col" aria-sort=aria style=style>
            <button type="button" on:click=sort data-t="sort">{name} {arrow}</button>
        </th>
    }
}

fn view(frame: &Frame, options: &TableOptions, order: &[(String, bool)], page: usize, look: &Look) -> View {
    let fields: Vec<&Field> = frame.fields.iter().filter(|field| !hidden(field) && !flag(field, "hidden")).collect();
    let mut rows: Vec<usize> = (0..frame.rows()).collect();
    for (name, descending) in order.iter().rev() {
        let Some(field) = fields.iter().find(|field| field.display_name == *name || field.name == *name) else {
            continue;
        };
        rows.order_by(|a, b| {
            let ordering = compare(field.cell(*a), field.cell(*b));
            if *descending { ordering.reverse() } else { ordering }
        });
    }
    let total = rows.len();
    let size = page_rows(options);
    let first = (page * size).min(total.saturating_sub(1) / size.max(1) * size);
    let on_page: Vec<usize> = rows.into_iter().skip(first).take(size).collect();
    let mut out = View { rows: on_page.iter().map(|_| Vec::with_capacity(fields.len())).collect(), ..View::default() };
    let any_footer = !options.footer_reducers.is_empty();
    for field in fields {
        let bounds = value_bounds(&field.config, auto_bounds(std::iter::once(field)));
        look.with_context(|context| {
            let displayer = Displayer::new(&field.config, look.theme, context, bounds, None);
            for (slot, &row) in out.rows.iter_mut().zip(&on_page) {
                let cell = field.cell(row);
                let course = match cell {
                    Cell::Frame(frame) => Some(course(frame)),
                    _ => None,
                };
                slot.push(Shown { display: displayer.display(cell), course, row });
            }
            if any_footer {
                out.footer.push(footer(field, options, &displayer));
            }
        });
        out.columns.push(column(field));
    }
    out
}

fn flag(field: &Field, key: &str) -> bool {
    field.config.custom.get(key).and_then(serde_json::Value::as_bool) == Some(true)
}

fn course(frame: &Frame) -> Vec<f64> {
    frame.fields.iter().find_map(Field::numbers).unwrap_or_default().to_vec()
}

fn footer(field: &Field, options: &TableOptions, displayer: &Displayer<'_>) -> String {
    let wanted = options.footer_fields.is_empty() || options.footer_fields.contains(&field.display_name);
    match options.footer_reducers.first() {
        Some(reducer) if wanted && field.kind() == FieldType::Number => {
            displayer.display(reducers::reduce(field, reducer).cell()).text.to_string()
        }
        _ => String::new(),
    }
}

fn column(field: &Field) -> Column {
    let align = field.config.custom.get("align").and_then(serde_json::Value::as_str).unwrap_or("auto");
    let class = match (align, field.kind()) {
        ("left", _) => "",
        ("center", _) => "c",
        ("right", _) | (_, FieldType::Number) => "n",
        _ => "",
    };
    let style = CellStyle::read(field);
    // A bar begins at the left, whatever the type.
    let class = if matches!(style, CellStyle::Gauge { .. }) && align == "auto" { "" } else { class };
    Column {
        name: field.display_name.clone(),
        class,
        style,
        width: field.config.custom.get("width").and_then(serde_json::Value::as_f64),
        field: Field { values: Values::empty(field.kind()), ..field.clone_without_values() },
    }
}

fn compare(a: Cell<'_>, b: Cell<'_>) -> Ordering {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => natural(a, b),
        (a, b) if a.is_null() || b.is_null() => b.is_null().cmp(&a.is_null()),
        (a, b) => a.to_number().total_cmp(&b.to_number()),
    }
}

/// `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.to_lowercase().cmp(&b.to_lowercase()),
    }
}

/// The colour of a cell's text or ground.
fn color_of(display: &DisplayValue) -> Option<Rgba> {
    display.color
}
