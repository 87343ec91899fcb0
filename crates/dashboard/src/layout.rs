//! The grid: 24 columns, rows of 30 px with 8 px between; moving, resizing, adding, removing, folding.

use crate::model::{Dashboard, GRID_COLUMNS, GridPos, Panel, panel_json_mut};
use crate::sorting::Order;
use serde_json::{Value, json};

/// Height of a grid row, and the gap around panels, in px.
pub const ROW_PX: f64 = 30.0;
pub const GAP_PX: f64 = 8.0;

/// A rectangle in px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

/// Pixels of a grid position, at a width of the whole grid.
pub fn to_pixels(grid: GridPos, width_px: f64) -> Rect {
    let columns = f64::from(GRID_COLUMNS);
    let column = (width_px - GAP_PX * (columns - 1.0)) / columns;
    Rect {
        x: (f64::from(grid.x) * (column + GAP_PX)).round(),
        y: f64::from(grid.y) * (ROW_PX + GAP_PX),
        w: (f64::from(grid.w) * column + f64::from(grid.w.saturating_sub(1)) * GAP_PX).round(),
        h: f64::from(grid.h) * ROW_PX + f64::from(grid.h.saturating_sub(1)) * GAP_PX,
    }
}

/// The grid cell nearest to a point in px: column, row.
pub fn cell_at(x_px: f64, y_px: f64, width_px: f64) -> (u32, u32) {
    let columns = f64::from(GRID_COLUMNS);
    let column = (width_px + GAP_PX) / columns;
    let x = (x_px / column).round().clamp(0.0, columns - 1.0);
    (x as u32, (y_px / (ROW_PX + GAP_PX)).round().clamp(0.0, 1e6) as u32)
}

/// Height in px of a grid with these positions.
pub fn height_px(positions: impl Iterator<Item = GridPos>) -> f64 {
    let rows = positions.map(|grid| grid.y + grid.h).max().unwrap_or(0);
    f64::from(rows) * (ROW_PX + GAP_PX)
}

fn overlap(a: GridPos, b: GridPos) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

/// Moves every item up as far as nothing is in the way, in order of place; `fixed` keeps its place and pushes.
pub fn compact(positions: &mut [GridPos], fixed: Option<usize>) {
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.order_by_key(|at| (positions[*at].y, positions[*at].x, *at));
    let mut placed: Vec<GridPos> = Vec::with_capacity(positions.len());
    if let Some(at) = fixed {
        placed.push(positions[at]);
    }
    for at in order {
        if Some(at) == fixed {
            continue;
        }
        let mut grid = positions[at];
        // Down until free, then up as far as it stays free.
        while let Some(hit) = placed.iter().find(|other| overlap(grid, **other)) {
            grid.y = hit.y + hit.h;
        }
        while let Some(up) = grid.y.checked_sub(1) {
            let tried = GridPos { y: up, ..grid };
            if placed.iter().any(|other| overlap(tried, *other)) {
                break;
            }
            grid = tried;
        }
        positions[at] = grid;
        placed.push(grid);
    }
    if let Some(fixed) = fixed {
        // The item that was held rises last.
        let others: Vec<GridPos> = (0..positions.len()).filter(|at| *at != fixed).map(|at| positions[at]).collect();
        while positions[fixed].y > 0 {
            let tried = GridPos { y: positions[fixed].y - 1, ..positions[fixed] };
            if others.iter().any(|other| overlap(tried, *other)) {
                break;
            }
            positions[fixed] = tried;
        }
    }
}

/// Positions after one item was moved or resized to `to`; the others make room and close gaps.
pub fn moved(positions: &[GridPos], item: usize, to: GridPos) -> Vec<GridPos> {
    let mut out = positions.to_vec();
    let Some(slot) = out.get_mut(item) else { return out };
    let w = to.w.clamp(1, GRID_COLUMNS);
    *slot = GridPos { w, h: to.h.max(1), x: to.x.min(GRID_COLUMNS - w), y: to.y };
    compact(&mut out, Some(item));
    out
}

fn top_level(json: &Value) -> Vec<Panel> {
    json.get("panels")
        .and_then(Value::as_array)
        .map(|panels| panels.iter().map(Panel::read).collect())
        .unwrap_or_default()
}

