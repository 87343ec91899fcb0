//! What a query costs, part by part: a tree beside the graph and the table. The estimate evaluates nothing.

use super::{PaneState, answers::times};
use crate::memo::{Memo, live, memo};
use crate::{
    client::{
        Abort, ClientError,
        queries::{self, Explained},
    },
    controls::{icon::Glyph, query_editor::text::pieces},
    pages::parts::{page_state::Skeleton, time_text::format_seconds},
    panels::text::escape,
};
use api::explain::{Hint, Node, Place};
use dashboard::{units::format_text, url::ExplorePane};
use leptos::{html, prelude::*, task::spawn_local};
use web_sys::{HtmlElement, KeyboardEvent, wasm_bindgen::JsCast};

/// Parts shown of one query; more is no picture any longer.
const PARTS_MAX: usize = 400;

/// The tree of each query of the pane.
#[component]
pub fn ExplainView(now: Memo<ExplorePane>, pane: PaneState, again: Trigger) -> impl IntoView {
    let measured = RwSignal::new(false);
    let names = memo(move || {
        now.with(|pane| {
            let shown = pane.queries.iter().filter(|query| !query.hide && !query.expr.trim().is_empty());
            shown.map(|query| query.ref_id.clone()).collect::<Vec<_>>()
        })
    });
    let says = move || match measured.get() {
        false => "Estimated from the index; nothing is evaluated.",
        true => "The query runs, and each part is measured. Times are of all threads together.",
    };
    view! {
        <div class="xp-bar">
            <div class="seg" role="group" aria-label="Costs">
                <button class="btn" aria-pressed=move || (!measured.get()).to_string() data-t="explain-estimate" on:click=move |_| measured.set(false)>
                    "Estimate"
                </button>
                <button class="btn" aria-pressed=move || measured.get().to_string() data-t="explain-measure" on:click=move |_| measured.set(true)>
                    "Run and measure"
                </button>
            </div>
            <p class="dim small">{live(says)}</p>
        </div>
        {live(move || {
            let each = |name| view! { <OneQuery name now pane again measured /> }.into_any();
            names.get().into_iter().map(each).collect_view()
        })}
    }
}

#[component]
fn OneQuery(
    name: String,
    now: Memo<ExplorePane>,
    pane: PaneState,
    again: Trigger,
    measured: RwSignal<bool>,
) -> impl IntoView {
    let name = StoredValue::new(name);
    let expr = memo(move || {
        now.with(|pane| {
            let own = pane.queries.iter().find(|query| name.with_value(|name| query.ref_id == *name));
            own.map(|query| query.expr.clone()).unwrap_or_default()
        })
    });
    let range = memo(move || now.with(|pane| pane.range.clone()));
    let found = RwSignal::new(None::<(String, Result<Explained, ClientError>)>);
    let busy = RwSignal::new(false);
    let turn = StoredValue::new(0_u64);
    // Dropping it takes back what is still being asked.
    let running = StoredValue::new_local(None::<Abort>);
    Effect::new(move |_| {
        again.track();
        let (expr, range, measured) = (expr.get(), range.get(), measured.get());
        turn.update_value(|turn| *turn += 1);
        let mine = turn.get_value();
        let abort = Abort::default();
        let signal = abort.signal();
        running.set_value(Some(abort));
        busy.set(true);
        spawn_local(async move {
            let answer = match times(&range) {
                Ok(times) => queries::explain(&expr, times, measured, signal).await,
                Err(error) => Err(error),
            };
            if turn.try_get_value() == Some(mine) && answer != Err(ClientError::Aborted) {
                busy.try_set(false);
                found.try_set(Some((expr, answer)));
            }
        });
    });
    let apply = Callback::new(move |(place, text): (Place, String)| {
        pane.change(|pane| {
            let own = pane.queries.iter_mut().find(|query| name.with_value(|name| query.ref_id == *name));
            if let Some(query) = own.filter(|query| query.expr.get(place.start..place.end).is_some()) {
                query.expr.replace_range(place.start..place.end, &text);
            }
        });
    });
    move || {
        let Some((expr, answer)) = found.get() else { return view! { <Skeleton /> }.into_any() };
        match answer {
            Ok(explained) => view! { <Tree name=name.get_value() expr explained busy apply /> }.into_any(),
            Err(error) => view! {
                <div class="ex-problem" role="alert" data-t="explain-error">
                    {Glyph::Critical.view()}
                    <b>{name.get_value()}</b>
                    <span class="mono small">{error.to_string()}</span>
                    <button class="btn out" on:click=move |_| again.notify()>"Retry"</button>
                </div>
            }
            .into_any(),
        }
    }
}

