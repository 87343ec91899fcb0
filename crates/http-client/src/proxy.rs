//! Which proxy leads to which host.

use crate::client::basic;
use crate::{HttpClientConfig, HttpClientError};
use http::Uri;
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyKind {
    Http,
    Https,
    Socks5,
}

#[derive(Clone, Debug)]
pub(crate) struct ProxyServer {
    pub(crate) kind: ProxyKind,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<(String, String)>,
}

impl ProxyServer {
    pub(crate) fn parse(url: &str) -> Result<Self, HttpClientError> {
        let bad = |reason: &str| HttpClientError::Url { url: without_password(url), reason: reason.to_owned() };
        // As Go does: an environment variable may leave the scheme out.
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let uri: Uri = full.parse().map_err(|_| bad("write it as http://host:port"))?;
        let (kind, port) = match uri.scheme_str() {
            Some("http") => (ProxyKind::Http, 80),
            Some("https") => (ProxyKind::Https, 443),
            Some("socks5" | "socks5h") => (ProxyKind::Socks5, 1080),
            _ => return Err(bad("a proxy is reached by http, https or socks5")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.host().is_empty() {
            return Err(bad("it has no host"));
        }
        let user = authority.as_str().rsplit_once('@').map(|(user_info, _)| {
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            let plain = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
            (plain(user), plain(password))
        });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        Ok(ProxyServer { kind, host, port: authority.port_u16().unwrap_or(port), user })
    }

    pub(crate) fn authorization(&self) -> Option<String> {
        self.user.as_ref().map(|(user, password)| basic(user, password))
    }
}

fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://<secret>@{host}"),
        _ => url.to_owned(),
    }
}

/// Finds the proxy for a URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyRules {
    http: Option<ProxyServer>,
    https: Option<ProxyServer>,
    no_proxy: Vec<String>,
    /// The environment's proxies are not used for the machine itself, as in Go.
    spare_loopback: bool,
}

impl ProxyRules {
    pub(crate) fn new(config: &HttpClientConfig) -> Result<Self, HttpClientError> {
        let split =
            |list: &str| list.split(',').map(|p| p.trim().to_ascii_lowercase()).filter(|p| !p.is_empty()).collect();
        if config.proxy_from_environment == Some(true) {
            let variable = |name: &str| {
                let found = std::env::var(name.to_ascii_uppercase()).or_else(|_| std::env::var(name)).ok();
                found.filter(|value| !value.is_empty())
            };
            return Ok(ProxyRules {
                http: variable("http_proxy").map(|url| ProxyServer::parse(&url)).transpose()?,
                https: variable("https_proxy").map(|url| ProxyServer::parse(&url)).transpose()?,
                no_proxy: variable("no_proxy").map(|list| split(&list)).unwrap_or_default(),
                spare_loopback: true,
            });
        }
        let Some(url) = config.proxy_url.as_deref().filter(|url| !url.is_empty()) else {
            return Ok(ProxyRules::default());
        };
        let server = ProxyServer::parse(url)?;
        Ok(ProxyRules {
            http: Some(server.clone()),
            https: Some(server),
            no_proxy: config.no_proxy.as_deref().map(split).unwrap_or_default(),
            spare_loopback: false,
        })
    }

    pub(crate) fn server_for(&self, https: bool, host: &str, port: u16) -> Option<&ProxyServer> {
        let server = if https { self.https.as_ref() } else { self.http.as_ref() }?;
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        if self.spare_loopback && (host == "localhost" || address.is_some_and(|ip| ip.is_loopback())) {
            return None;
        }
        let spared = self.no_proxy.iter().any(|pattern| matches(pattern, &host, address, port));
        (!spared).then_some(server)
    }
}

/// One entry of `no_proxy`: `*`, a network, an address or a domain, the last two with an optional port.
/// `example.com` and `.example.com` cover subdomains; only the first covers the domain itself.
fn matches(pattern: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if pattern == "*" {
        return true;
    }
    if let Some((network, bits)) = pattern.split_once('/') {
        let (Ok(network), Ok(bits), Some(address)) = (network.parse::<IpAddr>(), bits.parse::<u32>(), address) else {
            return false;
        };
        return match (network, address) {
            (IpAddr::V4(n), IpAddr::V4(a)) if bits <= 32 => {
                let shift = 32 - bits;
                u64::from(u32::from(n)) >> shift == u64::from(u32::from(a)) >> shift
            }
            (IpAddr::V6(n), IpAddr::V6(a)) if bits <= 128 => {
                bits == 0 || u128::from(n) >> (128 - bits) == u128::from(a) >> (128 - bits)
            }
            _ => false,
        };
    }
    let bare = pattern.trim_matches(['[', ']']);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return address == Some(ip);
    }
    let (name, wanted_port) = match pattern.rsplit_once(':') {
        Some((name, digits)) if digits.parse::<u16>().is_ok() => {
            (name.trim_matches(['[', ']']), digits.parse::<u16>().ok())
        }
        _ => (pattern, None),
    };
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return address == Some(ip);
    }
    let name = name.strip_prefix('*').unwrap_or(name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|head| head.ends_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_patterns() {
        let cases = "
*                 any.host:80        direct
example.com       example.com:80     direct
example.com       a.example.com:80   direct
example.com       notexample.com:80  proxy
.example.com      example.com:80     proxy
.example.com      a.example.com:80   direct
*.example.com     a.example.com:80   direct
example.com:8080  example.com:80     proxy
example.com:8080  example.com:8080   direct
10.0.0.0/8        10.1.2.3:80        direct
10.0.0.0/8        11.1.2.3:80        proxy
0.0.0.0/0         11.1.2.3:80        direct
10.0.0.1          10.0.0.1:80        direct
fd00::/8          [fd00::1]:80       direct
";
        for case in cases.trim().lines() {
            let words: Vec<_> = case.split_whitespace().collect();
            let config = HttpClientConfig {
                proxy_url: Some("http://proxy:3128".into()),
                no_proxy: Some(words[0].into()),
                ..HttpClientConfig::default()
            };
            let (host, port) = words[1].rsplit_once(':').unwrap();
            let rules = ProxyRules::new(&config).unwrap();
            let said = if rules.server_for(false, host, port.parse().unwrap()).is_some() { "proxy" } else { "direct" };
            assert_eq!(said, words[2], "{case}");
        }
    }
}
