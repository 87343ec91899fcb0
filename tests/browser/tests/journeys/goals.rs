//! Which goals of the interface hold, each with the journey or the unit test that shows it. Nothing stands here that
//! no check really shows; a goal with several parts names in words what of it is shown.

use std::io::Write as _;

/// Where the proof is.
enum Proof {
    /// Functions of this program.
    Journey(&'static [&'static str]),
    /// Tests of another crate, as `file: what`.
    Unit(&'static str),
}

use Proof::{Journey, Unit};

const EVERYWHERE: &[&str] = &[
    "every_page_on_a_desktop_dark",
    "every_page_on_a_desktop_light",
    "every_page_on_a_phone_dark",
    "every_page_on_a_phone_light",
];

/// Goal, proof, and what of the goal it shows.
const GOALS: &[(&str, Proof, &str)] = &[
    ("UI-01", Journey(EVERYWHERE), "one main, one h1, the skip link first, axe"),
    ("UI-02", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "aria-current; the badge is the API's count"),
    ("UI-06", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "home lists what fires"),
    ("UI-07", Journey(&["what_is_not_there_says_so"]), "unknown route, dashboard and panel; status 404"),
    ("UI-08", Journey(&["a_lost_server_is_told_and_found_again"]), "the bar, the data that stays, recovery"),
    (
        "UI-09",
        Journey(&["from_the_overview_to_a_host_and_to_a_colleague", "ranges_by_picker_and_address"]),
        "Back restores variables and time",
    ),
    ("UI-10", Unit("crates/dashboard/src/layout.rs: pixels"), "positions by Grafana's formula"),
    ("UI-11", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "one question when seen, none before"),
    ("UI-12", Journey(&["renewing_by_itself_keeps_what_is_drawn"]), "the old drawing stays, nothing shifts"),
    ("UI-13", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "message, marked part, Retry"),
    ("UI-17", Journey(&["legend_cursor_and_one_panel_alone"]), "viewPanel by menu and key, Escape"),
    ("UI-18", Journey(&["legend_cursor_and_one_panel_alone"]), "the crosshair in two panels"),
    (
        "UI-23",
        Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]),
        "query, custom, textbox, constant, interval, datasource, adhoc",
    ),
    ("UI-24", Journey(&["variables_stand_in_the_address_and_follow_each_other"]), "var-<name>, repeated; opened again"),
    (
        "UI-25",
        Journey(&["variables_stand_in_the_address_and_follow_each_other"]),
        "a chained variable offers what is left; loops: variables.rs: circles_are_named",
    ),
    (
        "UI-30",
        Unit("crates/dashboard/src/interpolate.rs: formats"),
        "all formats; in titles and texts in the browser too",
    ),
    ("UI-32", Journey(&["ranges_by_picker_and_address"]), "relative, epoch, ISO; invalid says why"),
    ("UI-33", Journey(&["ranges_by_picker_and_address"]), "a phrase, shown before it applies"),
    ("UI-34", Journey(&["zoom_by_drag_and_out_again"]), "drag, two presses, t -"),
    ("UI-35", Journey(&["ranges_by_picker_and_address"]), "half a range back by the button"),
    ("UI-37", Journey(&["renewing_by_itself_keeps_what_is_drawn"]), "an interval, in the address"),
    (
        "UI-43",
        Unit("crates/dashboard/src/colors.rs: a_name_keeps_its_color_and_collisions_step_on"),
        "colours by name, dashes from the 9th",
    ),
    ("UI-44", Unit("crates/dashboard/src/colors.rs: names"), "names, rgb(), hex, transparent, text"),
    ("UI-45", Unit("crates/dashboard/src/field.rs: overrides_in_order, values"), "thresholds, mappings, overrides"),
    ("UI-46", Unit("crates/dashboard/src/units/mod.rs: golden_file"), "the units of the golden file"),
    (
        "UI-47",
        Journey(&["links_carry_variables_and_time", "legend_cursor_and_one_panel_alone"]),
        "tooltip, pinned by a press",
    ),
    ("UI-48", Journey(&["legend_cursor_and_one_panel_alone"]), "isolate and back, in the address"),
    (
        "UI-50",
        Journey(&[
            "legend_cursor_and_one_panel_alone",
            "panels_are_added_moved_resized_and_removed",
            "a_panel_is_changed_saved_and_restored",
        ]),
        "View, Edit, Inspect, Remove",
    ),
    (
        "UI-51",
        Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]),
        "lines, bars, points, stacked, thresholds",
    ),
    ("UI-53", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "the value with its unit"),
    ("UI-54", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "the value as text"),
    ("UI-56", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "rows of an instant query"),
    ("UI-61", Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong"]), "HTML, variables; nothing runs"),
    (
        "UI-65",
        Journey(&["every_kind_of_panel_is_drawn_and_says_what_is_wrong", "a_published_dashboard_is_pasted_and_shown"]),
        "an unknown type as a table",
    ),
    (
        "UI-66",
        Journey(&["links_carry_variables_and_time", "from_the_overview_to_a_host_and_to_a_colleague"]),
        "labels, variables, time; oneClick",
    ),
    ("UI-67", Journey(&["links_carry_variables_and_time"]), "by address, by tag as a menu"),
    ("UI-68", Journey(&["links_carry_variables_and_time"]), "all four"),
    ("UI-73", Journey(&["panels_are_added_moved_resized_and_removed"]), "drag, resize, add, remove"),
    ("UI-74", Journey(&["panels_are_added_moved_resized_and_removed"]), "Enter, arrows, Shift, Escape, announced"),
    ("UI-75", Journey(&["panels_are_added_moved_resized_and_removed"]), "by button and key, a removal too"),
    ("UI-76", Journey(&["a_panel_is_changed_saved_and_restored"]), "preview, queries, options with search"),
    ("UI-78", Journey(&["two_people_save_over_each_other"]), "both changes shown; overwrite, or take theirs"),
    ("UI-79", Journey(&["a_panel_is_changed_saved_and_restored"]), "messages, restore"),
    ("UI-80", Journey(&["a_panel_is_changed_saved_and_restored"]), "the query stays when the type changes and back"),
    ("UI-84", Journey(&["a_panel_is_changed_saved_and_restored"]), "marked while typed"),
    ("UI-90", Unit("crates/dashboard/src/interval.rs: table; interpolate.rs: formats"), "the intervals' values"),
    ("UI-92", Journey(&["explore_and_status"]), "panes= and g0.expr"),
    ("UI-97", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "groups, matchers in the address"),
    ("UI-99", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "filled in, counts, needs a reason"),
    ("UI-101", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "active, expired; expire; by whom and why"),
    ("UI-105", Journey(&["targets_rules_and_probes"]), "counts, error, filters in the address"),
    (
        "UI-118",
        Journey(&["a_published_dashboard_is_pasted_and_shown"]),
        "schema 16, inputs, an unknown type; the report",
    ),
    ("UI-125", Journey(EVERYWHERE), "axe on every page in dark and light"),
    (
        "UI-127",
        Journey(&["the_first_tab_skips_to_the_content", "panels_are_added_moved_resized_and_removed"]),
        "focus seen; layout by keys",
    ),
    ("UI-128", Journey(&["an_alert_fires_is_silenced_and_comes_back"]), "a word and another shape for another state"),
    ("UI-132", Journey(&["every_page_on_a_phone_dark", "every_page_on_a_phone_light"]), "no page scrolls sideways"),
    ("UI-138", Journey(&["the_first_load_is_small"]), "900 kB, 8 requests, 3 MB of WASM, 25 kB of CSS, no font"),
];

#[test]
fn goals_are_counted() {
    const SOURCES: [&str; 8] = [
        include_str!("edit.rs"),
        include_str!("everywhere.rs"),
        include_str!("failures.rs"),
        include_str!("import.rs"),
        include_str!("main_line.rs"),
        include_str!("operations.rs"),
        include_str!("panels.rs"),
        include_str!("time.rs"),
    ];
    let mut text = format!("ui goals: {} shown\n", GOALS.len());
    for (id, proof, what) in GOALS {
        let by = match proof {
            Unit(test) => (*test).to_owned(),
            Journey(names) => {
                for name in *names {
                    let head = format!("async fn {name}()");
                    assert!(SOURCES.iter().any(|source| source.contains(&head)), "{id}: there is no journey {name}");
                }
                names.join(", ")
            }
        };
        text += &format!("{id} {what} ({by})\n");
    }
    let ids: std::collections::BTreeSet<_> = GOALS.iter().map(|(id, ..)| id).collect();
    assert_eq!(ids.len(), GOALS.len(), "a goal stands here twice");
    // Past the test runner, which keeps what passing tests print.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
