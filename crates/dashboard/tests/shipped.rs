//! The dashboards that come with Vigie, read as any other: nothing unknown in them, no gap in the grid, every variable
//! there.

use dashboard::{import, interpolate, layout, variables::VariableSet};

#[test]
fn shipped_dashboards_are_understood() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard-store/provisioned");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let import = import::import_text(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let dashboard = import.dashboard;
        assert_eq!(
            import.report,
            import::ImportReport { panels: import.report.panels, ..import::ImportReport::default() },
            "{name}"
        );
        let places: Vec<_> = dashboard.panels.iter().map(|panel| panel.grid).collect();
        let mut compacted = places.clone();
        layout::compact(&mut compacted, None);
        assert_eq!(places, compacted, "{name}: panels overlap or leave gaps");
        let set = VariableSet::new(&dashboard.variables, &[], &[]);
        assert!(set.cycle().is_none(), "{name}");
        for target in dashboard.all_panels().flat_map(|panel| &panel.targets) {
            for variable in interpolate::references(&target.expr) {
                assert!(dashboard.variable(&variable).is_some(), "{name}: `{}` needs ${variable}", target.expr);
            }
        }
        count += 1;
    }
    assert!(count >= 4, "{count} dashboards in {}", folder.display());
}