/// A part with its depth and its place among its siblings.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    node: Node,
    depth: usize,
    at: usize,
    of: usize,
}

/// The tree as rows from above. Parentheses that have nothing to tell are left out.
fn parts(tree: &Node) -> Vec<Part> {
    fn add(node: &Node, depth: usize, (at, of): (usize, usize), out: &mut Vec<Part>) {
        if out.len() >= PARTS_MAX {
            return;
        }
        if node.kind == "parentheses" && node.hints.is_empty() && node.children.len() == 1 {
            return add(&node.children[0], depth, (at, of), out);
        }
        let own = Node { children: Vec::new(), ..node.clone() };
        out.push(Part { node: own, depth, at, of });
        for (at, child) in node.children.iter().enumerate() {
            add(child, depth + 1, (at, node.children.len()), out);
        }
    }
    let mut out = Vec::new();
    add(tree, 0, (0, 1), &mut out);
    out
}

/// `aggregation · gauge in bytes/second`.
fn describe(node: &Node) -> String {
    let unit = match node.unit.as_deref() {
        None => "",
        Some("1") => "plain number",
        Some(unit) => unit,
    };
    let known = ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];
    let kind = known.contains(&node.metric_type.as_str()).then_some(node.metric_type.as_str());
    let typed = match (kind, unit) {
        (None, "") => String::new(),
        (Some(kind), "") => format!(" · {kind}"),
        (None, unit) => format!(" · {unit}"),
        (Some(kind), unit) => format!(" · {kind}, {unit}"),
    };
    format!("{}{typed}", node.kind)
}

/// The query in the colours of the editor, cut where the marked place begins and ends.
fn marked(expr: &str, place: Option<Place>) -> Vec<(String, &'static str, bool)> {
    let place = place.unwrap_or(Place { start: 0, end: 0 });
    let (mut out, mut at) = (Vec::new(), 0);
    for piece in pieces(expr, None) {
        let end = at + piece.text.len();
        let cuts = [at, place.start.clamp(at, end), place.end.clamp(at, end), end];
        for pair in cuts.windows(2).filter(|pair| pair[0] < pair[1]) {
            if let Some(text) = expr.get(pair[0]..pair[1]) {
                out.push((text.to_owned(), piece.class, pair[0] >= place.start && pair[1] <= place.end));
            }
        }
        at = end;
    }
    out
}

