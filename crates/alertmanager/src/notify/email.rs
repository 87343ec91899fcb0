//! `email_configs`: composing and sending mails.

use super::{Notification, NotifyError, secret};
use crate::config::receivers::EmailConfig;
use http_client::{Secret, TlsConfig};
use mail_builder::{
    MessageBuilder,
    headers::{message_id::MessageId, raw::Raw, text::Text},
};
use mail_send::{Credentials, SmtpClientBuilder, smtp::message::Message};
use std::{sync::Arc, time::Duration};
use tokio_rustls::TlsConnector;

/// For one mail, connection included; the flush of a group ends it earlier.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// How to log in.
#[derive(Clone, Debug, Default)]
pub struct MailAuth {
    pub username: String,
    pub password: Option<Secret>,
    pub password_file: Option<String>,
    /// For CRAM-MD5.
    pub secret: Option<Secret>,
    pub secret_file: Option<String>,
}

/// A mail, ready to be sent.
#[derive(Clone, Debug)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub hello: String,
    /// Addresses of the envelope.
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body.
    pub message: Vec<u8>,
    pub auth: MailAuth,
    /// Refuse to go on without TLS.
    pub require_tls: bool,
    /// TLS from the first byte.
    pub implicit_tls: bool,
    pub tls: TlsConfig,
}

