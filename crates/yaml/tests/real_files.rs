//! Files from the field: what upstream loads must be YAML to us.

use std::path::Path;

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn accepted_files_are_read() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/config"));
    let Ok(verdicts) = std::fs::read_to_string(folder.join("verdicts.tsv")) else {
        eprintln!("skipped: {} is absent", folder.display());
        return;
    };
    let (mut read, mut faults) = (0, String::new());
    for line in verdicts.lines() {
        let mut columns = line.split('\t');
        let (Some(name), Some("accept")) = (columns.next(), columns.next()) else { continue };
        if !name.ends_with(".yml") && !name.ends_with(".yaml") {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        match yaml::from_str::<serde_json::Value>(name, &text) {
            Ok(_) => read += 1,
            Err(error) => faults += &format!("{error}\n"),
        }
    }
    assert_eq!(faults, "");
    assert!(read > 50, "only {read} files were read");
}