#[component]
fn Tree(
    name: String,
    expr: String,
    explained: Explained,
    busy: RwSignal<bool>,
    apply: Callback<(Place, String)>,
) -> impl IntoView {
    let active = RwSignal::new(None::<Place>);
    let all = parts(&explained.tree);
    let total = all.iter().filter_map(|part| part.node.cost.map(|cost| cost.seconds)).fold(0.0, f64::max);
    let is_measured = total > 0.0;
    let hints = all.iter().map(|part| part.node.hints.len()).sum::<usize>();
    let summary = match (explained.seconds, hints) {
        (None, 0) => "Nothing to advise".to_owned(),
        (None, 1) => "1 hint".to_owned(),
        (None, hints) => format!("{hints} hints"),
        (Some(seconds), hints) => format!(
            "ran in {}{}",
            format_seconds(seconds),
            match hints {
                0 => String::new(),
                1 => ", 1 hint".to_owned(),
                hints => format!(", {hints} hints"),
            }
        ),
    };
    let body = NodeRef::<html::Tbody>::new();
    let keys = move |event: KeyboardEvent| move_focus(&event, body);
    let code = {
        let expr = expr.clone();
        move || {
            let pieces = marked(&expr, active.get());
            pieces
                .into_iter()
                .map(|(text, class, on)| view! { <span class=class class:xp-mark=on>{text}</span> })
                .collect_view()
        }
    };
    let cut = all.len() >= PARTS_MAX;
    let rows = rows(&all, total);
    let write = move |event: web_sys::MouseEvent| {
        if let Some((text, place)) = instead_of(&event).zip(place_of(&event)) {
            apply.run((place, text));
        }
    };
    // One listener for all rows: what they are about stands on them.
    let pointed = move |event: web_sys::Event| active.set(place_of(&event));
    view! {
        <section class="card xp" aria-label=format!("Query {name} explained") aria-busy=move || busy.get().to_string() data-t="explain">
            <div class="xp-head">
                <code class="promql xp-code" data-t="explain-query">{code}</code>
                <span class="dim small num" role="status" data-t="explain-summary">
                    {live(move || if busy.get() { "asking…".to_owned() } else { summary.clone() })}
                </span>
            </div>
            <div class="xp-scroll">
                <table class="tb xp-tree" class:measured=is_measured role="treegrid" aria-label="Parts of the query">
                    <thead>
                        <tr role="row">
                            <th role="columnheader" scope="col">"Part"</th>
                            <th role="columnheader" scope="col" class="n">"Series"</th>
                            <th role="columnheader" scope="col" class="n">"Samples"</th>
                            <th role="columnheader" scope="col" class="n xp-mem">"Memory"</th>
                            {is_measured.then(|| view! { <th role="columnheader" scope="col" class="n">"Time"</th> })}
                        </tr>
                    </thead>
                    <tbody node_ref=body on:keydown=keys on:mouseover=move |event| pointed(event.into()) on:focusin=move |event| pointed(event.into()) on:mouseleave=move |_| active.set(None) on:click=write inner_html=rows></tbody>
                </table>
            </div>
            {cut.then(|| view! { <p class="hint">{format!("The first {PARTS_MAX} parts are shown.")}</p> })}
        </section>
    }
}

fn number(value: Option<u64>, unit: &str) -> String {
    // Rounded at the sixteenth digit at most.
    value.map_or_else(|| "–".to_owned(), |value| format_text(value as f64, unit, None))
}

/// `4-15`, on what is about these bytes of the query.
fn place_text(place: Place) -> String {
    format!("{}-{}", place.start, place.end)
}

/// What the row is about that an event comes from.
fn place_of(event: &web_sys::Event) -> Option<Place> {
    let element = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    let text = element.closest("[data-place]").ok()??.get_attribute("data-place")?;
    let (start, end) = text.split_once('-')?;
    Some(Place { start: start.parse().ok()?, end: end.parse().ok()? })
}

// Rows are written as text: elements made one by one would be several times as much code to download.

/// The rows of all parts and of their hints.
fn rows(parts: &[Part], total: f64) -> String {
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        part_row(part, at == 0, total, &mut out);
        for hint in &part.node.hints {
            hint_row(hint, part.depth + 1, total > 0.0, &mut out);
        }
    }
    out
}

