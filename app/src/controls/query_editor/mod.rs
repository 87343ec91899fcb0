//! A field for PromQL: coloured and checked as it is typed, with suggestions at the caret.

mod completion;
pub mod text;

use crate::memo::{Show, live, memo};
use completion::{Offer, at_caret, offers};
use leptos::{html, prelude::*, task::spawn_local};
use web_sys::KeyboardEvent;

/// The field. `variables` are names that may stand in the query, with the values they have now; `on_run` is called by
/// Ctrl+Enter. A fault is underlined and told below.
#[component]
pub fn QueryEditor(
    value: RwSignal<String>,
    #[prop(into)] name: String,
    #[prop(optional, into)] variables: Signal<Vec<(String, String)>>,
    #[prop(optional)] on_run: Option<Callback<()>>,
    #[prop(optional, into)] test: MaybeProp<String>,
) -> impl IntoView {
    let area = NodeRef::<html::Textarea>::new();
    let mark = NodeRef::<html::Span>::new();
    let caret = RwSignal::new(0_usize);
    let found = RwSignal::new(Vec::<Offer>::new());
    let chosen = RwSignal::new(0_usize);
    let word_start = RwSignal::new(0_usize);
    let asked = StoredValue::new(0_u64);
    let fault = memo(move || {
        let known = variables.get();
        let value_of = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        value.with(|text| text::check(text, value_of))
    });
    let suggest = move || {
        let text = value.get_untracked();
        let Some((start, word, wanted)) = at_caret(&text, caret.get_untracked()) else { return };
        let mine = asked.try_update_value(|asked| {
            *asked += 1;
            *asked
        });
        if word.is_empty() && wanted == completion::Wanted::Expression {
            found.set(Vec::new());
            return;
        }
        let names: Vec<String> = variables.with_untracked(|known| known.iter().map(|(name, _)| name.clone()).collect());
        spawn_local(async move {
            let offers = offers(&word, wanted, &names).await;
            if asked.try_get_value() == mine {
                word_start.set(start);
                chosen.set(0);
                found.set(offers);
            }
        });
    };
    let close = move || {
        asked.update_value(|asked| *asked += 1);
        found.set(Vec::new());
    };
    let take = move |index: usize| {
        let Some(offer) = found.with_untracked(|found| found.get(index).cloned()) else { return };
        let (start, end) = (word_start.get_untracked(), caret.get_untracked());
        close();
        value.update(|text| {
            if text.get(start..end).is_some() {
                text.replace_range(start..end, &offer.insert);
            }
        });
        let after = start + offer.insert.len();
        caret.set(after);
        request_animation_frame(move || {
            if let Some(area) = area.get_untracked() {
                let at =
                    value.with_untracked(|text| text.get(..after).map_or(0, |text| text.encode_utf16().count())) as u32;
                let _ = area.focus();
                let _ = area.set_selection_range(at, at);
            }
        });
    };
    let read_caret = move || {
        if let Some(area) = area.get_untracked() {
            let units = area.selection_start().ok().flatten().unwrap_or(0) as usize;
            caret.set(value.with_untracked(|text| byte_of_utf16(text, units)));
        }
    };
    let keys = move |event: KeyboardEvent| {
        let count = found.with_untracked(Vec::len);
        let stop = || {
            event.prevent_default();
            event.stop_propagation();
        };
        match event.key().as_str() {
            "Enter" if event.ctrl_key() || event.meta_key() => {
                stop();
                close();
                if let Some(run) = on_run {
                    run.run(());
                }
            }
            "Escape" if count > 0 => {
                stop();
                close();
            }
            "ArrowDown" if count > 0 => {
                stop();
                chosen.update(|chosen| *chosen = (*chosen + 1) % count);
            }
            "ArrowUp" if count > 0 => {
                stop();
                chosen.update(|chosen| *chosen = (*chosen + count - 1) % count);
            }
            "Enter" | "Tab" if count > 0 => {
                stop();
                take(chosen.get_untracked());
            }
            " " if event.ctrl_key() => {
                stop();
                read_caret();
                suggest();
            }
            _ => {}
        }
    };
    let input = move |event| {
        value.set(event_target_value(&event));
        read_caret();
        suggest();
    };
    let coloured = move || {
        let fault = fault.get();
        value.with(|text| {
            let caret = caret.get().min(text.len());
            let mut at = 0;
            let mut marked = false;
            let mut views = Vec::new();
            for piece in text::pieces(text, fault.as_ref()) {
                let length = piece.text.len();
                let class = format!("{}{}", piece.class, if piece.fault { " squig" } else { "" });
                let split = caret.saturating_sub(at);
                if !marked && split <= length && piece.text.is_char_boundary(split) {
                    let (left, right) = piece.text.split_at(split);
                    marked = true;
                    views.push(
                        view! {
                            <span class=class.clone()>{left.to_owned()}</span>
                            <span class="caret-mark" node_ref=mark></span>
                            <span class=class>{right.to_owned()}</span>
                        }
                        .into_any(),
                    );
                } else {
                    views.push(view! { <span class=class>{piece.text}</span> }.into_any());
                }
                at += length;
            }
            views
        })
    };
    view! {
        <div class="code-field" data-state=move || if fault.with(Option::is_some) { "fault" } else { "ok" }>
            <div class="code" class:bad=move || fault.with(Option::is_some)>
                <pre aria-hidden="true">{coloured}"\u{200b}"</pre>
                <textarea
                    node_ref=area
                    aria-label=name
                    aria-invalid=move || fault.with(Option::is_some).to_string()
                    aria-autocomplete="list"
                    spellcheck="false"
                    autocomplete="off"
                    autocapitalize="off"
                    data-t=move || test.get()
                    prop:value=value
                    on:input=input
                    on:keydown=keys
                    on:click=move |_| { read_caret(); close(); }
                    on:blur=move |_| close()
                ></textarea>
                <Offers found chosen mark take=Callback::new(take) />
            </div>
            <div class="code-diag" role="status">
                {live(move || fault.get().map(|fault| view! { <span class="hint bad" data-t="query-fault">{fault.message}</span> }))}
            </div>
        </div>
    }
}

