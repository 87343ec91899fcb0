//! `dns`: one query over UDP, TCP or TLS, and patterns on the records that come back.

use super::{tcp, tls};
use crate::{
    config::{Check, tls_faults},
    probe::{Run, split_host_port},
    values::{IpProtocol, Pattern, is_false, yes},
};
use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedName, Record, ToName,
        iana::{Class, Rcode, Rtype},
    },
    rdata::AllRecordData,
};
use http_client::TlsConfig;
use serde::{Deserialize, Serialize};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
    time::Instant,
};

const MESSAGE_BYTES_MAX: usize = 65_535;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default = "DnsProbe::initial", deny_unknown_fields)]
pub struct DnsProbe {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_ip_protocol: Option<IpProtocol>,
    pub ip_protocol_fallback: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub dns_over_tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip_address: Option<IpAddr>,
    /// `udp` if empty, or `tcp`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transport_protocol: String,
    /// `IN` if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_class: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_name: String,
    /// `ANY` if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query_type: String,
    pub recursion_desired: bool,
    /// `NOERROR` if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub valid_rcodes: Vec<String>,
    #[serde(skip_serializing_if = "RrValidator::is_empty")]
    pub validate_answer_rrs: RrValidator,
    #[serde(skip_serializing_if = "RrValidator::is_empty")]
    pub validate_authority_rrs: RrValidator,
    #[serde(skip_serializing_if = "RrValidator::is_empty")]
    pub validate_additional_rrs: RrValidator,
}

/// Patterns on the text of records, `name.\tttl\tclass\ttype\tdata`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RrValidator {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_matches_regexp: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_all_match_regexp: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_not_matches_regexp: Vec<Pattern>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail_if_none_matches_regexp: Vec<Pattern>,
}

impl RrValidator {
    fn is_empty(&self) -> bool {
        self.fail_if_matches_regexp.is_empty()
            && self.fail_if_all_match_regexp.is_empty()
            && self.fail_if_not_matches_regexp.is_empty()
            && self.fail_if_none_matches_regexp.is_empty()
    }

    fn accepts(&self, run: &mut Run, records: &[String]) -> bool {
        let say = |run: &mut Run, message: &str, pattern: &Pattern, record: Option<&String>| {
            let mut fields = vec![("regexp", pattern.0.as_str().to_owned())];
            fields.extend(record.map(|record| ("rr", record.clone())));
            run.error(message, &fields);
            false
        };
        if records.is_empty()
            && let Some(pattern) = self.fail_if_not_matches_regexp.first()
        {
            return say(run, "fail_if_not_matches_regexp specified but no RRs returned", pattern, None);
        }
        for pattern in &self.fail_if_matches_regexp {
            if let Some(record) = records.iter().find(|record| pattern.0.is_match(record)) {
                return say(run, "At least one RR matched regexp", pattern, Some(record));
            }
        }
        for pattern in &self.fail_if_all_match_regexp {
            if records.iter().all(|record| pattern.0.is_match(record)) {
                return say(run, "All RRs matched regexp", pattern, None);
            }
        }
        for pattern in &self.fail_if_not_matches_regexp {
            if let Some(record) = records.iter().find(|record| !pattern.0.is_match(record)) {
                return say(run, "At least one RR did not match regexp", pattern, Some(record));
            }
        }
        for pattern in &self.fail_if_none_matches_regexp {
            if !records.iter().any(|record| pattern.0.is_match(record)) {
                return say(run, "None of the RRs matched any regexp", pattern, None);
            }
        }
        true
    }
}

impl DnsProbe {
    pub(crate) fn initial() -> Self {
        DnsProbe { ip_protocol_fallback: yes(), recursion_desired: yes(), ..DnsProbe::default() }
    }

    /// True for a section that was left out.
    fn is_initial(&self) -> bool {
        self.query_name.is_empty()
            && self.query_type.is_empty()
            && self.query_class.is_empty()
            && self.transport_protocol.is_empty()
            && self.valid_rcodes.is_empty()
            && self.preferred_ip_protocol.is_none()
            && self.source_ip_address.is_none()
            && self.validate_answer_rrs.is_empty()
            && self.validate_authority_rrs.is_empty()
            && self.validate_additional_rrs.is_empty()
            && !self.dns_over_tls
            && self.tls_config.is_none()
    }