fn write_positions(json: &mut Value, panels: &[Panel], positions: &[GridPos]) {
    let Some(list) = json.get_mut("panels").and_then(Value::as_array_mut) else { return };
    for ((panel, before), grid) in list.iter_mut().zip(panels).zip(positions) {
        if let Value::Object(map) = panel
            && before.grid != *grid
        {
            map.insert("gridPos".to_owned(), grid.to_json());
        }
    }
}

/// Moves or resizes a panel of the top level, in the JSON. Answers whether it is there.
pub fn move_panel(json: &mut Value, id: i64, to: GridPos) -> bool {
    let panels = top_level(json);
    let Some(at) = panels.iter().position(|panel| panel.id == id) else { return false };
    let to = if panels[at].is_row() { GridPos { x: 0, w: GRID_COLUMNS, h: 1, ..to } } else { to };
    let positions: Vec<GridPos> = panels.iter().map(|panel| panel.grid).collect();
    write_positions(json, &panels, &moved(&positions, at, to));
    sort_by_place(json);
    true
}

/// The stored order is the reading order; rows rely on it.
fn sort_by_place(json: &mut Value) {
    if let Some(list) = json.get_mut("panels").and_then(Value::as_array_mut) {
        list.order_by_key(|panel| {
            let grid = Panel::read(panel).grid;
            (grid.y, grid.x)
        });
    }
}

/// Adds a panel where it fits first at the given size, below everything else if nowhere. Answers its id.
pub fn add_panel(json: &mut Value, mut panel: Value) -> i64 {
    let dashboard = Dashboard::read(json.clone());
    let id = dashboard.next_panel_id();
    let size = Panel::read(&panel).grid;
    let taken: Vec<GridPos> = dashboard.panels.iter().map(|panel| panel.grid).collect();
    let bottom = taken.iter().map(|grid| grid.y + grid.h).max().unwrap_or(0);
    let place = (0..=bottom)
        .flat_map(|y| (0..=GRID_COLUMNS - size.w).map(move |x| GridPos { x, y, ..size }))
        .find(|grid| !taken.iter().any(|other| overlap(*grid, *other)))
        .unwrap_or(GridPos { x: 0, y: bottom, ..size });
    if let Value::Object(map) = &mut panel {
        map.insert("id".to_owned(), json!(id));
        map.insert("gridPos".to_owned(), place.to_json());
    }
    if let Value::Object(map) = json {
        let panels = map.entry("panels").or_insert_with(|| json!([]));
        if let Value::Array(list) = panels {
            list.push(panel);
        }
    }
    sort_by_place(json);
    id
}

/// A copy of a panel beside or below it. Answers the copy's id.
pub fn duplicate_panel(json: &mut Value, id: i64) -> Option<i64> {
    let copy = panel_json_mut(json, id)?.clone();
    Some(add_panel(json, copy))
}

/// Removes a panel or a row; what was in an open row stays. Answers whether it was there.
pub fn remove_panel(json: &mut Value, id: i64) -> bool {
    fn remove(list: &mut Vec<Value>, id: i64) -> bool {
        let before = list.len();
        list.retain(|panel| panel.get("id").and_then(Value::as_i64) != Some(id));
        before != list.len()
            || list.iter_mut().any(|panel| {
                panel.get_mut("panels").and_then(Value::as_array_mut).is_some_and(|inner| remove(inner, id))
            })
    }
    let removed = json.get_mut("panels").and_then(Value::as_array_mut).is_some_and(|list| remove(list, id));
    if removed {
        compact_json(json);
    }
    removed
}

/// Closes the gaps of the stored grid.
pub fn compact_json(json: &mut Value) {
    let panels = top_level(json);
    let mut positions: Vec<GridPos> = panels.iter().map(|panel| panel.grid).collect();
    compact(&mut positions, None);
    write_positions(json, &panels, &positions);
}

