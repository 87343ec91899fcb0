//! `record` keeps what exporters say over time, `replay` sends it to any server that takes remote write: the same real
//! data for all that are compared.
//!
//! A recording is a folder with a file `<target>.txt` each: frames of a line `#@ target unix_ms length` and `length`
//! bytes of exposition text.

use crate::shell::say;
use anyhow::{Context, Result, bail, ensure};
use exposition::{Entry, Format, Parser};
use model::Labels;
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Of a body or an answer; what is longer is no exporter.
const BODY_BYTES_MAX: u64 = 256 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

/// `http://host:port/path` without its scheme, in two.
fn split_url(url: &str) -> Result<(&str, String)> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url}: only http:// addresses"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Ok((host, format!("/{path}")))
}

fn connect(host: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// `record FOLDER SECONDS NAME=URL …`: scrapes until it is interrupted.
pub(crate) fn record(args: &[&str]) -> Result<()> {
    let [folder, seconds, targets @ ..] = args else { bail!("record FOLDER SECONDS NAME=URL …") };
    ensure!(!targets.is_empty(), "record FOLDER SECONDS NAME=URL …: no target");
    let interval = Duration::from_secs_f64(seconds.parse::<f64>().context("SECONDS")?);
    ensure!(!interval.is_zero(), "SECONDS is 0");
    fs::create_dir_all(folder)?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (targets.iter())
            .map(|target| {
                scope.spawn(move || -> Result<()> {
                    let (name, url) = target.split_once('=').with_context(|| format!("{target}: NAME=URL"))?;
                    let path = Path::new(folder).join(format!("{name}.txt"));
                    let mut file = BufWriter::new(File::options().create(true).append(true).open(&path)?);
                    let mut due = Instant::now();
                    loop {
                        let time_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
                        match fetch(url) {
                            Ok(body) => {
                                writeln!(file, "#@ {name} {time_ms} {}", body.len())?;
                                file.write_all(&body)?;
                                file.flush()?;
                            }
                            Err(error) => say(&format!("{name}: {error:#}")),
                        }
                        due += interval;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a recording thread ended early"))??;
        }
        Ok(())
    })
}

fn fetch(url: &str) -> Result<Vec<u8>> {
    let (host, path) = split_url(url)?;
    let mut stream = connect(host)?;
    // HTTP/1.0: the body comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain;version=0.0.4\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(BODY_BYTES_MAX).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    ensure!(head.split(' ').nth(1) == Some("200"), "{url}: {}", head.lines().next().unwrap_or_default());
    Ok(answer.split_off(end + 4))
}

/// `replay FOLDER URL`: sends a recording as remote write 1.0, one request a scrape, in order of time. Series get
/// `job` and `instance` with the target's name; staleness markers are not made.
pub(crate) fn replay(args: &[&str]) -> Result<()> {
    let [folder, url] = args else { bail!("replay FOLDER URL") };
    let mut files: Vec<Recording> = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{folder}: no recording"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            files.extend(Recording::open(&path)?);
        }
    }
    ensure!(!files.is_empty(), "{folder}: no recording");
    let (host, path) = split_url(url)?;
    let mut connection = BufReader::new(connect(host)?);
    let (mut requests, mut samples) = (0_u64, 0_u64);
    while let Some(earliest) = files.iter_mut().min_by_key(|file| file.time_ms) {
        samples += earliest.encode()?;
        let body = snappy(&earliest.request);
        write!(
            connection.get_mut(),
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: \
             snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        connection.get_mut().write_all(&body)?;
        answer(&mut connection)?;
        requests += 1;
        if !earliest.next()? {
            let ended = earliest.name.clone();
            files.retain(|file| file.name != ended);
        }
    }
    say(&format!("{requests} requests, {samples} samples"));
    Ok(())
}

fn answer(connection: &mut BufReader<TcpStream>) -> Result<()> {
    let (mut line, mut status, mut length) = (String::new(), String::new(), 0_u64);
    loop {
        line.clear();
        ensure!(connection.read_line(&mut line)? > 0, "the server closed the connection");
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if status.is_empty() {
            text.clone_into(&mut status);
        }
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("Content-Length")?;
        }
    }
    let mut body = Vec::new();
    connection.take(length.min(BODY_BYTES_MAX)).read_to_end(&mut body)?;
    let is_good = status.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    ensure!(is_good, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

/// A file of a recording at one of its frames.
struct Recording {
    file: BufReader<File>,
    name: String,
    time_ms: i64,
    body: Vec<u8>,
    /// Encoded labels by key.
    series: HashMap<String, Vec<u8>>,
    request: Vec<u8>,
}

impl Recording {
    /// At its first frame; `None` if it has none.
    fn open(path: &Path) -> Result<Option<Self>> {
        let mut recording = Recording {
            file: BufReader::new(File::open(path)?),
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            time_ms: 0,
            body: Vec::new(),
            series: HashMap::new(),
            request: Vec::new(),
        };
        Ok(recording.next().with_context(|| path.display().to_string())?.then_some(recording))
    }

    /// Goes to the next frame; false at the end, and where the last frame is cut short.
    fn next(&mut self) -> Result<bool> {
        let mut line = String::new();
        if self.file.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["#@", _, time_ms, length] = words[..] else { bail!("`{}` is no head of a frame", line.trim_end()) };
        self.time_ms = time_ms.parse()?;
        let length: u64 = length.parse()?;
        ensure!(length <= BODY_BYTES_MAX, "a frame of {length} bytes");
        self.body.clear();
        Ok((&mut self.file).take(length).read_to_end(&mut self.body)? as u64 == length)
    }

    /// Makes the request of the frame and tells how many samples it has.
    fn encode(&mut self) -> Result<u64> {
        self.request.clear();
        let fault = |fault: exposition::Fault| anyhow::anyhow!("line {}: {}", fault.line, fault.message);
        let is_openmetrics = self.body.ends_with(b"# EOF\n");
        let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
        let mut samples = 0;
        for entry in Parser::new(&self.body, format).map_err(fault)? {
            let Entry::Sample(sample) = entry.map_err(fault)? else { continue };
            if !self.series.contains_key(sample.key) {
                let labels = target_labels(&sample.labels().map_err(fault)?, &self.name);
                self.series.insert(sample.key.to_owned(), labels);
            }
            let labels = self.series.get(sample.key).map(Vec::as_slice).unwrap_or_default();
            let mut point = vec![0x09];
            point.extend_from_slice(&sample.value.to_le_bytes());
            point.push(0x10);
            put_uvarint(&mut point, self.time_ms as u64);
            self.request.push(0x0a);
            put_uvarint(&mut self.request, (labels.len() + 2 + point.len()) as u64);
            self.request.extend_from_slice(labels);
            put_field(&mut self.request, 2, &point);
            samples += 1;
        }
        Ok(samples)
    }
}

/// Labels of a `TimeSeries`, with those of the target; a label of the same name moves to `exported_…`.
fn target_labels(labels: &Labels, target: &str) -> Vec<u8> {
    let mut builder = labels.to_builder();
    for name in ["job", "instance"] {
        if let Some(own) = labels.get(name) {
            builder.set(&format!("exported_{name}"), own);
        }
        builder.set(name, target);
    }
    let mut out = Vec::new();
    for (name, value) in &builder.build() {
        let mut label = Vec::new();
        put_field(&mut label, 1, name.as_bytes());
        put_field(&mut label, 2, value.as_bytes());
        put_field(&mut out, 1, &label);
    }
    out
}

fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A protobuf field of bytes.
fn put_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Snappy's block format without a single copy: literals of at most 64 KiB.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 10_000 + 16);
    put_uvarint(&mut out, bytes.len() as u64);
    for literal in bytes.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&((literal.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(literal);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_frame_by_frame() {
        let path = std::env::temp_dir().join(format!("recording-{}.txt", std::process::id()));
        let frames = "#@ x 1000 28\nup{job=\"a\"} 1\n# HELP up Up.\n#@ x 2000 5\nup 2\n#@ x 3000 50\nup 3\n";
        fs::write(&path, frames).unwrap();
        let mut recording = Recording::open(&path).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((recording.time_ms, recording.encode().unwrap()), (1000, 1));
        let request = String::from_utf8_lossy(&recording.request).into_owned();
        assert!(request.contains("exported_job") && request.contains("instance"), "{request}");
        assert!(recording.next().unwrap());
        assert_eq!((recording.time_ms, recording.encode().unwrap()), (2000, 1));
        assert!(!recording.next().unwrap(), "cut short");
    }

    #[test]
    fn literals_are_snappy() {
        assert_eq!(snappy(b"abc"), [3, 244, 2, 0, b'a', b'b', b'c']);
        let long = vec![7; (1 << 16) + 1];
        assert_eq!(snappy(&long).len(), 3 + 3 + (1 << 16) + 3 + 1);
    }
}
