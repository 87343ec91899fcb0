//! `query_response`: a dialogue of lines over a stream, for tcp, unix and websocket.

use crate::{
    probe::Run,
    values::{Bytes, Pattern, is_false},
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes of one dialogue, all lines together.
const DIALOGUE_BYTES_MAX: usize = 10 << 20;

/// One step: wait for `expect` or `expect_bytes`, then send `send`, then start TLS.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryResponse {
    /// A line that matches; lines before it are passed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Pattern>,
    /// Exactly these bytes.
    #[serde(skip_serializing_if = "Bytes::is_empty")]
    pub expect_bytes: Bytes,
    /// Shown by `probe_expect_info`; values take `${1}` from `expect`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<ExpectLabel>,
    /// A line, its newline added; takes `${1}` from `expect`. A `!!binary` goes out as it is.
    #[serde(skip_serializing_if = "Bytes::is_empty")]
    pub send: Bytes,
    #[serde(skip_serializing_if = "is_false")]
    pub starttls: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectLabel {
    pub name: String,
    #[serde(default)]
    pub value: String,
}

/// How a dialogue went on.
pub(crate) enum Outcome {
    Done,
    Failed,
    /// The step with this index wants TLS on the stream.
    StartTls(usize),
}

/// The two gauges that every dialogue shows.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) regex: bool,
    pub(crate) bytes: bool,
}

impl Failures {
    pub(crate) fn record(&self, run: &mut Run) {
        let flag = |failed: bool| f64::from(u8::from(failed));
        run.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", flag(self.regex));
        run.gauge("probe_failed_due_to_bytes", "Indicates if probe failed due to bytes", flag(self.bytes));
    }
}

/// Runs the steps from `first` on.
pub(crate) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    run: &mut Run,
    stream: &mut S,
    steps: &[QueryResponse],
    first: usize,
    failures: &mut Failures,
) -> Outcome {
    let mut lines = Lines { buffer: Vec::new(), taken: 0, total: 0 };
    for (index, step) in steps.iter().enumerate().skip(first) {
        let mut send = step.send.clone();
        if let Some(expect) = &step.expect {
            let (line, captures) = loop {
                match lines.next(run, stream).await {
                    Err(error) => {
                        run.error("Error reading from connection", &[("err", error)]);
                        return Outcome::Failed;
                    }
                    Ok(None) => {
                        failures.regex = true;
                        run.error("Regexp did not match", &[("regexp", expect.0.as_str().to_owned())]);
                        return Outcome::Failed;
                    }
                    Ok(Some(line)) => {
                        if let Some(captures) = expect.0.captures(&line) {
                            break (line, captures);
                        }
                    }
                }
            };
            if !send.binary
                && let Ok(template) = std::str::from_utf8(&send.bytes)
            {
                send.bytes = expect.0.expand(template, &line, &captures).into_bytes();
            }
            if !step.labels.is_empty() {
                let labels: Vec<(&str, String)> = step
                    .labels
                    .iter()
                    .map(|label| (label.name.as_str(), expect.0.expand(&label.value, &line, &captures)))
                    .collect();
                let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                run.metrics.gauge("probe_expect_info", "Explicit content matched", &labels, 1.0);
            }
        }
        if !step.expect_bytes.is_empty() {
            match lines.exactly(run, stream, step.expect_bytes.bytes.len()).await {
                Ok(got) if got == step.expect_bytes.bytes => {}
                Ok(got) => {
                    failures.bytes = true;
                    let got = String::from_utf8_lossy(&got).into_owned();
                    run.error("Bytes did not match", &[("got", got)]);
                    return Outcome::Failed;
                }
                Err(error) => {
                    run.error("Error reading from connection", &[("err", error)]);
                    return Outcome::Failed;
                }
            }
        }
        if !send.is_empty() {
            if !send.binary {
                send.bytes.push(b'\n');
            }
            if let Err(error) = run.limit(stream.write_all(&send.bytes)).await {
                run.error("Failed to send", &[("err", error)]);
                return Outcome::Failed;
            }
            if let Err(error) = run.limit(stream.flush()).await {
                run.error("Failed to send", &[("err", error)]);
                return Outcome::Failed;
            }
        }
        if step.starttls {
            return Outcome::StartTls(index);
        }
    }
    Outcome::Done
}

/// What was read and not yet taken.
struct Lines {
    buffer: Vec<u8>,
    taken: usize,
    total: usize,
}

impl Lines {
    async fn fill<S: AsyncRead + Unpin>(&mut self, run: &Run, stream: &mut S) -> Result<bool, String> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.len() > LINE_BYTES_MAX || self.total > DIALOGUE_BYTES_MAX {
            return Err(format!(
                "the line is longer than {LINE_BYTES_MAX} bytes or the answer than {DIALOGUE_BYTES_MAX}"
            ));
        }
        let mut chunk = [0; 4096];
        let count = run.limit(stream.read(&mut chunk)).await?;
        self.total += count;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    /// The next line without its end; `None` at the end of the stream.
    async fn next<S: AsyncRead + Unpin>(&mut self, run: &Run, stream: &mut S) -> Result<Option<String>, String> {
        let mut open = true;
        loop {
            let rest = &self.buffer[self.taken..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = match end {
                Some(end) => &rest[..end],
                None if !open && !rest.is_empty() => rest,
                None if !open => return Ok(None),
                None => {
                    open = self.fill(run, stream).await?;
                    continue;
                }
            };
            let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            self.taken += line.len() + usize::from(end.is_some());
            return Ok(Some(text));
        }
    }

    async fn exactly<S: AsyncRead + Unpin>(
        &mut self,
        run: &Run,
        stream: &mut S,
        count: usize,
    ) -> Result<Vec<u8>, String> {
        while self.buffer.len() - self.taken < count {
            if !self.fill(run, stream).await? {
                return Err("unexpected EOF".into());
            }
        }
        let bytes = self.buffer[self.taken..self.taken + count].to_vec();
        self.taken += count;
        Ok(bytes)
    }
}
