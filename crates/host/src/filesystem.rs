//! Mounted file systems: `/proc/1/mounts` and `statvfs`.

use crate::source::{HostError, Source};
use std::collections::HashSet;
use telemetry::Collected;

/// File systems without storage of their own, as node_exporter leaves out by default.
#[rustfmt::skip]
const TYPES_IGNORED: [&str; 26] = [
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "fusectl",
    "hugetlbfs", "iso9660", "mqueue", "nsfs", "overlay", "proc", "procfs", "pstore", "rpc_pipefs", "securityfs",
    "selinuxfs", "squashfs", "erofs", "sysfs", "tracefs", "efivarfs",
];

struct Mount {
    device: String,
    mount_point: String,
    fs_type: String,
    read_only: bool,
}

pub(crate) fn collect(source: &Source, out: &mut Collected) -> Result<(), HostError> {
    // The namespace of process 1 is the machine's; without the right to read it, our own.
    let text = source.read("proc/1/mounts").or_else(|_| source.read("proc/mounts"))?;
    let mut seen = HashSet::new();
    for mount in text.lines().filter_map(parse) {
        if is_ignored(&mount) || !seen.insert((mount.device.clone(), mount.mount_point.clone())) {
            continue;
        }
        add(source, &mount, out);
    }
    Ok(())
}

fn parse(line: &str) -> Option<Mount> {
    let mut words = line.split(' ');
    let (device, mount_point) = (unescape(words.next()?), unescape(words.next()?));
    let fs_type = words.next()?.to_owned();
    let read_only = words.next()?.split(',').any(|option| option == "ro");
    Some(Mount { device, mount_point, fs_type, read_only })
}

/// Blanks and backslashes are written in octal in this file.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn is_ignored(mount: &Mount) -> bool {
    let below = |folder: &str| {
        mount.mount_point.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let inside = |folder: &str| mount.mount_point.strip_prefix(folder).is_some_and(|rest| !rest.is_empty());
    TYPES_IGNORED.contains(&mount.fs_type.as_str())
        || ["/dev", "/proc", "/sys"].into_iter().any(below)
        || ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"].into_iter().any(inside)
}

fn add(source: &Source, mount: &Mount, out: &mut Collected) {
    let labels =
        [("device", mount.device.as_str()), ("fstype", mount.fs_type.as_str()), ("mountpoint", &mount.mount_point)];
    let mut gauge = |name: &str, help: &str, value: f64| out.gauge(name, help, &labels, value);
    let found = space(&source.path(mount.mount_point.trim_start_matches('/')));
    let failed = f64::from(u8::from(found.is_none()));
    gauge("node_filesystem_device_error", "Whether the statistics of a file system could not be read.", failed);
    let read_only = f64::from(u8::from(mount.read_only));
    gauge("node_filesystem_readonly", "Whether a file system is mounted read-only.", read_only);
    let Some(space) = found else { return };
    gauge("node_filesystem_size_bytes", "Size of a file system in bytes.", space.size);
    gauge("node_filesystem_free_bytes", "Free space of a file system in bytes.", space.free);
    gauge("node_filesystem_avail_bytes", "Space available to users other than root, in bytes.", space.available);
    gauge("node_filesystem_files", "File nodes of a file system.", space.files);
    gauge("node_filesystem_files_free", "Free file nodes of a file system.", space.files_free);
}

struct Space {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

#[cfg(unix)]
fn space(path: &std::path::Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks as f64 * stat.f_frsize as f64;
    Some(Space {
        size: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        files: stat.f_files as f64,
        files_free: stat.f_ffree as f64,
    })
}

#[cfg(not(unix))]
fn space(_path: &std::path::Path) -> Option<Space> {
    None
}