fn part_row(part: &Part, is_first: bool, total: f64, out: &mut String) {
    let Part { node, depth, at, of } = part;
    let (series, samples, bytes) = match node.cost {
        Some(cost) => (Some(cost.series), Some(cost.samples), Some(cost.bytes)),
        None => (node.estimate.series, node.estimate.samples, node.estimate.bytes),
    };
    let tabindex = if is_first { "0" } else { "-1" };
    for text in [
        "<tr role=\"row\" class=\"xp-row\" data-t=\"explain-row\" tabindex=\"",
        tabindex,
        "\" aria-level=\"",
        &(depth + 1).to_string(),
        "\" aria-posinset=\"",
        &(at + 1).to_string(),
        "\" aria-setsize=\"",
        &of.to_string(),
        "\" data-place=\"",
        &place_text(node.place),
        "\"><td role=\"gridcell\" class=\"xp-part\" style=\"--depth:",
        &depth.min(&12).to_string(),
        "\"><span class=\"mono xp-title\">",
        &escape(&node.title),
        "</span><span class=\"dim small xp-kind\">",
        &escape(&describe(node)),
        "</span></td>",
    ] {
        out.push_str(text);
    }
    for (value, unit, class) in
        [(series, "locale", "n num"), (samples, "locale", "n num"), (bytes, "bytes", "n num xp-mem")]
    {
        cell(class, &number(value, unit), out);
    }
    if total > 0.0 {
        let seconds = node.cost.map(|cost| cost.seconds);
        let share = (seconds.unwrap_or_default() / total * 1000.0).clamp(0.0, 1000.0) as u32;
        let text = seconds.map(format_seconds).unwrap_or_default();
        for text in [
            "<td role=\"gridcell\" class=\"n num xp-time\"><i class=\"xp-share\" style=\"width:calc(",
            &share.to_string(),
            "% / 10)\"></i><span>",
            &escape(&text),
            "</span></td>",
        ] {
            out.push_str(text);
        }
    }
    out.push_str("</tr>");
}

fn cell(class: &str, text: &str, out: &mut String) {
    for text in ["<td role=\"gridcell\" class=\"", class, "\">", &escape(text), "</td>"] {
        out.push_str(text);
    }
}

fn hint_row(hint: &Hint, depth: usize, measured: bool, out: &mut String) {
    let place = place_text(hint.place);
    for text in [
        "<tr role=\"row\" class=\"xp-hint\" data-t=\"explain-hint\" tabindex=\"-1\" aria-level=\"",
        &(depth + 1).to_string(),
        "\" data-kind=\"",
        &escape(&hint.kind),
        "\" data-place=\"",
        &place,
        "\"><td role=\"gridcell\" colspan=\"",
        if measured { "5" } else { "4" },
        "\" style=\"--depth:",
        &depth.min(12).to_string(),
        "\"><span class=\"xp-advice\"><svg class=\"",
        Glyph::Info.class(),
        "\" viewBox=\"0 0 16 16\" aria-hidden=\"true\">",
        Glyph::Info.drawing(),
        "</svg> <span>",
        &escape(&hint.text),
        "</span> ",
    ] {
        out.push_str(text);
    }
    if let Some(instead) = &hint.replacement {
        let instead = escape(instead);
        for text in [
            "<span class=\"xp-instead\"><code class=\"mono small\">",
            &instead,
            "</code><button class=\"btn out\" data-t=\"explain-apply\" data-instead=\"",
            &instead,
            "\">Write this</button></span>",
        ] {
            out.push_str(text);
        }
    }
    out.push_str("</span></td></tr>");
}

/// What the button of a hint writes, if an event comes from one.
fn instead_of(event: &web_sys::Event) -> Option<String> {
    let element = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    element.closest("[data-instead]").ok()??.get_attribute("data-instead")
}

