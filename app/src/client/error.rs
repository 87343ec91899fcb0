//! Why an answer is missing.

/// What went wrong between a question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// No answer at all: the server or the way to it is gone.
    Unreachable,
    /// We took the question back, because a newer one stands in its place.
    Aborted,
    /// The server said no and why.
    Refused {
        status: u16,
        /// Prometheus' `errorType`, or the `status` word of a dashboard problem; "" when it gave none.
        kind: String,
        message: String,
        /// The body as it came, for those who read more out of it (412 of a dashboard).
        body: String,
    },
    /// An answer that is not what the endpoint promises.
    Unreadable { path: String, message: String },
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientError::Unreachable => f.write_str("the server does not answer"),
            ClientError::Aborted => f.write_str("stopped, because something newer was asked"),
            ClientError::Refused { message, status, .. } if message.is_empty() => {
                write!(f, "the server answered with status {status}")
            }
            ClientError::Refused { message, .. } => f.write_str(message),
            ClientError::Unreadable { path, message } => {
                write!(f, "{path} answered something unexpected: {message}")
            }
        }
    }
}

impl ClientError {
    /// The HTTP status, when there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            ClientError::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