/// The list below the caret.
#[component]
fn Offers(
    found: RwSignal<Vec<Offer>>,
    chosen: RwSignal<usize>,
    mark: NodeRef<html::Span>,
    take: Callback<usize>,
) -> impl IntoView {
    let place = move || {
        found.track();
        mark.get_untracked()
            .map_or_else(String::new, |mark| format!("left:{}px;top:{}px", mark.offset_left(), mark.offset_top() + 24))
    };
    let items = move || {
        let now = chosen.get();
        found.with(|found| {
            found
                .iter()
                .enumerate()
                .map(|(i, offer)| {
                    let press = move |event: web_sys::MouseEvent| {
                        // The field keeps the focus.
                        event.prevent_default();
                        take.run(i);
                    };
                    let on = i == now;
                    let item = NodeRef::<html::Li>::new();
                    Effect::new(move |_| {
                        if on && let Some(item) = item.get() {
                            let options = js_sys::Object::new();
                            let _ = js_sys::Reflect::set(&options, &"block".into(), &"nearest".into());
                            let _ = js_sys::Reflect::get(&item, &"scrollIntoView".into())
                                .map(js_sys::Function::from)
                                .and_then(|scroll| scroll.call1(&item, &options));
                        }
                    });
                    view! {
                        <li node_ref=item role="option" class:on=on aria-selected=on.to_string() on:mousedown=press title=offer.doc.clone()>
                            <span class="ell">{offer.label.clone()}</span>
                            <em>{offer.kind}</em>
                        </li>
                    }
                })
                .collect_view()
        })
    };
    view! {
        <Show when=move || found.with(|found| !found.is_empty())>
            <ul class="pop comp" role="listbox" aria-label="Suggestions" style=place data-t="suggestions">{items}</ul>
        </Show>
    }
}

fn byte_of_utf16(text: &str, units: usize) -> usize {
    let mut left = units;
    for (byte, c) in text.char_indices() {
        if left == 0 {
            return byte;
        }
        left = left.saturating_sub(c.len_utf16());
    }
    text.len()
}