    pub(crate) fn check(&self, check: &mut Check<'_>) {
        if self.is_initial() {
            return;
        }
        if self.query_name.is_empty() {
            check.fault("", "query name must be set for DNS module");
        }
        if self.class().is_none() {
            check.fault("query_class", format!("query class '{}' is not valid", self.query_class));
        }
        if self.record_type().is_none() {
            check.fault("query_type", format!("query type '{}' is not valid", self.query_type));
        }
        for (index, text) in self.valid_rcodes.iter().enumerate() {
            if parse_rcode(text).is_none() {
                check.fault(&format!("valid_rcodes[{index}]"), format!("rcode '{text}' is not valid"));
            }
        }
        if !matches!(self.transport_protocol.as_str(), "" | "udp" | "tcp") {
            check.fault("transport_protocol", "expected transport protocol udp or tcp");
        } else if self.dns_over_tls && self.transport_protocol != "tcp" {
            check.fault("transport_protocol", "dns_over_tls needs transport_protocol tcp");
        }
        check.all("tls_config", tls_faults(self.tls_config.as_ref()));
    }

    fn class(&self) -> Option<Class> {
        if self.query_class.is_empty() { Some(Class::IN) } else { Class::from_str(&self.query_class).ok() }
    }

    fn record_type(&self) -> Option<Rtype> {
        if self.query_type.is_empty() { Some(Rtype::ANY) } else { Rtype::from_str(&self.query_type).ok() }
    }
}

fn parse_rcode(text: &str) -> Option<Rcode> {
    (0..16).map(Rcode::masked_from_int).find(|code| rcode_text(*code) == text)
}

fn rcode_text(code: Rcode) -> String {
    match code.to_mnemonic() {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None => code.to_int().to_string(),
    }
}

/// What the metrics show at the end.
#[derive(Default)]
struct Shown {
    connect: Duration,
    request: Duration,
    counts: [usize; 3],
    succeeded: bool,
    serial: u32,
}

pub(crate) async fn probe(run: &mut Run, options: &DnsProbe, target: &str) -> bool {
    let (Some(class), Some(record_type)) = (options.class(), options.record_type()) else {
        run.error("Invalid query type or class", &[]);
        return false;
    };
    let port = if options.dns_over_tls { 853 } else { 53 };
    let (host, port) = split_host_port(target).unwrap_or_else(|_| (target.trim_matches(['[', ']']).to_owned(), port));
    let (ip, resolve) =
        run.resolve(options.preferred_ip_protocol.unwrap_or_default(), options.ip_protocol_fallback, &host).await;
    let mut shown = Shown::default();
    let (success, resolve) = match ip {
        Ok(ip) => {
            let asked = Asked { class, record_type, address: SocketAddr::new(ip, port), host: &host };
            (Box::pin(ask(run, options, &asked, &mut shown)).await, resolve)
        }
        Err(error) => {
            run.error("Error resolving address", &[("err", error)]);
            (false, Duration::ZERO)
        }
    };
    for (phase, duration) in [("resolve", resolve), ("connect", shown.connect), ("request", shown.request)] {
        let help = "Duration of DNS request by phase";
        run.metrics.gauge("probe_dns_duration_seconds", help, &[("phase", phase)], duration.as_secs_f64());
    }
    for (section, count) in ["answer", "authority", "additional"].iter().zip(shown.counts) {
        let help = format!("Returns number of entries in the {section} resource record list");
        #[expect(clippy::cast_precision_loss, reason = "at most 65535")]
        run.gauge(&format!("probe_dns_{section}_rrs"), &help, count as f64);
    }
    let help = "Displays whether or not the query was executed successfully";
    run.gauge("probe_dns_query_succeeded", help, f64::from(u8::from(shown.succeeded)));
    if record_type == Rtype::SOA && shown.succeeded {
        run.gauge("probe_dns_serial", "Returns the serial number of the zone", f64::from(shown.serial));
    }
    success
}

