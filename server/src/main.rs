//! The `vigie` program: joins the crates. Nothing but this knows them all.

mod auto_reload;
mod cli;
mod config;
mod http;
mod supervisor;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os().collect())
}