/// Arrows walk the rows, as the pattern of a tree grid has it: up and down, left to the part above, right into it.
fn move_focus(event: &KeyboardEvent, body: NodeRef<html::Tbody>) {
    let Some(body) = body.get_untracked() else { return };
    let rows: Vec<HtmlElement> = {
        let found = body.children();
        (0..found.length()).filter_map(|at| found.item(at)?.dyn_into().ok()).collect()
    };
    let Some(here) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else { return };
    let Some(at) = rows.iter().position(|row| *row == here) else { return };
    let level = |row: &HtmlElement| row.get_attribute("aria-level").and_then(|level| level.parse::<u32>().ok());
    let wanted = match event.key().as_str() {
        "ArrowDown" => Some(at + 1),
        "ArrowUp" => at.checked_sub(1),
        "ArrowLeft" => (0..at).rev().find(|other| level(&rows[*other]) < level(&here)),
        "ArrowRight" => rows.get(at + 1).filter(|next| level(next) > level(&here)).map(|_| at + 1),
        "Home" => Some(0),
        "End" => rows.len().checked_sub(1),
        _ => return,
    };
    event.prevent_default();
    if let Some(row) = wanted.and_then(|at| rows.get(at)) {
        let _ = here.set_attribute("tabindex", "-1");
        let _ = row.set_attribute("tabindex", "0");
        let _ = row.focus();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::explain::Estimate;

    fn node(kind: &str, children: Vec<Node>) -> Node {
        Node {
            place: Place { start: 0, end: 1 },
            kind: kind.to_owned(),
            title: kind.to_owned(),
            value_type: "vector".to_owned(),
            metric_type: "gauge".to_owned(),
            unit: Some("bytes".to_owned()),
            estimate: Estimate { series: Some(1), samples: None, bytes: None },
            cost: None,
            hints: Vec::new(),
            children,
        }
    }

    #[test]
    fn parentheses_are_no_rows() {
        let inner = node("parentheses", vec![node("function", vec![node("selector", Vec::new())])]);
        let tree = node("operator", vec![inner, node("number", Vec::new())]);
        let said: Vec<String> = parts(&tree)
            .iter()
            .map(|part| format!("{} {} {}/{}", part.depth, part.node.kind, part.at + 1, part.of))
            .collect();
        assert_eq!(said, ["0 operator 1/1", "1 function 1/2", "2 selector 1/1", "1 number 2/2"]);
    }

    #[test]
    fn rows_hold_no_markup_of_others() {
        let mut one = node("selector", Vec::new());
        one.title = "up{a=\"<b>&\"}".to_owned();
        one.hints.push(Hint {
            kind: "k\" onclick=\"".to_owned(),
            place: Place { start: 2, end: 3 },
            text: "<script>".to_owned(),
            replacement: Some("x\"<".to_owned()),
        });
        let text = rows(&parts(&one), 0.0);
        assert!(
            text.contains("up{a=&quot;&lt;b&gt;&amp;&quot;}") && text.contains("data-instead=\"x&quot;&lt;\""),
            "{text}"
        );
        assert!(!text.contains("<script>") && !text.contains("onclick=\""), "{text}");
        assert_eq!((text.matches("<tr").count(), text.matches("</tr>").count()), (2, 2));
    }

    #[test]
    fn words() {
        let mut one = node("function", Vec::new());
        assert_eq!(describe(&one), "function · gauge, bytes");
        one.unit = Some("1".to_owned());
        one.metric_type = "unknown".to_owned();
        assert_eq!(describe(&one), "function · plain number");
        one.unit = None;
        assert_eq!(describe(&one), "function");
        assert_eq!(number(Some(1_234_567), "locale"), "1,234,567");
        assert_eq!(number(None, "bytes"), "–");
    }

    #[test]
    fn the_marked_place_is_cut_out() {
        let expr = "sum(rate(x[5m]))";
        for (start, end) in [(4, 15), (0, 16), (9, 14), (0, 0), (10, 12), (40, 50)] {
            let all = marked(expr, Some(Place { start, end }));
            let whole: String = all.iter().map(|(text, ..)| text.as_str()).collect();
            assert_eq!(whole, expr);
            let on: String = all.iter().filter(|(.., on)| *on).map(|(text, ..)| text.as_str()).collect();
            assert_eq!(on, expr.get(start..end).unwrap_or_default());
        }
    }
}
