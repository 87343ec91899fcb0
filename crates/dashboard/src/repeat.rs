//! Panels and rows repeated for the values of a variable. Copies have stable keys and are never stored.

use crate::sorting::Order;
use crate::{
    interpolate::VariableValue,
    model::{GRID_COLUMNS, GridPos, Panel, RepeatDirection, RepeatedFrom},
};

/// Copies of one panel; a variable of ten thousand values is no reason to draw ten thousand panels.
pub const COPIES_MAX: usize = 200;

/// Replaces every panel and row with `repeat` by one copy per selected value. Give the result to
/// [`crate::layout::arrange`].
pub fn expand(panels: &[Panel], variables: &[VariableValue]) -> Vec<Panel> {
    let mut sections: Vec<(Option<Panel>, Vec<Panel>)> = vec![(None, Vec::new())];
    let mut sorted: Vec<&Panel> = panels.iter().collect();
    sorted.order_by_key(|panel| (panel.grid.y, panel.grid.x));
    for panel in sorted {
        if panel.is_row() {
            let inside = panel.panels.clone();
            let mut row = panel.clone();
            row.panels.clear();
            sections.push((Some(row), inside));
        } else if let Some((_, inside)) = sections.last_mut() {
            inside.push(panel.clone());
        }
    }
    let mut out = Vec::new();
    let mut y = 0;
    for (row, inside) in sections {
        let top = inside.iter().map(|panel| panel.grid.y).min().unwrap_or(0);
        match row {
            None => y = place(&mut out, inside, top, y, variables, None),
            Some(row) => {
                for (copy, scoped) in copies(&row, variables) {
                    let saved = copy.repeated.clone();
                    let mut copy = copy.placed(GridPos { x: 0, y, w: GRID_COLUMNS, h: 1 });
                    let mut below = Vec::new();
                    let bottom =
                        place(&mut below, inside.clone(), top, y + 1, variables, scoped.map(|scoped| (saved, scoped)));
                    if copy.collapsed {
                        copy.panels = below;
                        out.push(copy);
                        y += 1;
                    } else {
                        out.push(copy);
                        out.extend(below);
                        y = bottom;
                    }
                }
            }
        }
    }
    out
}

type Scoped = (String, String, String);

/// The panel once per value, with what stands in for the variable; once as it is if nothing repeats it.
fn copies(panel: &Panel, variables: &[VariableValue]) -> Vec<(Panel, Option<Scoped>)> {
    let variable = variables.iter().find(|variable| !panel.repeat.is_empty() && variable.name == panel.repeat);
    let Some(variable) = variable.filter(|variable| !variable.values.is_empty()) else {
        return vec![(panel.clone(), None)];
    };
    variable
        .values
        .iter()
        .take(COPIES_MAX)
        .enumerate()
        .map(|(at, value)| {
            let text = variable.texts.get(at).cloned().unwrap_or_else(|| value.clone());
            let scoped = (variable.name.clone(), value.clone(), text);
            let key = if at == 0 { panel.id.to_string() } else { format!("{}-clone-{at}", panel.id) };
            let repeated = RepeatedFrom { source_id: panel.id, key, scoped: vec![scoped.clone()] };
            {
                let mut copy = panel.clone();
                copy.repeated = Some(repeated);
                (copy, Some(scoped))
            }
        })
        .collect()
}

/// Places panels of one section from `y` on; answers where the next begins.
fn place(
    out: &mut Vec<Panel>,
    inside: Vec<Panel>,
    top: u32,
    y: u32,
    variables: &[VariableValue],
    row: Option<(Option<RepeatedFrom>, Scoped)>,
) -> u32 {
    let (mut bottom, mut pushed) = (y, 0);
    for panel in inside {
        let copies = copies(&panel, variables);
        let count = copies.len() as u32;
        let own_y = y + panel.grid.y - top + pushed;
        let (columns, w) = match panel.repeat_direction {
            RepeatDirection::Horizontal if count > 1 => {
                let columns = panel.max_per_row.min(count).max(1);
                (columns, GRID_COLUMNS / columns)
            }
            _ => (1, panel.grid.w),
        };
        for (at, (mut copy, scoped)) in copies.into_iter().enumerate() {
            let at = at as u32;
            let x = if count > 1 && panel.repeat_direction == RepeatDirection::Horizontal {
                at % columns * w
            } else {
                panel.grid.x
            };
            let grid = GridPos { x, y: own_y + at / columns * panel.grid.h, w, h: panel.grid.h };
            if let Some((Some(row), row_scoped)) = &row {
                let mut all: Vec<Scoped> = scoped.into_iter().collect();
                all.push(row_scoped.clone());
                let own = copy.key();
                let key = if row.key == row.source_id.to_string() { own } else { format!("{}/{own}", row.key) };
                copy.repeated = Some(RepeatedFrom { source_id: panel.id, key, scoped: all });
            }
            bottom = bottom.max(grid.y + grid.h);
            out.push(copy.placed(grid));
        }
        pushed += count.div_ceil(columns).saturating_sub(1) * panel.grid.h;
    }
    bottom
}

/// The values that stand in for variables in a copy, for [`crate::interpolate::Scope::scoped`].
pub fn scoped_values(panel: &Panel) -> Vec<VariableValue> {
    let Some(repeated) = &panel.repeated else { return Vec::new() };
    repeated
        .scoped
        .iter()
        .map(|(name, value, text)| VariableValue {
            name: name.clone(),
            values: vec![value.clone()],
            texts: vec![text.clone()],
            multi: true,
            ..VariableValue::default()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn panels_and_rows() {
        let panels: Vec<Panel> = [
            json!({"id": 1, "type": "stat", "repeat": "env", "maxPerRow": 2, "gridPos": {"x": 0, "y": 0, "w": 24, "h": 4}}),
            json!({"id": 2, "type": "text", "gridPos": {"x": 0, "y": 4, "w": 24, "h": 2}}),
            json!({"id": 3, "type": "row", "repeat": "job", "gridPos": {"x": 0, "y": 6, "w": 24, "h": 1}}),
            json!({"id": 4, "type": "table", "gridPos": {"x": 0, "y": 7, "w": 12, "h": 3}}),
        ]
        .iter()
        .map(Panel::read)
        .collect();
        let variable = |name: &str, values: &[&str]| VariableValue {
            name: name.into(),
            values: values.iter().map(|v| (*v).into()).collect(),
            ..VariableValue::default()
        };
        let out = expand(&panels, &[variable("env", &["a", "b", "c"]), variable("job", &["x", "y"])]);
        let said: Vec<String> =
            out.iter().map(|p| format!("{}@{},{}w{}", p.key(), p.grid.x, p.grid.y, p.grid.w)).collect();
        assert_eq!(
            said.join(" "),
            "1@0,0w12 1-clone-1@12,0w12 1-clone-2@0,4w12 2@0,8w24 3@0,10w24 4@0,11w12 3-clone-1@0,14w24 3-clone-1/4@0,15w12"
        );
        assert_eq!(scoped_values(&out[7])[0].values, ["y"]);
    }
}