struct Asked<'h> {
    class: Class,
    record_type: Rtype,
    address: SocketAddr,
    host: &'h str,
}

async fn ask(run: &mut Run, options: &DnsProbe, asked: &Asked<'_>, shown: &mut Shown) -> bool {
    let answer = match query(options, asked) {
        Ok(query) => Box::pin(exchange(run, options, asked, &query, shown)).await,
        Err(error) => Err(error),
    };
    let message = match answer {
        Ok(message) => message,
        Err(error) => {
            run.error("Error while sending a DNS query", &[("err", error)]);
            return false;
        }
    };
    shown.succeeded = true;
    let Ok(sections) = sections(&message, shown) else {
        run.error("Error while sending a DNS query", &[("err", "the answer is malformed".into())]);
        return false;
    };
    let rcode = message.header().rcode();
    let wanted: Vec<Rcode> = options.valid_rcodes.iter().filter_map(|text| parse_rcode(text)).collect();
    let wanted = if wanted.is_empty() { vec![Rcode::NOERROR] } else { wanted };
    if !wanted.contains(&rcode) {
        let valid: Vec<String> = wanted.iter().map(|code| code.to_int().to_string()).collect();
        let fields = [
            ("rcode", rcode.to_int().to_string()),
            ("string_rcode", rcode_text(rcode)),
            ("valid_rcodes", format!("[{}]", valid.join(" "))),
        ];
        run.error("Rcode is not one of the valid rcodes", &fields);
        return false;
    }
    let validators = [
        ("Answer", &options.validate_answer_rrs),
        ("Authority", &options.validate_authority_rrs),
        ("Additional", &options.validate_additional_rrs),
    ];
    for ((section, validator), records) in validators.into_iter().zip(&sections) {
        if !validator.accepts(run, records) {
            run.error(&format!("{section} RRs validation failed"), &[]);
            return false;
        }
    }
    true
}

fn query(options: &DnsProbe, asked: &Asked<'_>) -> Result<Vec<u8>, String> {
    let name = Name::<Vec<u8>>::from_str(&options.query_name).map_err(|error| format!("dns: bad name: {error}"))?;
    let mut builder = MessageBuilder::new_vec();
    // A number that a stranger cannot guess: the standard library's hashing is seeded anew each time.
    #[expect(clippy::cast_possible_truncation, reason = "any 16 bits serve")]
    builder.header_mut().set_id(RandomState::new().build_hasher().finish() as u16);
    builder.header_mut().set_rd(options.recursion_desired);
    let mut question = builder.question();
    question.push((name, asked.record_type, asked.class)).map_err(|error| error.to_string())?;
    Ok(question.finish())
}

async fn exchange(
    run: &Run,
    options: &DnsProbe,
    asked: &Asked<'_>,
    query: &[u8],
    shown: &mut Shown,
) -> Result<Message<Vec<u8>>, String> {
    let started = Instant::now();
    if options.transport_protocol == "tcp" {
        let stream = tcp::dial(run, asked.address, options.source_ip_address).await?;
        if options.dns_over_tls {
            let tls_config = options.tls_config.clone().unwrap_or_default();
            let stream = tls::connect(run, stream, &tls_config, asked.host, &[]).await?;
            shown.connect = started.elapsed();
            return over_stream(run, stream, query, shown).await;
        }
        shown.connect = started.elapsed();
        return over_stream(run, stream, query, shown).await;
    }
    let any = if asked.address.is_ipv4() { IpAddr::from([0, 0, 0, 0]) } else { IpAddr::from([0_u16; 8]) };
    let socket = run.limit(UdpSocket::bind((options.source_ip_address.unwrap_or(any), 0))).await?;
    run.limit(socket.connect(asked.address)).await?;
    shown.connect = started.elapsed();
    let started = Instant::now();
    let received = async {
        run.limit(socket.send(query)).await?;
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let count = run.limit(socket.recv(&mut buffer)).await?;
            // A late answer to somebody else's question is passed over.
            if let Some(message) = answer_to(query, buffer[..count].to_vec()) {
                return Ok(message);
            }
        }
    };
    let received = received.await;
    shown.request = started.elapsed();
    received.map_err(|error: String| format!("{} {}: {error}", "udp", asked.address))
}

