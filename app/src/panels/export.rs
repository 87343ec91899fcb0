//! A panel's data as a file.

use super::PanelInput;
use dashboard::frame::{Cell, Frame};
use leptos::prelude::*;
use wasm_bindgen::{JsCast as _, JsValue};

/// Hands the browser a CSV file of what the panel shows.
pub fn download_csv(input: PanelInput) {
    let text = input.data.with_untracked(|data| data.as_ref().map(|data| csv(&data.frames))).unwrap_or_default();
    let title = input.panel.with_untracked(|panel| dashboard::model::slug(&panel.title));
    download(&format!("{title}.csv"), "text/csv;charset=utf-8", &text);
}

/// Hands the browser a file.
pub fn download(name: &str, kind: &str, text: &str) {
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(kind);
    let Ok(blob) = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options) else { return };
    let Ok(url) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Some(anchor) =
        document().create_element("a").ok().and_then(|a| a.dyn_into::<web_sys::HtmlAnchorElement>().ok())
    {
        anchor.set_href(&url);
        anchor.set_download(name);
        anchor.click();
    }
    let _ = web_sys::Url::revoke_object_url(&url);
}

/// Frames that share their times become one table with a column each; others follow one another.
pub fn csv(frames: &[Frame]) -> String {
    let mut out = String::new();
    let times = |frame: &Frame| frame.time_field().and_then(|field| field.times().map(<[i64]>::to_vec));
    let same = frames.len() > 1
        && frames.windows(2).all(|pair| times(&pair[0]) == times(&pair[1]) && times(&pair[0]).is_some());
    if same {
        let mut wide = frames[0].clone();
        wide.fields.extend(frames.iter().skip(1).flat_map(|frame| frame.fields.iter().skip(1).cloned()));
        push_frame(&mut out, &wide);
        return out;
    }
    for frame in frames {
        if !out.is_empty() {
            out.push('\n');
        }
        push_frame(&mut out, frame);
    }
    out
}

fn push_frame(out: &mut String, frame: &Frame) {
    let heads: Vec<String> = frame.fields.iter().map(|field| quoted(&field.display_name)).collect();
    out.push_str(&heads.join(","));
    out.push('\n');
    for row in 0..frame.rows() {
        let cells: Vec<String> = frame
            .fields
            .iter()
            .map(|field| match field.cell(row) {
                Cell::Time(ms) => String::from(js_sys::Date::new(&JsValue::from_f64(ms as f64)).to_iso_string()),
                cell => quoted(&cell.to_text()),
            })
            .collect();
        out.push_str(&cells.join(","));
        out.push('\n');
    }
}

/// A text that a spreadsheet could take for a formula gets a quote in front.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '@', '\t']) || (text.starts_with('-') && text.parse::<f64>().is_err());
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