/// Opens or closes a row: its panels move into it or out of it, and everything below moves along.
pub fn set_collapsed(json: &mut Value, row_id: i64, collapsed: bool) -> bool {
    let Some(list) = json.get_mut("panels").and_then(Value::as_array_mut) else { return false };
    let is_row = |panel: &Value| panel.get("type").and_then(Value::as_str) == Some("row");
    let Some(at) =
        list.iter().position(|panel| is_row(panel) && panel.get("id").and_then(Value::as_i64) == Some(row_id))
    else {
        return false;
    };
    if list[at].get("collapsed").and_then(Value::as_bool).unwrap_or(false) == collapsed {
        return true;
    }
    let row_y = Panel::read(&list[at]).grid.y;
    let shift = |panel: &mut Value, by: i64| {
        let grid = Panel::read(panel).grid;
        let y = (i64::from(grid.y) + by).clamp(0, 1_000_000) as u32;
        if let Value::Object(map) = panel {
            map.insert("gridPos".to_owned(), GridPos { y, ..grid }.to_json());
        }
    };
    if collapsed {
        let end = list[at + 1..].iter().position(is_row).map_or(list.len(), |next| at + 1 + next);
        let inside: Vec<Value> = list.drain(at + 1..end).collect();
        let bottom =
            inside.iter().map(|panel| Panel::read(panel).grid).map(|grid| grid.y + grid.h).max().unwrap_or(row_y + 1);
        for panel in &mut list[at + 1..] {
            shift(panel, i64::from(row_y) + 1 - i64::from(bottom));
        }
        if let Value::Object(row) = &mut list[at] {
            row.insert("panels".to_owned(), Value::Array(inside));
            row.insert("collapsed".to_owned(), json!(true));
        }
    } else {
        let mut inside = match &mut list[at] {
            Value::Object(row) => {
                row.insert("collapsed".to_owned(), json!(false));
                match row.insert("panels".to_owned(), json!([])) {
                    Some(Value::Array(inside)) => inside,
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        };
        let top = inside.iter().map(|panel| Panel::read(panel).grid.y).min().unwrap_or(row_y + 1);
        let move_by = i64::from(row_y) + 1 - i64::from(top);
        for panel in &mut inside {
            shift(panel, move_by);
        }
        let bottom =
            inside.iter().map(|panel| Panel::read(panel).grid).map(|grid| grid.y + grid.h).max().unwrap_or(row_y + 1);
        for panel in &mut list[at + 1..] {
            shift(panel, i64::from(bottom) - i64::from(row_y) - 1);
        }
        list.splice(at + 1..at + 1, inside);
    }
    true
}

/// A panel placed for the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    pub panel: Panel,
    pub grid: GridPos,
    /// Key of the row it lies under; empty above the first row.
    pub row: String,
}

/// What to draw, top to bottom: rows, and the panels of open rows. `toggled` are rows whose fold differs from the
/// saved one. Positions are compacted, so that nothing overlaps whatever the file says.
pub fn arrange(panels: &[Panel], toggled: &[i64]) -> Vec<Placed> {
    let mut sections: Vec<(Option<&Panel>, Vec<&Panel>)> = vec![(None, Vec::new())];
    let mut sorted: Vec<&Panel> = panels.iter().collect();
    sorted.order_by_key(|panel| (panel.grid.y, panel.grid.x));
    for panel in sorted {
        if panel.is_row() {
            sections.push((Some(panel), panel.panels.iter().collect()));
            // A row that was saved folded holds its panels itself: what follows it is not its own.
            if panel.collapsed {
                sections.push((None, Vec::new()));
            }
        } else if let Some((_, inside)) = sections.last_mut() {
            inside.push(panel);
        }
    }
    let mut out = Vec::new();
    let mut y = 0;
    for (row, inside) in sections {
        let mut row_key = String::new();
        if let Some(row) = row {
            row_key = row.key();
            out.push(Placed {
                panel: row.clone(),
                grid: GridPos { x: 0, y, w: GRID_COLUMNS, h: 1 },
                row: row_key.clone(),
            });
            y += 1;
            if row.collapsed != toggled.contains(&row.id) {
                continue;
            }
        }
        let top = inside.iter().map(|panel| panel.grid.y).min().unwrap_or(0);
        let mut positions: Vec<GridPos> =
            inside.iter().map(|panel| GridPos { y: panel.grid.y - top, ..panel.grid }).collect();
        compact(&mut positions, None);
        let height = positions.iter().map(|grid| grid.y + grid.h).max().unwrap_or(0);
        for (panel, grid) in inside.into_iter().zip(positions) {
            out.push(Placed { panel: panel.clone(), grid: GridPos { y: y + grid.y, ..grid }, row: row_key.clone() });
        }
        y += height;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_follows_a_folded_row_stays() {
        let json = serde_json::json!({"panels": [
            {"id": 1, "type": "row", "collapsed": true, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1},
             "panels": [{"id": 2, "type": "stat", "gridPos": {"x": 0, "y": 1, "w": 6, "h": 4}}]},
            {"id": 3, "type": "stat", "gridPos": {"x": 0, "y": 5, "w": 6, "h": 4}},
        ]});
        let board = crate::import::import(json).unwrap().dashboard;
        let ids = |toggled: &[i64]| arrange(&board.panels, toggled).iter().map(|p| p.panel.id).collect::<Vec<_>>();
        assert_eq!(ids(&[]), [1, 3]);
        assert_eq!(ids(&[1]), [1, 2, 3]);
    }

    #[test]
    fn pixels() {
        let rect = to_pixels(GridPos { x: 12, y: 2, w: 12, h: 8 }, 1192.0);
        assert_eq!(rect, Rect { x: 600.0, y: 76.0, w: 592.0, h: 296.0 });
        assert_eq!(cell_at(600.0, 76.0, 1192.0), (12, 2));
    }

    fn board() -> Value {
        let panel = |id: i64, kind: &str, x: u32, y: u32, w: u32, h: u32| json!({"id": id, "type": kind, "gridPos": {"x": x, "y": y, "w": w, "h": h}});
        json!({"panels": [panel(1, "stat", 0, 0, 12, 4), panel(2, "stat", 12, 0, 12, 4), panel(3, "row", 0, 4, 24, 1), panel(4, "table", 0, 5, 24, 8), panel(5, "row", 0, 13, 24, 1), panel(6, "text", 0, 14, 24, 3)]})
    }

    fn said(json: &Value) -> String {
        Dashboard::read(json.clone())
            .panels
            .iter()
            .map(|panel| {
                format!(
                    "{}@{},{}{}",
                    panel.id,
                    panel.grid.x,
                    panel.grid.y,
                    if panel.panels.is_empty() { String::new() } else { format!("[{}]", panel.panels.len()) }
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn edits() {
        let mut json = board();
        let original = said(&json);
        assert!(set_collapsed(&mut json, 3, true));
        assert_eq!(said(&json), "1@0,0 2@12,0 3@0,4[1] 5@0,5 6@0,6");
        assert!(set_collapsed(&mut json, 3, false));
        assert_eq!(said(&json), original);
        assert!(move_panel(&mut json, 2, GridPos { x: 0, y: 0, w: 12, h: 4 }));
        assert_eq!(said(&json), "2@0,0 1@0,4 3@0,8 4@0,9 5@0,17 6@0,18");
        assert!(remove_panel(&mut json, 1));
        assert_eq!(said(&json), "2@0,0 3@0,4 4@0,5 5@0,13 6@0,14");
        assert_eq!(add_panel(&mut json, json!({"type": "gauge", "gridPos": {"w": 6, "h": 4}})), 7);
        assert_eq!(said(&json), "2@0,0 7@12,0 3@0,4 4@0,5 5@0,13 6@0,14");
        assert_eq!(duplicate_panel(&mut json, 4), Some(8));
        assert!(!remove_panel(&mut json, 99));
    }

    #[test]
    fn folded_rows_are_not_drawn() {
        let dashboard = Dashboard::read(board());
        let keys = |toggled: &[i64]| {
            arrange(&dashboard.panels, toggled)
                .iter()
                .map(|p| format!("{}@{}", p.panel.id, p.grid.y))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(keys(&[]), "1@0 2@0 3@4 4@5 5@13 6@14");
        assert_eq!(keys(&[3]), "1@0 2@0 3@4 5@5 6@6");
    }

    proptest! {
        #[test]
        fn nothing_overlaps(items in prop::collection::vec((0..24u32, 0..40u32, 1..24u32, 1..10u32), 1..25), at in 0..25usize, to in (0..30u32, 0..40u32, 0..30u32, 0..10u32)) {
            let positions: Vec<GridPos> = items.iter().map(|(x, y, w, h)| { let w = *w; GridPos { x: (*x).min(24 - w), y: *y, w, h: *h } }).collect();
            let moved = moved(&positions, at, GridPos { x: to.0, y: to.1, w: to.2, h: to.3 });
            for (i, a) in moved.iter().enumerate() {
                prop_assert!(at >= positions.len() || a.x + a.w <= 24);
                for b in &moved[i + 1..] {
                    prop_assert!(at >= positions.len() || !overlap(*a, *b), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