async fn over_stream<S: AsyncRead + AsyncWrite + Unpin>(
    run: &Run,
    mut stream: S,
    query: &[u8],
    shown: &mut Shown,
) -> Result<Message<Vec<u8>>, String> {
    let started = Instant::now();
    let length = u16::try_from(query.len()).map_err(|_| "the question is too long".to_owned())?;
    let framed = [&length.to_be_bytes(), query].concat();
    let answer = async {
        stream.write_all(&framed).await?;
        stream.flush().await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = run.limit(answer).await;
    shown.request = started.elapsed();
    answer_to(query, answer?).ok_or_else(|| "the answer belongs to another question".to_owned())
}

fn answer_to(query: &[u8], answer: Vec<u8>) -> Option<Message<Vec<u8>>> {
    let message = Message::from_octets(answer).ok()?;
    (message.header().qr() && message.as_slice().get(..2) == query.get(..2)).then_some(message)
}

/// The records' texts by section; fills the counts and the serial.
fn sections(message: &Message<Vec<u8>>, shown: &mut Shown) -> Result<[Vec<String>; 3], domain::base::wire::ParseError> {
    let mut sections = [Vec::new(), Vec::new(), Vec::new()];
    let answer = message.answer()?;
    let authority = answer.next_section()?;
    let additional = match &authority {
        Some(authority) => authority.next_section()?,
        None => None,
    };
    for (index, section) in [Some(answer), authority, additional].into_iter().flatten().enumerate() {
        for record in section {
            let Some(record) = record?.into_record::<AllRecordData<_, ParsedName<_>>>()? else { continue };
            if let (0, AllRecordData::Soa(soa)) = (index, record.data()) {
                shown.serial = soa.serial().into_int();
            }
            sections[index].push(record_text(&record));
        }
        shown.counts[index] = sections[index].len();
    }
    Ok(sections)
}

type Data<'m> = AllRecordData<&'m [u8], ParsedName<&'m [u8]>>;

/// As miekg/dns writes a record: fields divided by tabs, names with their last dot.
fn record_text(record: &Record<ParsedName<&[u8]>, Data<'_>>) -> String {
    let owner = record.owner().fmt_with_dot();
    let (ttl, class, kind) = (record.ttl().as_secs(), record.class(), record.rtype());
    format!("{owner}\t{ttl}\t{class}\t{kind}\t{}", data_text(record.data()))
}

fn data_text(data: &Data<'_>) -> String {
    match data {
        AllRecordData::Ns(data) => data.nsdname().fmt_with_dot().to_string(),
        AllRecordData::Cname(data) => data.cname().fmt_with_dot().to_string(),
        AllRecordData::Dname(data) => data.dname().fmt_with_dot().to_string(),
        AllRecordData::Ptr(data) => data.ptrdname().fmt_with_dot().to_string(),
        AllRecordData::Mx(data) => format!("{} {}", data.preference(), data.exchange().fmt_with_dot()),
        AllRecordData::Srv(data) => {
            let target = data.target().fmt_with_dot();
            format!("{} {} {} {target}", data.priority(), data.weight(), data.port())
        }
        AllRecordData::Soa(data) => {
            let (server, mailbox) = (data.mname().fmt_with_dot(), data.rname().fmt_with_dot());
            let times =
                [data.refresh(), data.retry(), data.expire(), data.minimum()].map(|time| time.as_secs().to_string());
            format!("{server} {mailbox} {} {}", data.serial(), times.join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{
        base::{Serial, Ttl},
        rdata::{A, Aaaa, Cname, Mx, Ns, Ptr, Soa, Srv, Txt},
    };

    fn name(text: &str) -> Name<Vec<u8>> {
        Name::from_str(text).unwrap()
    }

    #[test]
    fn records_are_written_as_upstream_writes_them() {
        let mut answer = MessageBuilder::new_vec().answer();
        let (owner, ttl) = (name("a.test."), 300);
        answer.push((&owner, ttl, A::from_octets(127, 0, 0, 2))).unwrap();
        answer.push((&owner, ttl, Aaaa::new("2001:db8::1".parse().unwrap()))).unwrap();
        answer.push((&owner, ttl, Cname::new(name("b.test.")))).unwrap();
        answer.push((&owner, ttl, Ns::new(name("ns.test.")))).unwrap();
        answer.push((&owner, ttl, Ptr::new(name("p.test.")))).unwrap();
        answer.push((&owner, ttl, Mx::new(10, name("mx.test.")))).unwrap();
        answer.push((&owner, ttl, Srv::new(1, 2, 443, name("s.test.")))).unwrap();
        answer.push((&owner, ttl, Txt::<Vec<u8>>::build_from_slice(b"v=spf1 \"x\" -all").unwrap())).unwrap();
        let time = Ttl::from_secs;
        let soa = Soa::new(name("ns.test."), name("me.test."), Serial(7), time(1), time(2), time(3), time(4));
        answer.push((name("."), ttl, soa)).unwrap();
        let message = answer.into_message();
        let mut shown = Shown::default();
        let [records, ..] = sections(&message, &mut shown).unwrap();
        let expected = [
            "a.test.\t300\tIN\tA\t127.0.0.2",
            "a.test.\t300\tIN\tAAAA\t2001:db8::1",
            "a.test.\t300\tIN\tCNAME\tb.test.",
            "a.test.\t300\tIN\tNS\tns.test.",
            "a.test.\t300\tIN\tPTR\tp.test.",
            "a.test.\t300\tIN\tMX\t10 mx.test.",
            "a.test.\t300\tIN\tSRV\t1 2 443 s.test.",
            "a.test.\t300\tIN\tTXT\t\"v=spf1 \\\"x\\\" -all\"",
            ".\t300\tIN\tSOA\tns.test. me.test. 7 1 2 3 4",
        ];
        assert_eq!(records, expected);
        assert_eq!((shown.counts, shown.serial), ([9, 0, 0], 7));
    }

    /// Whatever a server sends: every end and every wrong byte of an answer is read without harm.
    #[test]
    fn broken_answers() {
        let mut answer = MessageBuilder::new_vec().answer();
        answer.push((name("a.test."), 300, Mx::new(10, name("mx.a.test.")))).unwrap();
        answer.push((name("a.test."), 300, Txt::<Vec<u8>>::build_from_slice(b"text").unwrap())).unwrap();
        let bytes = answer.finish();
        let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
        let wrong = (0..bytes.len()).flat_map(|at| {
            [0, 1, 63, 64, 192, 255].map(|byte| {
                let mut bytes = bytes.clone();
                bytes[at] = byte;
                bytes
            })
        });
        for bytes in cut.chain(wrong) {
            if let Ok(message) = Message::from_octets(bytes) {
                let _ = sections(&message, &mut Shown::default());
            }
        }
    }

    #[test]
    fn validators() {
        let validator = |text: &str| yaml::from_str::<RrValidator>("v", text).unwrap();
        let records = ["a".to_owned(), "ab".to_owned()];
        for (text, records, accepted) in [
            ("{}", &records[..], true),
            ("{fail_if_matches_regexp: [b]}", &records, false),
            ("{fail_if_matches_regexp: [c]}", &records, true),
            ("{fail_if_all_match_regexp: [a]}", &records, false),
            ("{fail_if_all_match_regexp: [b]}", &records, true),
            ("{fail_if_not_matches_regexp: [b]}", &records, false),
            ("{fail_if_not_matches_regexp: [a]}", &records, true),
            ("{fail_if_not_matches_regexp: [a]}", &[], false),
            ("{fail_if_none_matches_regexp: [b]}", &records, true),
            ("{fail_if_none_matches_regexp: [c]}", &records, false),
        ] {
            assert_eq!(validator(text).accepts(&mut Run::for_tests(), records), accepted, "{text}");
        }
    }
}
