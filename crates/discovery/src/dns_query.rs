//! A small DNS client (RFC 1035, RFC 2782): SRV, MX and NS records of a name, which the system's resolver does not give.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest datagram that we ask for (RFC 6891); longer answers come over TCP.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// A name has at most 127 labels; more jumps than this are a loop.
const JUMPS_MAX: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    Ns = 2,
    Mx = 15,
    Srv = 33,
}

/// One record: the host it names (with its final dot), and of SRV the port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) target: String,
    pub(crate) port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Records(Vec<Record>),
    /// The name does not exist.
    NoName,
    /// Too long for a datagram.
    Truncated,
}

/// `/etc/resolv.conf`: servers, search domains, ndots.
#[derive(Clone, Debug)]
pub(crate) struct ResolvConf {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
}

impl ResolvConf {
    /// The machine's own; without the file the resolver on this machine.
    pub(crate) async fn load() -> Self {
        Self::parse(&tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut conf = ResolvConf { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    conf.servers.extend(address.map(|ip| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    conf.dots = dots.unwrap_or(conf.dots);
                }
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        conf
    }

    /// The names to try, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{}", domain.trim_end_matches('.'))).collect();
        let first = if name.matches('.').count() >= self.dots { 0 } else { names.len() };
        names.insert(first, name.to_owned());
        names
    }
}

/// The records of `name`; none if no such name exists.
pub(crate) async fn lookup(conf: &ResolvConf, name: &str, record_type: RecordType) -> Result<Vec<Record>, String> {
    let mut failure = None;
    for candidate in conf.candidates(name) {
        for server in &conf.servers {
            match tokio::time::timeout(TIMEOUT, ask(*server, &candidate, record_type)).await {
                Ok(Ok(Answer::Records(records))) if !records.is_empty() => return Ok(records),
                Ok(Ok(_)) => break,
                Ok(Err(error)) => failure = Some(format!("{server}: {error}")),
                Err(_) => failure = Some(format!("{server}: no answer within {}s", TIMEOUT.as_secs())),
            }
        }
    }
    failure.map_or(Ok(Vec::new()), Err)
}

async fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> Result<Answer, String> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await.map_err(text)?;
    socket.connect(server).await.map_err(text)?;
    // The local port, chosen by the kernel, is what a forger has to guess; the number tells answers apart.
    let id = socket.local_addr().map_err(text)?.port().rotate_left(5);
    let query = encode(id, name, record_type)?;
    socket.send(&query).await.map_err(text)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(text)?;
        let message = buffer.get(..length).unwrap_or_default();
        if message.get(..2) != Some(&id.to_be_bytes()) {
            continue;
        }
        return match decode(message, record_type)? {
            Answer::Truncated => ask_by_tcp(server, &query, record_type).await,
            answer => Ok(answer),
        };
    }
}

async fn ask_by_tcp(server: SocketAddr, query: &[u8], record_type: RecordType) -> Result<Answer, String> {
    let mut stream = TcpStream::connect(server).await.map_err(text)?;
    stream.write_u16(u16::try_from(query.len()).map_err(text)?).await.map_err(text)?;
    stream.write_all(query).await.map_err(text)?;
    let mut message = vec![0; usize::from(stream.read_u16().await.map_err(text)?)];
    stream.read_exact(&mut message).await.map_err(text)?;
    decode(&message, record_type)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn encode(id: u16, name: &str, record_type: RecordType) -> Result<Vec<u8>, String> {
    let mut out = id.to_be_bytes().to_vec();
    // Recursion desired; one question, one additional record (EDNS).
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.') {
        match u8::try_from(label.len()) {
            Ok(length @ 1..=63) => out.push(length),
            _ => return Err(format!("{name:?} is no name for DNS: each part has 1 to 63 bytes")),
        }
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&(record_type as u16).to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    let datagram = (DATAGRAM_BYTES_MAX as u16).to_be_bytes();
    out.extend_from_slice(&[0, 0, 41, datagram[0], datagram[1], 0, 0, 0, 0, 0, 0]);
    Ok(out)
}

/// A place in a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8, String> {
        let byte = self.message.get(self.at).copied().ok_or("the answer ends too early")?;
        self.at += 1;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    /// A name with its final dot; its end may stand elsewhere in the message.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let mut back = None;
        for _ in 0..JUMPS_MAX {
            let length = self.u8()?;
            if length & 0xc0 == 0xc0 {
                let to = usize::from(length & 0x3f) << 8 | usize::from(self.u8()?);
                back.get_or_insert(self.at);
                self.at = to;
            } else if length == 0 {
                self.at = back.unwrap_or(self.at);
                return Ok(if name.is_empty() { ".".to_owned() } else { name });
            } else {
                let end = self.at + usize::from(length);
                let label = self.message.get(self.at..end).ok_or("a name ends too late")?;
                name.push_str(&String::from_utf8_lossy(label));
                name.push('.');
                self.at = end;
            }
        }
        Err("a name in the answer has no end".into())
    }
}

