//! Import of a dashboard that came as JSON: pasted, dropped or chosen; a report before anything is stored.

use crate::memo::live;
use crate::{
    client,
    controls::{
        dialog::Dialog,
        icon::{Glyph, Icon},
        notice::use_notices,
    },
    router::{self, Go},
};
use api::dashboards::SaveDashboard;
use dashboard::import::{Import, ImportReport, fill_inputs, import_text};
use leptos::{html, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{DragEvent, File, FileReader};

/// The window.
#[component]
pub fn ImportDialog(open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Dialog open title="Import a dashboard" wide=true test="import-dialog">
            <Form open />
        </Dialog>
    }
}

#[component]
fn Form(open: RwSignal<bool>) -> impl IntoView {
    let text = RwSignal::new(String::new());
    let over = RwSignal::new(false);
    let busy = RwSignal::new(false);
    let fault = RwSignal::new(None::<String>);
    let chooser = NodeRef::<html::Input>::new();
    let notices = use_notices();
    let read = Memo::new_with_compare(
        move |_| {
            text.with(|text| {
                (!text.trim().is_empty())
                    .then(|| import_text(text).map(StoredImport::from).map_err(|error| error.to_string()))
            })
        },
        |before, now| before != now,
    );
    let dropped = move |event: DragEvent| {
        event.prevent_default();
        over.set(false);
        let Some(transfer) = event.data_transfer() else { return };
        match first_file(&transfer) {
            Some(file) => load(&file, text),
            None => {
                if let Ok(dragged) = transfer.get_data("text") {
                    text.set(dragged);
                }
            }
        }
    };
    let chosen = move |_| {
        if let Some(file) = chooser.get_untracked().and_then(|input| first_file(&input)) {
            load(&file, text);
        }
    };
    let good = move || read.with(|read| matches!(read, Some(Ok(_))));
    let save = move |_| {
        let Some(Ok(import)) = read.get_untracked() else { return };
        busy.set(true);
        fault.set(None);
        spawn_local(async move {
            let mut dashboard = import.json;
            // What an export left open is answered by the default source.
            let answers: Vec<(String, String)> =
                import.report.inputs.iter().map(|(name, _)| (name.clone(), String::new())).collect();
            fill_inputs(&mut dashboard, &answers);
            if let serde_json::Value::Object(map) = &mut dashboard {
                map.insert("id".to_owned(), serde_json::Value::Null);
                map.insert("version".to_owned(), 0.into());
            }
            let request = SaveDashboard {
                dashboard,
                message: "Imported".to_owned(),
                overwrite: false,
                folder_uid: String::new(),
            };
            let answer = client::dashboards::save_dashboard(&request).await;
            busy.try_set(false);
            match answer {
                Ok(saved) => {
                    open.set(false);
                    notices.done("Imported.");
                    router::go(&format!("/d/{}/{}", saved.uid, saved.slug), Go::Visit);
                }
                Err(error) => fault.set(Some(error.to_string())),
            }
        });
    };
    view! {
        <div class="dlg-body">
            <div class="drop" class:over=over on:dragover=move |event: DragEvent| { event.prevent_default(); over.set(true) } on:dragleave=move |_| over.set(false) on:drop=dropped>
                "Drop a JSON file here, or "
                <button type="button" class="btn out" on:click=move |_| if let Some(input) = chooser.get_untracked() { input.click() }>{Icon::Upload.view()} "choose one"</button>
                <input type="file" accept=".json,application/json" hidden node_ref=chooser on:change=chosen />
            </div>
            <label class="stack">
                <span class="sec">"Or paste it"</span>
                <textarea class="inp mono" rows="8" data-t="import-json" placeholder="{ \"title\": …, \"panels\": … }" prop:value=text on:input=move |event| text.set(event_target_value(&event))></textarea>
            </label>
            {live(move || match read.get() {
                None => ().into_any(),
                Some(Err(why)) => view! { <p class="hint bad" role="alert" data-t="import-fault">{why}</p> }.into_any(),
                Some(Ok(import)) => view! { <Report title=import.title report=import.report /> }.into_any(),
            })}
            {live(move || fault.get().map(|fault| view! { <p class="hint bad" role="alert">{fault}</p> }))}
        </div>
        <footer>
            <button type="button" class="btn" on:click=move |_| open.set(false)>"Cancel"</button>
            <button type="button" class="btn pri" data-t="import-confirm" disabled=move || !good() || busy.get() on:click=save>"Import"</button>
        </footer>
    }
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
struct StoredImport {
    title: String,
    json: serde_json::Value,
    report: ImportReport,
}

impl From<Import> for StoredImport {
    fn from(import: Import) -> Self {
        StoredImport {
            title: import.dashboard.title.clone(),
            json: import.dashboard.into_json(),
            report: import.report,
        }
    }
}

/// What becomes of everything in the file.
#[component]
fn Report(title: String, report: ImportReport) -> impl IntoView {
    let good = |text: String| view! { <li>{Glyph::Ok.view()} <span>{text}</span></li> }.into_any();
    let note = |text: String| view! { <li>{Glyph::Info.view()} <span>{text}</span></li> }.into_any();
    let warn = |text: String| view! { <li>{Glyph::Warning.view()} <span>{text}</span></li> }.into_any();
    let mut lines = vec![good(format!("\"{title}\" with {} panels", report.panels))];
    lines.extend(report.migrated.iter().map(|what| note(format!("Brought up to date: {what}"))));
    lines.extend(
        report.inputs.iter().map(|(name, kind)| note(format!("Input {name} ({kind}) takes the default source"))),
    );
    lines.extend(
        report
            .unknown_panels
            .iter()
            .map(|(kind, count)| warn(format!("{count} × \"{kind}\": not drawn yet, its data is shown as a table"))),
    );
    lines.extend(
        report
            .unknown_transformations
            .iter()
            .map(|(id, count)| warn(format!("{count} × transformation \"{id}\": kept, skipped"))),
    );
    lines.extend(
        report.unknown_variables.iter().map(|kind| warn(format!("Variable of kind \"{kind}\": kept, not asked"))),
    );
    lines.extend(report.notes.into_iter().map(note));
    view! { <ul class="report" data-t="import-report">{lines}</ul> }
}

/// The first file that was dropped or chosen.
fn first_file(holder: &wasm_bindgen::JsValue) -> Option<File> {
    let files = js_sys::Reflect::get(holder, &"files".into()).ok()?;
    js_sys::Reflect::get_u32(&files, 0).ok()?.dyn_into::<File>().ok()
}

fn load(file: &File, text: RwSignal<String>) {
    let Ok(reader) = FileReader::new() else { return };
    let finished = reader.clone();
    let done = Closure::once_into_js(move || {
        if let Some(content) = finished.result().ok().and_then(|result| result.as_string()) {
            text.set(content);
        }
    });
    reader.set_onload(Some(done.unchecked_ref()));
    let _ = reader.read_as_text(file);
}
