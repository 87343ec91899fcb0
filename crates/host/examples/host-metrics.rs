//! Prints the machine's metrics: `cargo run -p host --example host-metrics`.
#![expect(clippy::print_stdout, reason = "a command's output")]

fn main() {
    let mut collected = telemetry::Collected::default();
    host::collect(&mut collected);
    print!("{}", telemetry::encode(&collected.into_families(), telemetry::Format::TEXT));
}