pub(super) fn compose(config: &EmailConfig, notification: &Notification<'_>) -> Result<Mail, NotifyError> {
    let smarthost = config.smarthost.as_deref().unwrap_or_default();
    let (host, port) = smarthost
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(|| NotifyError::permanent(format!("smarthost {smarthost:?}: write host:port")))?;
    let (from, to) = (notification.option(config.from.as_deref())?, notification.option(config.to.as_deref())?);
    let (from, to) = (addresses(&from), addresses(&to));
    let [(from_name, from_address)] = from.as_slice() else {
        return Err(NotifyError::permanent("`from` must be exactly one address"));
    };
    if to.is_empty() {
        return Err(NotifyError::permanent("`to` holds no address"));
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    let has = |name: &str| config.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
    let (own_subject, own_from, own_to, own_id) = (has("Subject"), has("From"), has("To"), has("Message-Id"));
    for (name, text) in &config.headers {
        // A line break in a header would begin a header of somebody else's choice.
        headers.push((name.clone(), notification.text(Some(text), "")?.replace(['\r', '\n'], " ")));
    }
    let mut message = MessageBuilder::new();
    if !own_subject {
        let subject = notification.text(None, r#"{{ template "email.default.subject" . }}"#)?;
        message = message.subject(subject.replace(['\r', '\n'], " "));
    }
    let pair = |(name, address): &(String, String)| (name.clone(), address.clone());
    if !own_from {
        message = message.from((from_name.clone(), from_address.clone()));
    }
    if !own_to {
        message = message.to(to.iter().map(pair).collect::<Vec<_>>());
    }
    let domain = from_address.rsplit('@').next().unwrap_or("localhost");
    if !own_id {
        message = message.message_id(format!("{}.{}@{domain}", notification.now_ms, uuid::Uuid::new_v4().simple()));
    }
    if config.threading.enabled {
        let day = match config.threading.thread_by_date.as_deref() {
            Some("none") => String::new(),
            _ => go_template::time::Time::from_unix_ms(notification.now_ms).format("2006-01-02"),
        };
        let thread = format!("{}.{day}@alertmanager", notification.key_hash());
        message =
            message.header("References", MessageId::new(thread.clone())).header("In-Reply-To", MessageId::new(thread));
    }
    for (name, value) in headers {
        message = match name.to_ascii_lowercase().as_str() {
            "subject" => message.header("Subject", Text::new(value)),
            "from" | "to" | "cc" | "bcc" | "reply-to" | "sender" | "message-id" => {
                message.header(name, Raw::new(value))
            }
            _ => message.header(name, Text::new(value)),
        };
    }
    message = message.date(notification.now_ms / 1000);
    let html = match config.html.as_deref() {
        Some("") => String::new(),
        html => notification
            .templates
            .html(html.unwrap_or(r#"{{ template "email.default.html" . }}"#), notification.data)
            .map_err(NotifyError::permanent)?,
    };
    let text = notification.option(config.text.as_deref())?;
    if !text.is_empty() || html.is_empty() {
        message = message.text_body(text);
    }
    if !html.is_empty() {
        message = message.html_body(html);
    }
    let message = message.write_to_vec().map_err(|error| NotifyError::permanent(error.to_string()))?;
    Ok(Mail {
        host: host.to_owned(),
        port,
        hello: config.hello.clone().filter(|hello| !hello.is_empty()).unwrap_or_else(|| "localhost".into()),
        from: from_address.clone(),
        to: to.into_iter().map(|(_, address)| address).collect(),
        message,
        auth: MailAuth {
            username: config.auth_username.clone().unwrap_or_default(),
            password: config.auth_password.clone(),
            password_file: config.auth_password_file.clone(),
            secret: config.auth_secret.clone(),
            secret_file: config.auth_secret_file.clone(),
        },
        require_tls: config.require_tls.unwrap_or(true),
        implicit_tls: config.force_implicit_tls.unwrap_or(port == 465),
        tls: config.tls_config.clone().unwrap_or_default(),
    })
}

/// Names and addresses of `a@b, Name <c@d>`.
fn addresses(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.rsplit_once('<') {
            Some((name, address)) => {
                (name.trim().trim_matches('"').to_owned(), address.trim_end_matches('>').trim().to_owned())
            }
            None => (String::new(), part.to_owned()),
        })
        .filter(|(_, address)| !address.contains(['\r', '\n', '<', '>']))
        .collect()
}

pub(super) async fn send(mail: Mail) -> Result<(), NotifyError> {
    let failed = |error: mail_send::Error| {
        // 4xx of SMTP is temporary, 5xx is not; everything below SMTP may recover.
        let permanent = matches!(&error, mail_send::Error::UnexpectedReply(reply) if reply.code / 100 == 5)
            || matches!(error, mail_send::Error::AuthenticationFailed(_) | mail_send::Error::MissingStartTls);
        let message = format!("mail to {}:{}: {error}", mail.host, mail.port);
        if permanent { NotifyError::permanent(message) } else { NotifyError::temporary(message) }
    };
    let mut tls = mail.tls.clone();
    let server_name = tls.server_name.take().filter(|name| !name.is_empty()).unwrap_or_else(|| mail.host.clone());
    let tls = http_client::client_tls_config(&tls, &[]).map_err(|error| NotifyError::permanent(error.to_string()))?;
    let mut builder =
        SmtpClientBuilder::new_with_tls_connector(mail.host.clone(), mail.port, TlsConnector::from(Arc::new(tls)))
            .implicit_tls(mail.implicit_tls)
            .helo_host(mail.hello.clone())
            .timeout(MAIL_TIMEOUT);
    builder.tls_hostname = server_name;
    if !mail.auth.username.is_empty() {
        let auth = &mail.auth;
        let mut password = secret(auth.secret.as_ref(), auth.secret_file.as_deref()).await?;
        if password.is_empty() {
            password = secret(auth.password.as_ref(), auth.password_file.as_deref()).await?;
        }
        builder = builder.credentials(Credentials::new(auth.username.clone(), password));
    }
    let to: Vec<&str> = mail.to.iter().map(String::as_str).collect();
    let message = Message::new(mail.from.as_str(), to, mail.message.as_slice());
    if mail.implicit_tls || mail.require_tls {
        let mut client = builder.connect().await.map_err(failed)?;
        client.send(message).await.map_err(failed)?;
        // The mail is accepted; how the goodbye ends does not matter.
        let _ = client.quit().await;
    } else {
        let mut client = builder.connect_plain().await.map_err(failed)?;
        client.send(message).await.map_err(failed)?;
        let _ = client.quit().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    /// A server that takes one mail; gives back what it was told, line by line.
    async fn serve(listener: TcpListener, refuse: bool) -> Vec<String> {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 here\r\n").await.unwrap();
        let (mut heard, mut in_data, mut line) = (Vec::new(), false, String::new());
        while stream.read_line(&mut line).await.is_ok_and(|count| count > 0) {
            let text = std::mem::take(&mut line).trim_end().to_owned();
            let answer = match text.split([' ', ':']).next().unwrap_or_default() {
                "." if in_data => {
                    in_data = false;
                    "250 taken"
                }
                _ if in_data => "",
                "EHLO" => "250-here\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => "235 welcome",
                "RCPT" if refuse => "550 no such user",
                "DATA" => {
                    in_data = true;
                    "354 go on"
                }
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            heard.push(text);
            if !answer.is_empty() {
                stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
        heard
    }

    fn mail(port: u16) -> Mail {
        Mail {
            host: "127.0.0.1".into(),
            port,
            hello: "vigie".into(),
            from: "from@example.org".into(),
            to: vec!["to@example.org".into()],
            message: b"Subject: s\r\n\r\nbody\r\n".to_vec(),
            auth: MailAuth { username: "u".into(), password: Some(Secret::new("p")), ..MailAuth::default() },
            require_tls: false,
            implicit_tls: false,
            tls: TlsConfig::default(),
        }
    }

    #[tokio::test]
    async fn a_mail_over_the_wire() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(serve(listener, false));
        assert_eq!(send(mail(port)).await, Ok(()));
        let heard = server.await.unwrap();
        for expected in ["EHLO vigie", "AUTH PLAIN AHUAcA==", "Subject: s", "body", "."] {
            assert!(heard.iter().any(|line| line == expected), "{expected:?} not in {heard:?}");
        }
        assert!(heard.iter().any(|line| line.starts_with("MAIL FROM:<from@example.org>")), "{heard:?}");
        assert!(heard.iter().any(|line| line.starts_with("RCPT TO:<to@example.org>")), "{heard:?}");
    }

    #[tokio::test]
    async fn a_refused_mail_is_not_tried_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(serve(listener, true));
        let error = send(mail(port)).await.unwrap_err();
        assert!(!error.retry && error.message.contains("no such user"), "{error:?}");
        drop(server);
        // Without TLS where it is required, nothing is sent.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(serve(listener, false));
        let error = send(Mail { require_tls: true, ..mail(port) }).await.unwrap_err();
        assert!(!error.retry, "{error:?}");
        assert!(!server.await.unwrap().iter().any(|line| line.starts_with("AUTH")));
    }
}