fn decode(message: &[u8], record_type: RecordType) -> Result<Answer, String> {
    let mut reader = Reader { message, at: 2 };
    let flags = reader.u16()?;
    let (questions, answers) = (reader.u16()?, reader.u16()?);
    reader.at += 4;
    if flags & 0x0200 != 0 {
        return Ok(Answer::Truncated);
    }
    match flags & 0xf {
        0 => {}
        3 => return Ok(Answer::NoName),
        code => return Err(format!("the server answered with code {code}")),
    }
    for _ in 0..questions {
        reader.name()?;
        reader.at += 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        reader.name()?;
        let found = reader.u16()?;
        // Class and time to live.
        reader.at += 6;
        let length = usize::from(reader.u16()?);
        let end = reader.at + length;
        if found == record_type as u16 {
            let mut port = None;
            match record_type {
                RecordType::Srv => {
                    // Priority and weight.
                    reader.at += 4;
                    port = Some(reader.u16()?);
                }
                // Preference.
                RecordType::Mx => reader.at += 2,
                RecordType::Ns => {}
            }
            records.push(Record { target: reader.name()?, port });
        }
        reader.at = end;
    }
    records.sort();
    Ok(Answer::Records(records))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to a query: its header and question, then records with the name as a pointer.
    fn response(query: &[u8], code: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut out = query[..2].to_vec();
        out.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        // Without the 11 bytes of EDNS.
        out.extend_from_slice(&query[12..query.len() - 11]);
        for record in records {
            out.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, record.len() as u8]);
            out.extend_from_slice(record);
        }
        out
    }

    #[tokio::test]
    async fn srv_records_are_asked_and_read() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = server.recv_from(&mut buffer).await {
                let query = &buffer[..length];
                // `_web._tcp.test`: 4web 4tcp 4test; a second host ends in the question's own name.
                let known = query[12..].starts_with(b"\x04_web\x04_tcp\x04test\0");
                let first = b"\0\x01\0\x02\x1f\x90\x01b\x04test\0";
                let second = b"\0\x01\0\x02\x00\x50\x01a\xc0\x16";
                let reply = if known { response(query, 0, &[first, second]) } else { response(query, 3, &[]) };
                server.send_to(&reply, from).await.unwrap();
            }
        });
        let conf = ResolvConf { servers: vec![address], search: vec!["test".into()], dots: 1 };
        let expected = vec![
            Record { target: "a.test.".into(), port: Some(80) },
            Record { target: "b.test.".into(), port: Some(8080) },
        ];
        assert_eq!(lookup(&conf, "_web._tcp.test.", RecordType::Srv).await.unwrap(), expected);
        assert_eq!(lookup(&conf, "_web._tcp", RecordType::Srv).await.unwrap(), expected, "by the search list");
        assert_eq!(lookup(&conf, "gone.test.", RecordType::Srv).await.unwrap(), []);
        assert!(lookup(&conf, "a..b", RecordType::Srv).await.unwrap_err().contains("is no name for DNS"));
    }

    #[test]
    fn damaged_answers_are_errors() {
        let query = encode(7, "x.test", RecordType::Srv).unwrap();
        let whole = response(&query, 0, &[b"\0\x01\0\x02\x1f\x90\x01b\x04test\0"]);
        assert!(decode(&whole, RecordType::Srv).is_ok());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length], RecordType::Srv).is_err(), "{length}");
        }
        let looping = response(&query, 0, &[b"\0\x01\0\x02\x1f\x90\xc0\x28"]);
        let _ = decode(&looping, RecordType::Srv);
        let conf = ResolvConf::parse("nameserver 10.0.0.1\nsearch a.test b.test\noptions ndots:2 timeout:1\n");
        assert_eq!(conf.candidates("x.y"), ["x.y.a.test", "x.y.b.test", "x.y"]);
        assert_eq!(conf.candidates("x.y.z"), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
    }
}
