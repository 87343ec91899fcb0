//! A made-up machine in, metrics out; and the real one, whose metrics must be good exposition.
use host::Source;
use telemetry::{Collected, Format};

const FILES: &[(&str, &str)] = &[
    (
        "proc/stat",
        "cpu  3 0 0 0\ncpu0 250 0 100 1000 50 0 0 0 25 0\nintr 77 1 2\nctxt 88\nbtime 1700000000\nprocesses 99\n\
         procs_running 2\nprocs_blocked 0\n",
    ),
    ("proc/loadavg", "0.50 1.25 2.00 1/100 4242\n"),
    ("proc/meminfo", "MemTotal:  1000 kB\nActive(anon):  2 kB\nHugePages_Total:  3\n"),
    ("proc/vmstat", "pgfault 5\npgmajfault 6\nnr_free_pages 7\noom_kill 8\npgpgin 9\npswpout 10\n"),
    ("proc/diskstats", " 8 0 sda 10 1 16 2000 20 2 32 4000 1 500 6000\n 8 1 sda1 1 1 1 1 1 1 1 1 1 1 1\n"),
    ("proc/net/dev", "Inter-|\n face |\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"),
    ("proc/net/netstat", "TcpExt: SyncookiesSent Other\nTcpExt: 4 5\n"),
    ("proc/net/snmp", "Ip: Forwarding DefaultTTL\nIp: 1 64\n"),
    ("proc/net/snmp6", "Ip6InOctets 12\nIcmp6InMsgs 13\n"),
    ("proc/net/sockstat", "sockets: used 9\nTCP: inuse 2 mem 3\n"),
    ("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n"),
    ("proc/sys/fs/file-nr", "960\t0\t1000000\n"),
    ("proc/sys/kernel/random/entropy_avail", "256\n"),
    ("sys/class/net/eth0/operstate", "up\n"),
    ("sys/class/net/eth0/speed", "1000\n"),
    ("sys/class/net/eth0/flags", "0x1003\n"),
    ("sys/class/thermal/thermal_zone0/type", "cpu\n"),
    ("sys/class/thermal/thermal_zone0/temp", "45500\n"),
    ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian\"\n"),
];

const EXPECTED: &[&str] = &[
    r#"node_cpu_seconds_total{cpu="0",mode="user"} 2.5"#,
    r#"node_cpu_seconds_total{cpu="0",mode="iowait"} 0.5"#,
    r#"node_cpu_guest_seconds_total{cpu="0",mode="user"} 0.25"#,
    "node_intr_total 77",
    "node_boot_time_seconds 1.7e+09",
    "node_load5 1.25",
    "node_memory_MemTotal_bytes 1.024e+06",
    "node_memory_Active_anon_bytes 2048",
    "node_memory_HugePages_Total 3",
    "node_vmstat_pgmajfault 6",
    "node_vmstat_oom_kill 8",
    r#"node_disk_read_bytes_total{device="sda"} 8192"#,
    r#"node_disk_io_time_seconds_total{device="sda"} 0.5"#,
    r#"node_network_receive_multicast_total{device="eth0"} 8"#,
    r#"node_network_transmit_bytes_total{device="eth0"} 9"#,
    r#"node_network_speed_bytes{device="eth0"} 1.25e+08"#,
    r#"node_network_info{adminstate="up",device="eth0",operstate="up"} 1"#,
    "node_netstat_TcpExt_SyncookiesSent 4",
    "node_netstat_Ip6_InOctets 12",
    "node_sockstat_sockets_used 9",
    "node_sockstat_TCP_inuse 2",
    "node_pressure_cpu_waiting_seconds_total 2.5",
    "node_filefd_maximum 1e+06",
    "node_entropy_available_bits 256",
    r#"node_thermal_zone_temp{type="cpu",zone="0"} 45.5"#,
    r#"node_os_version{id="debian",name="Debian"} 12"#,
    r#"node_scrape_collector_success{collector="cpu"} 1"#,
    r#"node_scrape_collector_success{collector="filesystem"} 0"#,
];

#[test]
fn a_made_up_machine() {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in FILES {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut collected = Collected::default();
    host::collect_from(&Source::at(root.path()), &mut collected);
    let body = telemetry::encode(&collected.into_families(), Format::TEXT);
    for line in EXPECTED {
        assert!(body.lines().any(|own| own == *line), "{line} is not in\n{body}");
    }
    for absent in ["sda1", "nr_free_pages", "DefaultTTL", "TcpExt_Other"] {
        assert!(!body.contains(absent), "{absent}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn this_machine() {
    let mut collected = Collected::default();
    host::collect(&mut collected);
    let body = telemetry::encode(&collected.into_families(), Format::TEXT);
    assert_eq!(exposition::check(body.as_bytes()), []);
    for name in
        ["node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_filesystem_size_bytes", "node_uname_info"]
    {
        assert!(body.contains(&format!("\n{name}")), "{name}");
    }
}
