//! The probers, one file each: its options as the file writes them, its metrics and how it tries.

pub mod dns;
pub mod grpc;
pub mod http;
pub mod icmp;
pub mod query_response;
pub mod tcp;
pub(crate) mod tls;
pub mod unix;
pub mod websocket;

use crate::{Module, probe::Run};

const PROBERS: [&str; 7] = ["http", "tcp", "unix", "icmp", "dns", "grpc", "websocket"];

pub(crate) fn is_known(prober: &str) -> bool {
    PROBERS.contains(&prober)
}

/// Runs the module's prober; true is success.
pub(crate) async fn run(run: &mut Run, module: &Module, target: &str, hostname: &str) -> bool {
    match module.prober.as_str() {
        "http" => Box::pin(http::probe(run, &module.http, target, hostname)).await,
        "tcp" => Box::pin(tcp::probe(run, &module.tcp, target, hostname)).await,
        "unix" => Box::pin(unix::probe(run, module.unix.as_ref(), target)).await,
        "icmp" => Box::pin(icmp::probe(run, &module.icmp, target)).await,
        "dns" => Box::pin(dns::probe(run, &module.dns, target)).await,
        "grpc" => Box::pin(grpc::probe(run, module.grpc.as_ref(), target)).await,
        "websocket" => Box::pin(websocket::probe(run, module.websocket.as_ref(), target)).await,
        other => {
            run.error("Unknown prober", &[("prober", other.to_owned())]);
            false
        }
    }
}
