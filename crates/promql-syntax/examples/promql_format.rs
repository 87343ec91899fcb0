//! Reads queries from standard input, one a line, and prints each as `/api/v1/format_query` would, or its error.

use std::io::{self, BufRead as _, Write as _};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        match promql_syntax::parse(&line?) {
            Ok(expr) => writeln!(out, "{}", promql_syntax::format_pretty(&expr))?,
            Err(error) => writeln!(out, "{error}")?,
        }
        writeln!(out, "---")?;
    }
    Ok(())
}
